"""Refresh the PO files from the English text, and count what is left to translate.

Sphinx extracts the messages of the pages, sphinx-intl merges them: a message whose
English has changed becomes *fuzzy* and is shown in English, marked, until it is
translated again. The interface's words are extracted from the extensions and templates.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "book" / "_ext")]

from babel.messages import extract, pofile  # noqa: E402
from babel.messages.catalog import Catalog  # noqa: E402
from build import Build, BuildError, environment  # noqa: E402
from facts import facts  # noqa: E402
from interface import CATALOG, LANGUAGES  # noqa: E402

SOURCE_LANGUAGE = "en"
HEADER = """# {title}: text in the language {language}. CC BY 4.0.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""


@dataclass(frozen=True)
class Count:
    """How far one PO file is."""

    name: str
    translated: int
    stale: int
    missing: int


def extract_pages(root: Path, target: Path) -> None:
    """Write the messages of every page as POT files."""
    build = Build(root)
    build.settings()
    build.execute()  # alt texts of cells belong to pictures, which executing makes
    build.sphinx("gettext", SOURCE_LANGUAGE, target, read_into="gettext")
    (target / "sphinx.pot").unlink(missing_ok=True)


def interface_messages(root: Path) -> Catalog:
    """Collect the interface's words."""
    catalog = Catalog(domain=CATALOG, charset="utf-8", project=facts().title)
    catalog.add(facts().title, locations=[("CITATION.cff", 0)])
    sources = [(p, "python") for p in sorted((root / "book" / "_ext").glob("*.py"))]
    sources += [(p, "jinja2") for p in sorted((root / "book" / "_templates").rglob("*.html"))]
    for path, method in sources:
        with path.open("rb") as file:
            keywords = {"_": None, "_book": None}
            found = extract.extract(
                "jinja2.ext:babel_extract" if method == "jinja2" else method, file, keywords
            )
            for _line, message, _comments, _context in found:
                catalog.add(message, locations=[(path.relative_to(root).as_posix(), 0)])
    return catalog


def update_interface(root: Path, language: str) -> None:
    """Merge the interface's words into a language's catalog."""
    path = root / "book" / "locale" / language / "LC_MESSAGES" / f"{CATALOG}.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    template = interface_messages(root)
    if path.exists():
        with path.open("rb") as file:
            catalog = pofile.read_po(file, locale=language)
        catalog.update(template)
    else:
        catalog = Catalog(locale=language, domain=CATALOG, charset="utf-8")
        catalog.update(template)
    with path.open("wb") as file:
        pofile.write_po(file, catalog, width=0, ignore_obsolete=True, include_lineno=False)
    _plain_header(path, language)


def update_pages(root: Path, pot: Path, languages: list[str]) -> None:
    """Merge the pages' messages into every language's catalogs."""
    command = [str(Path(sys.executable).with_name("sphinx-intl")), "update", "-p", str(pot)]
    command += ["-d", str(root / "book" / "locale"), "--line-width", "-1", "--no-obsolete"]
    for language in languages:
        command += ["-l", language]
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    for language in languages:
        for path in (root / "book" / "locale" / language).rglob("*.po"):
            _plain_header(path, language)


def _plain_header(path: Path, language: str) -> None:
    """Give a PO file a header without dates, which would change every file each time."""
    _header, _blank, messages = path.read_text(encoding="utf-8").partition("\n\n")
    header = HEADER.format(title=facts().title, language=language)
    path.write_text(f"{header}\n{messages}", encoding="utf-8")


def count(path: Path, locale: Path) -> Count:
    """Count the messages of one PO file."""
    with path.open("rb") as file:
        messages = [m for m in pofile.read_po(file) if m.id]
    stale = sum(m.fuzzy for m in messages)
    missing = sum(not m.string for m in messages if not m.fuzzy)
    name = path.relative_to(locale).with_suffix("").as_posix()
    return Count(name, len(messages) - stale - missing, stale, missing)


def counts(root: Path, language: str) -> list[Count]:
    """Count every PO file of a language."""
    locale = root / "book" / "locale" / language / "LC_MESSAGES"
    return [count(path, locale) for path in sorted(locale.rglob("*.po"))]


def record_section_ids(root: Path) -> list[str]:
    """Add new section ids to the record; ids are never taken out by machine."""
    record = root / "book" / "section-ids.txt"
    known = set(record.read_text().split()) if record.exists() else set()
    for path in sorted((root / "book").rglob("*.md")):
        page = path.relative_to(root / "book").with_suffix("").as_posix()
        for label in re.findall(r"^\((sec-[\w-]+)\)=$", path.read_text(encoding="utf-8"), re.M):
            known.add(f"{page}#{label}")
    record.write_text("\n".join(sorted(known)) + "\n")
    return sorted(known)


def main() -> int:
    """Refresh, record, report."""
    parser = argparse.ArgumentParser(description="Refresh the translations.")
    parser.add_argument("--root", type=Path, default=HERE.parent)
    parser.add_argument("--count", action="store_true", help="only count")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    environment()
    languages = [code for code in LANGUAGES if code != SOURCE_LANGUAGE]
    if not arguments.count:
        os.chdir(root)
        pot = root / "_build" / "gettext"
        extract_pages(root, pot)
        update_pages(root, pot, languages)
        for language in languages:
            update_interface(root, language)
        record_section_ids(root)
    for language in languages:
        print(f"{LANGUAGES[language]} ({language}): translated / stale / missing")
        for entry in counts(root, language):
            print(f"  {entry.name:<36}{entry.translated:>5} /{entry.stale:>4} /{entry.missing:>4}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BuildError as error:
        sys.exit(f"\nThe pages cannot be read:\n{error}")
