"""The window's small pictures: drawn from paths in the theme's colours, sharp at every scale."""

from PyQt6.QtCore import QByteArray, QRectF, QSize, Qt
from PyQt6.QtGui import QIcon, QPainter, QPixmap
from PyQt6.QtSvg import QSvgRenderer

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


def icon(name: str, colour: str, faint: str) -> QIcon:
    """`colour` and, where the control is disabled, `faint`, as #rrggbb."""
    made = QIcon()
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
