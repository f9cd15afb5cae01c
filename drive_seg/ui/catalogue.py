"""The window's words in other languages, read from Qt's .ts files beside this one, so that nothing has to be compiled."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from PyQt6.QtCore import QTranslator

FOLDER = Path(__file__).parent


class Catalogue(QTranslator):
    """`texts`: by context and English text; what is in none stays English."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.texts: dict[tuple[str, str], str] = {}
        for context in ElementTree.parse(path).getroot().iter("context"):
            for message in context.iter("message"):
                key = context.findtext("name", ""), message.findtext("source", "")
                self.texts[key] = message.findtext("translation", "") or key[1]

    def translate(self, context: str | None, text: str | None, disambiguation: str | None = None, n: int = -1) -> str | None:  # type: ignore[override]
        return self.texts.get((context or "", text or ""))

    def isEmpty(self) -> bool:
        return not self.texts


def catalogue_for(languages: Iterable[str]) -> Catalogue | None:
    """Of the first of these languages (`de-AT`, `en-GB` …) that the window speaks; None where that is English, or there is none."""
    for language in (language.replace("_", "-").partition("-")[0].lower() for language in languages):
        if language == "en":
            return None
        if (path := FOLDER / f"{language}.ts").is_file():
            return Catalogue(path)
    return None
