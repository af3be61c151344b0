"""Bring the message catalogues up to date: ``python translations/update.py [LANGUAGE]``.

Reads the texts of the pages into ``lorelm.pot``, puts new ones into the ``.po`` file of each
language (and begins that of LANGUAGE, such as ``es``), and compiles all of them: ``.mo`` for
templates and Python, ``messages-LANGUAGE.js`` for the scripts. See docs/guides/translating.md.

A language with a region is ``pt_BR.po`` here, as editors of PO files expect, and pt-BR (BCP 47) in
the names of compiled files, in addresses and in pages.
"""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from gettext import c2py  # type: ignore[attr-defined]  # what gettext itself reads rules with
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from lorelm.cli.studio import training_parameters
from lorelm.corpus.documents import ReadingOptions
from lorelm.generation.controls import BLEND_SHARE, CONTROLS, SECOND_TEMPERATURE
from lorelm.parameters import parameters_of

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = ROOT / "src" / "lorelm"
FOLDER: Final = Path(__file__).resolve().parent
COMPILED: Final = SOURCE / "translations"
STATIC: Final = SOURCE / "server" / "static"
TEMPLATE: Final = FOLDER / "lorelm.pot"

KEYWORDS: Final = {**DEFAULT_KEYWORDS, "gettext_noop": None}
TAG: Final = "For translators:"

# What a person reads on a page. The command line, the API and the report are English.
JINJA: Final = {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}
METHODS: Final = [
    ("server/static/messages-*.js", "ignore"),
    ("server/templates/docs.html", "ignore"),
    ("**/static/**.js", "javascript"),
    ("**/templates/**.html", "jinja2"),
    ("server/**.py", "python"),
    ("translations/message_catalogue.py", "python"),
]
_FIXED_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)  # a new extraction of the same is the same


def parameter_texts() -> Iterator[tuple[str, str]]:
    """Yield the labels and helps of the settings that pages show, each after its file."""
    writing = [*CONTROLS, SECOND_TEMPERATURE, BLEND_SHARE]
    reading = [*parameters_of(ReadingOptions).values()]
    training = [*training_parameters().values()]
    for file, parameters in (
        ("generation/controls.py", writing),
        ("corpus/documents.py", reading),
        ("training/recipe.py", training),
    ):
        for each in parameters:
            yield from ((file, text) for text in (each.label, each.help) if text)


def extracted() -> Catalog:
    """Return the texts of the source."""
    catalog = Catalog(
        project="LoreLM",
        version=None,
        copyright_holder="The LoreLM founders",
        msgid_bugs_address="",
        creation_date=_FIXED_TIME,
        charset="utf-8",
    )
    for name, _, message, comments, context in extract_from_dir(
        SOURCE,
        method_map=METHODS,
        options_map={
            "**/templates/**.html": JINJA,
            "**/static/**.js": {"parse_template_string": "false"},
        },
        keywords=KEYWORDS,
        comment_tags=[TAG],
        strip_comment_tags=True,
        directory_filter=lambda _: True,
    ):
        catalog.add(message, None, [(name, None)], auto_comments=comments, context=context)
    for name, text in parameter_texts():
        catalog.add(text, None, [(name, None)])
    return catalog


def po_path(code: str) -> Path:
    """Return the file with the texts of a language."""
    return FOLDER / f"{code.replace('-', '_')}.po"


def code_of(path: Path) -> str:
    """Return the language of a file, as in ``<html lang>``."""
    return path.stem.replace("_", "-")


def po_bytes(catalog: Catalog) -> bytes:
    file = BytesIO()
    write_po(
        file, catalog, width=100, sort_by_file=True, include_lineno=False, include_previous=True
    )
    return file.getvalue()


def read(path: Path) -> Catalog:
    """Return the catalogue of a language."""
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def updated(path: Path, template: Catalog) -> Catalog:
    """Return the catalogue of a language with the texts of a template; fuzzy where they changed."""
    catalog = read(path)
    catalog.update(template, no_fuzzy_matching=False, update_creation_date=False)
    catalog.obsolete.clear()
    return catalog


def new_language(code: str, template: Catalog) -> Catalog:
    catalog = Catalog(
        locale=po_path(code).stem, project="LoreLM", fuzzy=False, creation_date=_FIXED_TIME
    )
    catalog.update(template)
    return catalog


def mo_bytes(catalog: Catalog) -> bytes:
    file = BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def script_bytes(catalog: Catalog) -> bytes:
    """Return the module with the texts of the scripts; a line each, so that changes can be read."""
    texts = {
        _key(message): message.string if isinstance(message.string, str) else [*message.string]
        for message in catalog
        if message.id and message.string and not message.fuzzy and _is_of_script(message)
    }
    plural = c2py(catalog.plural_expr)
    content = {"plurals": "".join(str(plural(n)) for n in range(200)), "texts": texts}
    shown = json.dumps(content, ensure_ascii=False, indent=1)
    return (
        f"// Made of translations/{catalog.locale}.po by translations/update.py.\n\n"
        f'import {{ setMessages }} from "./translate.js";\n\nsetMessages({shown});\n'
    ).encode()


def _key(message: Message) -> str:
    first = message.id if isinstance(message.id, str) else message.id[0]
    return f"{message.context}\x04{first}" if message.context else first


def _is_of_script(message: Message) -> bool:
    return any(name.endswith(".js") for name, _ in message.locations)


def main() -> None:
    template = extracted()
    TEMPLATE.write_bytes(po_bytes(template))
    for code in sys.argv[1:]:
        path = po_path(code)
        if not path.exists():
            path.write_bytes(po_bytes(new_language(code, template)))
    for path in sorted(FOLDER.glob("*.po")):
        path.write_bytes(po_bytes(updated(path, template)))
        catalog = read(path)
        code = code_of(path)
        (COMPILED / f"{code}.mo").write_bytes(mo_bytes(catalog))
        (STATIC / f"messages-{code}.js").write_bytes(script_bytes(catalog))
        missing = sum(not all(_strings(each)) or each.fuzzy for each in catalog if each.id)
        print(f"{code}: {len(catalog)} texts, {missing} to translate")


def _strings(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


if __name__ == "__main__":
    main()
