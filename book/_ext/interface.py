"""The words around the text (buttons, labels, messages) in the page's language.

English stands in the templates, in the extensions and in ``WORDS``; each language's
words stand in ``locale/<language>/LC_MESSAGES/interface.po``. Words that third-party
extensions show are in ``WORDS`` too and are set here, so that nothing stays English.
"""

from __future__ import annotations

from pathlib import Path

from facts import facts
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.locale import get_translation

CATALOG = "interface"
_ = get_translation(CATALOG)

LANGUAGES = {"en": "English", "ja": "日本語"}
"""Every language of the book: its code and its own name for itself."""


def words() -> dict[str, str]:
    """Everything that the scripts say, by key; embedded in each page as JSON."""
    return {
        "search": _("Search this book"),
        "searchNone": _("Nothing found for “{query}”."),
        "searchOne": _("1 result"),
        "searchMany": _("{count} results"),
        "searchBusy": _("Searching…"),
        "searchFailed": _("The search index could not be loaded."),
        "close": _("Close"),
        "cite": _("Cite this section"),
        "citeText": _("Plain text"),
        "permalink": _("Permanent link"),
        "copy": _("Copy"),
        "copied": _("Copied"),
        "copyFailed": _("Copying failed: select the text and copy it."),
        "themeAuto": _("Colours: as the device"),
        "themeLight": _("Colours: light"),
        "themeDark": _("Colours: dark"),
    }


def _translate_settings(app: Sphinx, config: Config) -> None:
    """Set the words of third-party extensions that have no catalog of their own."""
    config.nb_code_prompt_show = _("Show the code")  # type: ignore[attr-defined]
    config.nb_code_prompt_hide = _("Hide the code")  # type: ignore[attr-defined]
    config.numfig_format = {  # type: ignore[attr-defined]
        "figure": _("Figure %s"),
        "table": _("Table %s"),
        "code-block": _("Listing %s"),
        "section": _("Section %s"),
        "exercise": _("Exercise %s"),
    }


def _compile(locale_dir: Path, language: str) -> None:
    """Compile the catalog when its source is newer."""
    from babel.messages import mofile, pofile

    source = locale_dir / language / "LC_MESSAGES" / f"{CATALOG}.po"
    target = source.with_suffix(".mo")
    if not source.exists() or (
        target.exists() and target.stat().st_mtime >= source.stat().st_mtime
    ):
        return
    with source.open("rb") as po, target.open("wb") as mo:
        mofile.write_mo(mo, pofile.read_po(po, locale=language))


def _add_words(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Give the templates the translating function and the scripts' words."""
    context["_book"] = _
    context["site_title"] = _(facts().title)
    context["interface_words"] = words()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    locale_dir = Path(app.srcdir) / "locale"
    _compile(locale_dir, app.config.language)
    app.add_message_catalog(CATALOG, str(locale_dir))
    app.connect("config-inited", _translate_settings, priority=200)
    app.connect("html-page-context", _add_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
