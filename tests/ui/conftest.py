"""The window's tests run where there is no screen, and are skipped where there is no Qt."""

import os

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before Qt is imported
pytest.importorskip("PyQt6.QtWidgets", exc_type=ImportError)
