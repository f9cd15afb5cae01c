"""Makes docs/images: the real window, offscreen, on the demo drive. From the project's root: `python docs/screenshot.py [FRAMES]`.

FRAMES: how many stand in the time line before a picture is made; fewer for a quick look. Takes two minutes; quiet ones, as the pictures
show figures.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from PyQt6.QtCore import QPoint, QSettings, QTimer
from PyQt6.QtGui import QImage
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from drive_seg.session.compose import View
from drive_seg.session.film import Versus
from drive_seg.session.player import Player
from drive_seg.settings import Settings
from drive_seg.ui.app import run_window
from drive_seg.ui.window import MainWindow

IMAGES = Path("docs/images")
# camvid knows the demo drive, and its forecast is the score in the time line
SOURCE = "demo:?seed=7&size=960x540&frames=1800&crossing=1"
RUN = {"source": SOURCE, "loop": True, "model": "camvid", "schedule": "keyframe:0.08", "propagation": "netwarp"}
FRAMES = 600
MOST_BYTES, MOST_FILM_BYTES = 400_000, 3_000_000
FILM_FPS = 8


@dataclass(frozen=True)
class Step:
    """`do` once, wait until it is `done` and `seconds` more, in which the film goes on, then make the picture."""

    do: Callable[[MainWindow], object]
    done: Callable[[MainWindow], bool]
    seconds: float = 2.0
    picture: str = ""
    film: Callable[[MainWindow, float], object] | None = None  # given the share of the seconds that is over


def size(width: int, height: int, page: str = "") -> Callable[[MainWindow], object]:
    def do(window: MainWindow) -> None:
        window.resize(width, height)
        window.show_page(page) if page else window.show_part("inspector", False)

    return do


def road(window: MainWindow) -> None:
    window.show_part("inspector", False)
    window.cockpit.toggle_ahead()


def doubt(window: MainWindow) -> None:
    window.cockpit.toggle_ahead()
    window.cockpit.toggle_doubt()


def plain(window: MainWindow) -> None:
    window.cockpit.set_view(View.OVERLAY)
    window.cockpit.toggle_confidence()


def looked(window: MainWindow) -> bool:
    shown = window.cockpit.shown
    return bool(shown and shown.result.ahead and shown.result.ahead.polygon)


def told(window: MainWindow) -> bool:
    return all(moment.confidence is not None for moment in window.player.history(WANTED // 2))


def light(window: MainWindow) -> None:
    window.toggle_theme()
    window.show_page("areas")


def compare(window: MainWindow) -> None:
    window.cockpit.set_comparison({"schedule": "every-frame", "mode": "sync"})
    window.cockpit.toggle_compare()


def dark_compare(window: MainWindow) -> None:
    window.toggle_theme()
    window.show_page("compare")
    compare(window)


def alone(window: MainWindow) -> None:
    window.cockpit.toggle_compare()


def small(window: MainWindow) -> None:
    window.show_page("accuracy")
    window.cockpit.set_view(View.ERRORS)
    window.resize(800, 600)


def point(window: MainWindow) -> None:
    QTest.mouseMove(window.video, window.video.picture_rect().center().toPoint())


def point_away(window: MainWindow) -> None:
    QTest.mouseMove(window.video, QPoint(1, 1))


def full(window: MainWindow) -> bool:
    return len(window.player.history(WANTED)) == WANTED


def compared(window: MainWindow) -> bool:
    beside = window.cockpit.status.comparison_numbers
    return beside is not None and beside.count > 0 and window.video.divider is not None


def lone(window: MainWindow) -> bool:
    return window.cockpit.status.comparison is None


def wide(window: MainWindow) -> None:
    window.resize(880, 680)
    for part in ("inspector", "panel"):
        window.show_part(part, False)


def nothing(window: MainWindow, share: float = 0.0) -> bool:
    return True


def drag(window: MainWindow, share: float) -> None:
    window.cockpit.set_divider(0.85 - 0.7 * share)


def difference(window: MainWindow) -> None:
    window.cockpit.toggle_difference()


def errors(window: MainWindow) -> None:
    alone(window)
    window.cockpit.versus = Versus.SPLIT
    window.cockpit.set_view(View.ERRORS)


# By the screen's scale: what is done there, one after the other.
STEPS = {
    "1": [
        Step(size(1420, 820, "timings"), full, 2, "cockpit.png"),
        Step(road, looked, 2, "road.png"),
        Step(doubt, told, 2, "doubt.png"),
        Step(plain, nothing, 0),
        Step(light, full, 2, "cockpit-light.png"),
        Step(dark_compare, compared, 15, "compare.png"),
        Step(alone, lone, 0),
        Step(small, lone, 2),
        Step(point, nothing, 1, "small.png"),
        Step(lambda window: (point_away(window), window.cockpit.set_view(View.OVERLAY), wide(window)), nothing, 1),
        Step(nothing, nothing, 2.5, film=nothing),
        Step(compare, compared, 3.5, film=drag),
        Step(difference, nothing, 1.5, film=nothing),
        Step(errors, lone, 2, "drive.webp", film=nothing),
    ],
    "2": [Step(size(800, 600), full, 2, "cockpit-2x.png")],
}


def the_window() -> MainWindow:
    return next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow))


def grabbed(window: MainWindow) -> Image.Image:
    image = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    assert bits is not None
    bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())  # type: ignore[call-overload]
    return Image.fromarray(rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy())


def save(window: MainWindow, path: Path) -> None:
    """The video loses bits until the file is small enough; the controls around it keep all theirs."""
    window.refresh()
    pixels, ratio, video = np.array(grabbed(window)), window.devicePixelRatioF(), window.video
    corner = video.mapTo(window, QPoint(0, 0))
    left, top, width, height = (round(ratio * value) for value in (corner.x(), corner.y(), video.width(), video.height()))
    area = pixels[top : top + height, left : left + width]
    whole = area.copy()
    for bits in range(3, 7):
        area[:] = (whole >> bits << bits) + (1 << bits - 1)
        Image.fromarray(pixels).save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            return
    raise SystemExit(f"{path}: has more than {MOST_BYTES} bytes however coarse it is")


def save_film(pictures: list[Image.Image], path: Path) -> None:
    for quality in (70, 60, 50, 40, 30, 20):
        made = BytesIO()
        pictures[0].save(
            made, "WEBP", save_all=True, append_images=pictures[1:], duration=round(1000 / FILM_FPS), loop=0, quality=quality, method=4
        )
        if made.tell() <= MOST_FILM_BYTES:
            path.write_bytes(made.getvalue())
            return
    raise SystemExit(f"{path}: has more than {MOST_FILM_BYTES} bytes however coarse it is")


class Director:
    """One step after the other, as fast as the machine comes to it."""

    def __init__(self, steps: list[Step]) -> None:
        self.left, self.film = steps, list[Image.Image]()
        self.since_s: float | None = None

    def go(self) -> None:
        if not self.left:
            the_window().close()
            return
        self.since_s = None
        self.left[0].do(the_window())
        self.look()

    def look(self) -> None:
        step, window = self.left[0], the_window()
        if self.since_s is None and step.done(window):
            self.since_s = time.monotonic()
        if self.since_s is not None:
            share = (time.monotonic() - self.since_s) / max(step.seconds, 1e-3)
            if step.film and share < 1:
                step.film(window, share)
                self.film.append(grabbed(window))
            if share >= 1:
                if step.picture.endswith(".webp"):
                    save_film(self.film, IMAGES / step.picture)
                elif step.picture:
                    save(window, IMAGES / step.picture)
                self.left = self.left[1:]
                self.go()
                return
        QTimer.singleShot(round(1000 / FILM_FPS), self.look)


def show(steps: list[Step]) -> None:
    director = Director(steps)

    class Directed(Player):
        def open(self) -> None:
            super().open()
            QTimer.singleShot(500, director.go)

    with tempfile.TemporaryDirectory() as folder:
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
        app = QApplication(["drive-seg"])
        run_window(Directed(Settings.load(None, RUN)))
        del app


if __name__ == "__main__":
    WANTED = int(sys.argv[1]) if len(sys.argv) > 1 else FRAMES
    IMAGES.mkdir(parents=True, exist_ok=True)
    if "SCREENSHOT_SCALE" in os.environ:
        show(STEPS[os.environ["SCREENSHOT_SCALE"]])
    else:
        for scale in STEPS:  # Qt asks for it once in a process
            there = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": scale, "SCREENSHOT_SCALE": scale}
            subprocess.run([sys.executable, *sys.argv], env=there, check=True)
