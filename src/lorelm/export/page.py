"""The page of an exported site, from the template of the server's writing page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, select_autoescape

from lorelm.bundle import Bundle
from lorelm.export.model_files import LEFT_OUT
from lorelm.generation.controls import (
    CONTROLS,
    LEVEL_BOUNDS,
    NUM_ALTERNATIVES,
    SECOND_TEMPERATURE,
    shown_perplexity,
)
from lorelm.parameters import Parameter
from lorelm.translations.message_catalogue import (
    SOURCE_LANGUAGE,
    Catalogue,
    LanguageChoice,
    catalogue,
    choices,
    install,
    languages,
)
from lorelm.version import VERSION

# The folder of files, not the package: what exports needs no server.
SERVER_DIR: Final = Path(__file__).parents[1] / "server"

_MAX_PROMPT_CHARACTERS: Final = 4_000
"""What the model reads of a long text: some 900 tokens, a second on a slow phone."""

_LIMITS: Final = {"max_len": 1_000, "num_samples": 16}


@dataclass(frozen=True, kw_only=True)
class PageFiles:
    """What the page loads.

    Attributes:
        modules: the scripts that are loaded at once.
        model, copies: the names of the data files; without `copies`, copies are not marked.
        num_bytes: of the model.
    """

    modules: Sequence[str]
    model: str
    copies: str | None
    num_bytes: int


def page_name(language: str) -> str:
    """Return the name of the page in a language."""
    return "index.html" if language == SOURCE_LANGUAGE else f"{language}.html"


def render_pages(
    bundle: Bundle, *, title: str | None, address: str | None, is_mixed: bool, files: PageFiles
) -> dict[str, str]:
    """Return the HTML of the page in each language, by the names of the files.

    Args:
        address: where the site will be, with a slash at its end, for its preview on other sites.
    """
    site = {"modules": files.modules, "version": VERSION, "address": address}
    model = {
        "name": "model",
        "title": title or bundle.manifest.source,
        "manifest": bundle.manifest,
        "model": {"is_mixed": is_mixed},
        "perplexity": shown_perplexity(bundle.manifest, is_mixed=is_mixed),
    }
    speakers = bundle.vocabulary.speaker_names
    return {
        page_name(code): _render(title, model, speakers, site, files, catalogue(code))
        for code in languages()
    }


def _render(
    title: str | None,
    model: Mapping[str, object],
    speakers: Sequence[str],
    site: Mapping[str, object],
    files: PageFiles,
    texts: Catalogue,
) -> str:
    name = str(model["name"])
    return (
        _environment(texts)
        .get_template("site.html")
        .render(
            title=title,
            language=texts,
            language_choices=_language_choices,
            action=".",
            site=site,
            models=[model],
            chosen={"name": name},
            speakers={name: speakers} if speakers else {},
            choices=speakers,
            notices=(),
            controls=_controls(),
            can_forbid_copies=files.copies is not None,
            second_temperature=SECOND_TEMPERATURE,
            prompt_limit=_MAX_PROMPT_CHARACTERS,
            form={},
            results=(),
            errors=(),
            note="",
            page_data=_page_data(speakers, model, files),
        )
    )


def _controls() -> list[Parameter]:
    """Return the controls of the page, within what it allows."""
    return [
        replace(each, max=_LIMITS.get(each.name, each.max))
        for each in CONTROLS
        if each.name not in LEFT_OUT
    ]


def _environment(texts: Catalogue) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent / "templates", SERVER_DIR / "templates"]),
        autoescape=select_autoescape(),
        trim_blocks=True,
    )
    install(environment, lambda: texts)
    return environment


def _language_choices() -> Sequence[LanguageChoice]:
    # In the address, for browsers that remember no choice: index.html leads on to their language.
    asking = {SOURCE_LANGUAGE: f"?lang={SOURCE_LANGUAGE}"}
    return choices(lambda code: page_name(code) + asking.get(code, ""))


def _page_data(
    speakers: Sequence[str], model: Mapping[str, object], files: PageFiles
) -> dict[str, object]:
    """Return what the script needs: PageData in static/types.d.ts of the server."""
    name = str(model["name"])
    return {
        "drafts": "browser",
        "can_share": False,
        "max_body_bytes": 0,
        "titles": {name: model["title"]},
        "num_alternatives": NUM_ALTERNATIVES,
        "max_prompt_length": _MAX_PROMPT_CHARACTERS,
        "level_bounds": LEVEL_BOUNDS,
        "given": None,
        "speakers": {name: speakers},
        "site": {"model": files.model, "copies": files.copies, "num_bytes": files.num_bytes},
    }
