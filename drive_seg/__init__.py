"""Real-time semantic segmentation of driving video."""
