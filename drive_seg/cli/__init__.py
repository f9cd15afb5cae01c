"""drive-seg on the command line: one command a file, put together in `app`.

options     options made of the settings
flags       the two consoles, and how figures are written to a file
headless    a run without a window as a terminal sees it
benchmark   what `run --benchmark` and `bench` measure and print
"""

from drive_seg.cli.app import launch, main

__all__ = ["launch", "main"]
