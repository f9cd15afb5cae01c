"""A real browser, Chromium in Qt WebEngine, in a process of its own and without a screen: opens an address, takes steps, says what it saw.

python -m tests.serve.browser URL STEPS [PICTURE]: STEPS is a JSON list of pairs, a script and an expression that comes true once the script
has done its work. Prints a JSON object: `values`, what each expression came to, and `console`, what the page or its policy complained of.
"""

import json
import os
import sys

from PyQt6.QtCore import QTimer, QUrl
from PyQt6.QtWebEngineCore import QWebEnginePage
from PyQt6.QtWebEngineWidgets import QWebEngineView
from PyQt6.QtWidgets import QApplication

TICK_MS = 50
SETTLED_MS = 500  # until what was drawn can be grabbed
SIZE_PX = 1240, 840
FLAGS = "--no-sandbox --disable-gpu --disable-dev-shm-usage"  # it may be root's, in a container


class Page(QWebEnginePage):
    def __init__(self, view: QWebEngineView) -> None:
        super().__init__(view)
        self.said: list[str] = []

    def javaScriptConsoleMessage(self, level: object, message: str | None, line: int, source: str | None) -> None:
        self.said.append(f"{source}:{line}: {message}")


def browse(url: str, steps: list[tuple[str, str]], picture: str | None) -> dict[str, object]:
    app, view = QApplication(["browser"]), QWebEngineView()
    page, values = Page(view), list[object]()
    view.setPage(page)
    view.resize(*SIZE_PX)

    def step() -> None:
        if len(values) == len(steps):
            QTimer.singleShot(SETTLED_MS if picture else 0, end)
        else:
            page.runJavaScript(steps[len(values)][0], lambda _: wait())

    def wait() -> None:
        page.runJavaScript(steps[len(values)][1], judge)

    def judge(value: object) -> None:
        if value:
            values.append(value)
            step()
        else:
            QTimer.singleShot(TICK_MS, wait)

    def end() -> None:
        if picture:
            view.grab().save(picture)
        app.quit()

    page.loadFinished.connect(lambda well: step() if well else app.exit(1))
    view.show()
    view.load(QUrl(url))
    if app.exec():
        raise SystemExit(f"{url}: could not be loaded")
    return {"values": values, "console": page.said}


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("QTWEBENGINE_CHROMIUM_FLAGS", FLAGS)
    print(json.dumps(browse(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)), flush=True)
    os._exit(0)  # WebEngine has processes and threads of its own, which nothing here has to wait for
