"""The window's colours, dark and light, and what is made of them: Qt's palette, a small style sheet, and the icons."""

from dataclasses import dataclass

from PyQt6.QtCore import QByteArray, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap
from PyQt6.QtSvg import QSvgRenderer


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
    second: str  # the other side of a comparison, a threshold
    off: str  # words of what cannot be used now


DARK = Theme(
    "dark",
    "#101318",
    "#1b1f26",
    "#2a313b",
    "#3a4350",
    "#e8ebf0",
    "#9aa4b2",
    "#4aa3ff",
    "#5fd38d",
    "#f2b84b",
    "#ff7a6b",
    "#f2b84b",
    "#8f99a7",
)
LIGHT = Theme(
    "light",
    "#dde1e7",
    "#ffffff",
    "#eceff3",
    "#c3cad4",
    "#1b2028",
    "#566070",
    "#0b66c3",
    "#167145",
    "#8f5a00",
    "#b8281b",
    "#a35a00",
    "#6f7987",
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT)}


def state_colour(theme: Theme, state: str) -> str:
    """What the dot before the run's state looks like."""
    waits = dict.fromkeys(("paused", "connecting", "reconnecting"), theme.warn)
    return {"playing": theme.good, "failed": theme.bad, **waits}.get(state, theme.dim)


def palette(theme: Theme) -> QPalette:
    """For all of Qt's controls; what it says needs no style sheet."""
    role = QPalette.ColorRole
    made = QPalette()
    for roles, colour in (
        ((role.Window, role.Base, role.ToolTipBase, role.AlternateBase), theme.panel),
        ((role.WindowText, role.Text, role.ButtonText, role.ToolTipText, role.BrightText), theme.text),
        ((role.Button, role.Light, role.Midlight), theme.raised),
        ((role.Mid, role.Dark, role.Shadow), theme.line),
        ((role.Highlight, role.Accent, role.Link, role.LinkVisited), theme.accent),
        ((role.HighlightedText,), theme.panel),
        ((role.PlaceholderText,), theme.dim),
    ):
        for one in roles:
            made.setColor(one, QColor(colour))
    off = QPalette.ColorGroup.Disabled
    for one in (role.WindowText, role.Text, role.ButtonText, role.PlaceholderText, role.HighlightedText):
        made.setColor(off, one, QColor(theme.off))
    for one in (role.Highlight, role.Accent):
        made.setColor(off, one, QColor(theme.raised))
    return made


def style(theme: Theme) -> str:
    """What a palette cannot say: sizes of words, quiet words, buttons without frames, the edges of bars, and menus as high as their bar."""
    return f"""
QLabel#dim, QLabel#unit, QLabel#heading {{ color: {theme.dim}; }}
QLabel#unit, QLabel#heading, QToolButton#fold {{ font-size: 11px; }}
QLabel#heading, QToolButton#fold {{ font-weight: bold; }}
QLabel#big {{ font-size: 26px; font-weight: 600; }}
QLabel#title {{ font-size: 14px; font-weight: 600; }}
QWidget#bar, QStatusBar {{ border-top: 1px solid {theme.line}; }}
QStatusBar::item {{ border: none; }}
QMenuBar::item {{ background: transparent; padding: 7px 9px; }}
QMenuBar::item:selected {{ background: palette(highlight); color: palette(highlighted-text); }}
QSplitter::handle {{ background: {theme.line}; }}
QToolButton {{ border: 1px solid transparent; border-radius: 5px; padding: 3px 5px; }}
QToolButton#fold {{ color: {theme.dim}; padding: 2px 0px; }}
QToolButton[framed="true"] {{ background: {theme.raised}; border-color: {theme.line}; }}
QToolButton:hover {{ background: {theme.raised}; }}
QToolButton:checked {{ background: {theme.raised}; border-color: {theme.accent}; color: {theme.accent}; }}
QToolButton:focus {{ border-color: {theme.accent}; }}
QToolButton:disabled {{ color: {theme.off}; }}
QWidget#trouble {{ background: {theme.panel}; border-bottom: 1px solid {theme.line}; border-left: 5px solid {theme.bad}; }}
QWidget#trouble[kind="notice"] {{ border-left-color: {theme.good}; }}
QWidget#help {{ background: {theme.panel}; border: 1px solid {theme.line}; border-radius: 10px; }}
"""


# On a 24x24 grid; "fill" is filled, "line" is drawn with a pen of 2.
PATHS: dict[str, tuple[str, str]] = {
    "play": ("fill", "M7 4l13 8-13 8z"),
    "pause": ("fill", "M6 4h4v16H6zM14 4h4v16h-4z"),
    "back": ("fill", "M18 4L8 12l10 8zM5 4h3v16H5z"),
    "step": ("fill", "M6 4l10 8-10 8zM16 4h3v16h-3z"),
    "loop": ("line", "M5 11V9a3 3 0 0 1 3-3h11l-3-3M19 6l-3 3M19 13v2a3 3 0 0 1-3 3H5l3 3M5 18l3-3"),
    "camera": ("line", "M3 8h4l2-3h6l2 3h4v11H3zM12 10a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z"),
    "record": ("fill", "M12 5a7 7 0 1 1 0 14 7 7 0 0 1 0-14z"),
    "refresh": ("line", "M20 12a8 8 0 1 1-3-6.2M18 2v5h-5"),
    "compare": ("line", "M12 2v20M3 6h6v12H3zM15 6h6v12h-6z"),
    "audit": ("line", "M10 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15 15l6 6M7 10.5l2.2 2.2L13 8.5"),
    "inspect": ("line", "M4 20V12M10 20V5M16 20v-9M22 20H2"),
    "theme": ("line", "M20 14A8.5 8.5 0 1 1 10 4a7 7 0 0 0 10 10z"),
    "help": ("line", "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .6-1.5 1.3-1.5 2.8M12 18.6v.8"),
    "close": ("line", "M6 6l12 12M18 6L6 18"),
    "previous": ("line", "M15 5l-7 7 7 7"),
    "next": ("line", "M9 5l7 7-7 7"),
    "panel": ("line", "M3 4h18v16H3zM15 4v16"),
}
SIZES = (16, 24, 32, 48)
TICKED = {"pause": "play"}  # what is shown instead while the control is ticked


def icon(name: str, theme: Theme) -> QIcon:
    """Drawn from its path in the theme's colours, sharp at every scale."""
    made, colour, faint = QIcon(), theme.bad if name == "record" else theme.text, theme.line
    for mode, paint, state in (
        (QIcon.Mode.Normal, colour, QIcon.State.Off),
        (QIcon.Mode.Disabled, faint, QIcon.State.Off),
        *([(QIcon.Mode.Normal, colour, QIcon.State.On)] if name in TICKED else []),
    ):
        drawn = TICKED[name] if state is QIcon.State.On else name
        renderer = QSvgRenderer(QByteArray(_svg(drawn, paint).encode()))
        for size in SIZES:
            pixmap = QPixmap(QSize(size, size))
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            renderer.render(painter, QRectF(0, 0, size, size))
            painter.end()
            made.addPixmap(pixmap, mode, state)
    return made


def _svg(name: str, colour: str) -> str:
    kind, path = PATHS[name]
    pen = f'fill="{colour}"' if kind == "fill" else f'fill="none" stroke="{colour}" stroke-width="2" stroke-linecap="round"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="{path}" {pen}/></svg>'
