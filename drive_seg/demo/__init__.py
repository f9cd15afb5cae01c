"""The embedded source `demo:`: a rendered city drive without end, with exact labels for every pixel."""

from drive_seg.demo.drive import DemoDrive
from drive_seg.demo.labels import CLASSES
from drive_seg.demo.source import DemoSource, parse_demo_uri

__all__ = ["CLASSES", "DemoDrive", "DemoSource", "parse_demo_uri"]
