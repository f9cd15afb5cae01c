"""The window's colours, dark and light, and the style that is made of them."""

from dataclasses import dataclass

from PyQt6.QtGui import QColor, QPalette


@dataclass(frozen=True, slots=True)
class Theme:
    name: str
    ground: str  # around the picture
    panel: str
    raised: str  # buttons, fields
    line: str
    text: str
    dim: str
    accent: str
    good: str
    warn: str
    bad: str
    second: str  # the other lane of a comparison, a threshold


DARK = Theme(
    "dark", "#101318", "#1b1f26", "#2a313b", "#3a4350", "#e8ebf0", "#9aa4b2", "#4aa3ff", "#5fd38d", "#f2b84b", "#ff7a6b", "#f2b84b"
)
LIGHT = Theme(
    "light", "#dde1e7", "#ffffff", "#eceff3", "#c3cad4", "#1b2028", "#566070", "#0b66c3", "#167145", "#8f5a00", "#b8281b", "#b06000"
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT)}


def state_colour(theme: Theme, state: str) -> str:
    """What the dot before the run's state looks like."""
    return {"playing": theme.good, "failed": theme.bad, "paused": theme.warn, "reconnecting": theme.warn}.get(state, theme.dim)


def palette(theme: Theme) -> QPalette:
    """For Qt's own controls, so that they need no style sheet."""
    role = QPalette.ColorRole
    made = QPalette()
    for roles, colour in (
        ((role.Window, role.Base, role.ToolTipBase, role.AlternateBase), theme.panel),
        ((role.WindowText, role.Text, role.ButtonText, role.ToolTipText), theme.text),
        ((role.Button, role.Light, role.Midlight), theme.raised),
        ((role.Mid, role.Dark, role.Shadow), theme.line),
        ((role.Highlight, role.Link), theme.accent),
        ((role.HighlightedText,), theme.panel),
        ((role.PlaceholderText,), theme.dim),
    ):
        for one in roles:
            made.setColor(one, QColor(colour))
    for one in (role.WindowText, role.Text, role.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, one, QColor(theme.line if theme is DARK else "#98a2b0"))
    return made


def style(theme: Theme) -> str:
    """The one style sheet."""
    return f"""
QMainWindow {{ background: {theme.ground}; }}
QWidget#column, QScrollArea, QScrollArea > QWidget > QWidget {{ background: {theme.panel}; border: none; }}
QWidget#bar {{ background: {theme.panel}; border-top: 1px solid {theme.line}; }}
QLabel#dim, QLabel#unit {{ color: {theme.dim}; }}
QLabel#unit {{ font-size: 11px; }}
QLabel#heading {{ color: {theme.dim}; font-size: 11px; font-weight: bold; }}
QLabel#big {{ font-size: 26px; font-weight: 600; }}
QLabel#title {{ font-size: 14px; font-weight: 600; }}
QMenuBar {{ background: {theme.panel}; border-bottom: 1px solid {theme.line}; padding: 1px 2px; }}
QMenuBar::item {{ padding: 7px 8px; margin: 1px 0px; background: transparent; border-radius: 4px; }}
QMenuBar::item:selected {{ background: {theme.raised}; }}
QMenu {{ background-color: {theme.raised}; }}
QStatusBar {{ background: {theme.panel}; border-top: 1px solid {theme.line}; }}
QStatusBar::item {{ border: none; }}
QToolButton {{ border: 1px solid transparent; border-radius: 5px; padding: 3px 5px; color: {theme.text}; }}
QToolButton:hover {{ background: {theme.raised}; }}
QToolButton:checked {{ background: {theme.raised}; border-color: {theme.accent}; color: {theme.accent}; }}
QToolButton:disabled {{ color: {theme.line}; }}
QToolButton#fold {{ color: {theme.dim}; font-size: 11px; font-weight: bold; padding: 2px 0px; border: none; }}
QToolButton#fold:hover {{ color: {theme.text}; background: transparent; }}
QToolButton:focus {{ border-color: {theme.accent}; }}
QToolButton[framed="true"] {{ background: {theme.raised}; border-color: {theme.line}; }}
QToolButton[framed="true"]:hover {{ border-color: {theme.dim}; }}
QSplitter::handle {{ background: {theme.line}; }}
QWidget#trouble {{ background: {theme.panel}; border-bottom: 1px solid {theme.line}; border-left: 5px solid {theme.bad}; }}
QWidget#trouble[kind="notice"] {{ border-left: 5px solid {theme.good}; }}
QWidget#help {{ background: {theme.panel}; border: 1px solid {theme.line}; border-radius: 10px; }}
QLabel#key {{ background: {theme.raised}; border: 1px solid {theme.line}; border-radius: 4px; padding: 1px 5px; font-size: 11px; }}
QToolTip {{ background: {theme.panel}; color: {theme.text}; border: 1px solid {theme.line}; padding: 4px; }}
QScrollBar:vertical {{ background: {theme.panel}; width: 9px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {theme.line}; border-radius: 4px; min-height: 24px; }}
QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical {{ height: 0; }}
"""
