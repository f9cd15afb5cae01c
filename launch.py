"""Plays a drive with a live overlay: `python launch.py --camera 0`, `--video drive.mp4`; the demo when nothing is named."""

from drive_seg.cli import launch

if __name__ == "__main__":
    launch()
