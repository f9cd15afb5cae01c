"""The window's colours and its one style sheet."""

BACKGROUND = "#14171c"
PANEL = "#1b1f26"
LINE = "#2a303a"
TEXT = "#e6e9ee"
DIM = "#8a93a1"
GOOD = "#5fd38d"
WARN = "#f2b84b"

STATE_COLOURS = {"playing": GOOD, "paused": WARN}  # any other state is dim

STYLE = f"""
QMainWindow, QWidget {{ background: {BACKGROUND}; color: {TEXT}; font-size: 13px; }}
QWidget#panel, QWidget#panel QWidget, QScrollArea {{ background: {PANEL}; border: none; }}
QWidget#panel {{ border-left: 1px solid {LINE}; }}
QLabel#dim {{ color: {DIM}; }}
QLabel#heading {{ color: {DIM}; font-size: 11px; font-weight: bold; }}
QLabel#big {{ font-size: 30px; font-weight: 600; }}
QLabel#unit {{ color: {DIM}; font-size: 12px; }}
QWidget#panel QFrame#rule {{ background: {LINE}; }}
QStatusBar {{ background: {PANEL}; border-top: 1px solid {LINE}; }}
QStatusBar::item {{ border: none; }}
QStatusBar QLabel {{ background: {PANEL}; padding: 3px 8px; }}
QScrollBar:vertical {{ background: {PANEL}; width: 8px; }}
QScrollBar::handle:vertical {{ background: {LINE}; border-radius: 4px; min-height: 24px; }}
QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical {{ height: 0; }}
"""
