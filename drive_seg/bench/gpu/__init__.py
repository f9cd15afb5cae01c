"""The check of a machine with an NVIDIA GPU: every runtime on every bundle, labels and times."""
