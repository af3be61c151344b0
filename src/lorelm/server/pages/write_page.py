"""Render the page with the form, the editor and generated texts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from flask import render_template, request
from werkzeug.exceptions import NotFound

from lorelm.errors import LoreLMError, SamplingError, UnknownModelError
from lorelm.generation.blend import partner_of, share_of
from lorelm.generation.controls import (
    BLEND_SHARE,
    LEVEL_BOUNDS,
    NUM_ALTERNATIVES,
    SECOND_TEMPERATURE,
)
from lorelm.generation.reply import Reply
from lorelm.generation.sequence import GenerationRequest
from lorelm.history.record import Record
from lorelm.server.generate import page_client, start_generation
from lorelm.server.history.log import is_served_by, request_again
from lorelm.server.language import explicit_language, page_catalogue
from lorelm.server.pages.form import FORM_FIELDS, controls, explained
from lorelm.server.pages.scene import (
    Part,
    next_speaker,
    parts_of,
    speaker_choices,
    speakers_by_model,
)
from lorelm.server.pages.shown_words import shown_words
from lorelm.server.request_model import MAX_TEXT_CHARACTERS
from lorelm.server.served_model import ServedModel
from lorelm.server.state import server_state
from lorelm.version import VERSION

_MODULES: Final = (
    *("api", "dialog", "docx", "dom", "draft_keeper", "draft_list", "drafts", "generation"),
    *(
        "kept_content",
        "local_drafts",
        "messages",
        "requests",
        "samples",
        "scene",
        "server_drafts",
        "settings",
    ),
    *("surface", "text_files", "tools", "translate", "unknown_words", "words", "zip"),
)
"""What static/write.js imports: the browser fetches all of it at once."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The texts that a model has generated at a temperature."""

    model: str
    temperature: float
    reply: Reply
    prompt_parts: Sequence[Part]

    @classmethod
    def of(cls, served: ServedModel, request: GenerationRequest) -> Self:
        """Return the result of a finished request."""
        reply = served.model.reply(request)
        return cls(
            model=served.name,
            temperature=request.settings.temperature,
            reply=reply,
            prompt_parts=parts_of(reply.prompt, served.model.tokenizer),
        )


def render_write_page(
    *,
    form: Mapping[str, str],
    results: Sequence[Result] = (),
    given: Mapping[str, Any] | None = None,
    note: str = "",
    error: LoreLMError | None = None,
    is_embedded: bool = False,
) -> str:
    """Render the page.

    Args:
        form: the values of the form; defaults for missing ones.
        results: texts to show below the form.
        given: the text that the script shows in the editor; by default a single result.
        note: the status line.
        error: shown in place of a result.
        is_embedded: for a frame in a page of another site, which gets no cookie.
    """
    state = server_state()
    if state.history is not None and request.method == "GET" and not is_embedded:
        state.history.browser_ids.ensure_id()  # so that the first text already has an owner
    by_name = {model.name: model for model in state.models}
    chosen = by_name.get(form.get("model", ""), state.models[0])
    speakers = speakers_by_model(state.models)
    return render_template(
        "embed.html" if is_embedded else "write.html",
        action=_action(is_embedded=is_embedded),
        title=state.settings.title,
        home=state.settings.home,
        models=state.models,
        chosen=chosen,
        speakers=speakers,
        choices=speaker_choices(form.get("prompt", ""), chosen),
        notices=[*state.settings.notices, *state.notices],
        controls=controls(state.settings.limits),
        can_forbid_copies=any(served.model.can_forbid_copies for served in state.models),
        second_temperature=SECOND_TEMPERATURE,
        blend_share=BLEND_SHARE,
        cache=state.settings.cache,
        prompt_limit=MAX_TEXT_CHARACTERS,
        shown_words=shown_words,
        history=state.history,
        form=form,
        results=results,
        page_data=_page_data(given or _single_text(results), speakers, is_embedded=is_embedded),
        modules=_MODULES,
        note=note,
        errors=explained(error) if error else (),
    )


def _action(*, is_embedded: bool) -> str:
    """Return the address that the form is sent to."""
    if not is_embedded:
        return "."
    # A frame in a page of another site has no cookie that could remember the language.
    chosen = explicit_language()
    return f"embed?lang={chosen}" if chosen else "embed"


def _page_data(
    given: Mapping[str, Any] | None, speakers: Mapping[str, Any], *, is_embedded: bool
) -> dict[str, Any]:
    """Return what the script needs: PageData in static/types.d.ts."""
    state = server_state()
    has_history = state.history is not None
    return {
        "drafts": "nowhere" if is_embedded else "server" if has_history else "browser",
        "can_share": state.settings.share_links and not is_embedded,
        "max_body_bytes": state.settings.max_body_bytes,
        "titles": {served.name: served.title for served in state.models},
        "num_alternatives": NUM_ALTERNATIVES,
        "max_prompt_length": MAX_TEXT_CHARACTERS,
        "level_bounds": LEVEL_BOUNDS,
        "given": given,
        **({"speakers": speakers} if speakers else {}),
    }


def render_regenerated(record: Record) -> str:
    """Generate the text of a record again, and render the page with it.

    Raises:
        SamplingError: the model that generated it is not served.
    """
    served = _model_of(record)
    if served is None:
        raise SamplingError(
            "model",
            f"{record.model!r}, in the version of this text (fingerprint {record.fingerprint}), "
            "is not served now, so the text cannot be generated again",
            code="history.model_not_served",
        )
    again = request_again(record, served, num_alternatives=NUM_ALTERNATIVES)
    start_generation(served, [again], page_client()).wait()
    result = Result.of(served, again)
    note = _note_on_regenerated(record, is_same=result.reply.text == record.text)
    return render_write_page(form=form_of(record), results=[result], note=note)


def _note_on_regenerated(record: Record, *, is_same: bool) -> str:
    texts = page_catalogue()
    if is_same:
        return texts.gettext("Generated again: the same text.")
    if record.version == VERSION:
        return texts.gettext("Generated again, with a different text.")
    return texts.gettext(
        "Generated again, with a different text: version %(version)s of LoreLM wrote the first.",
        version=record.version,
    )


def _model_of(record: Record) -> ServedModel | None:
    """Return the model, or the blend of models, that would write a record again."""
    state, blend = server_state(), record.settings.get("blend")
    candidates = list(state.models)
    if blend:
        with suppress(UnknownModelError, SamplingError):
            candidates = [state.served(record.model, blend)]
    return next((each for each in candidates if is_served_by(record, each)), None)


def form_of(record: Record) -> dict[str, str]:
    """Return the fields of the form that would generate a record."""
    values = record.settings | {
        "prompt": record.prompt,
        "model": record.model,
        "seed": record.seed,
        "novel_span": record.settings.get("novel_span") or "",
    }
    values["must_contain"] = ", ".join(record.settings.get("must_contain") or ())
    values["memory"] = record.settings.get("memory") or ""
    fields = {name: str(value) for name, value in values.items() if name in FORM_FIELDS}
    if blend := record.settings.get("blend"):
        second = partner_of(blend, record.model)
        fields |= {"model_b": second, BLEND_SHARE.name: f"{share_of(blend, second):g}"}
    return fields | {"next_speaker": next_speaker(record)}


def find_record(record_id: str, *, of_any: bool = False) -> Record:
    """Return a record of this browser, with `of_any` also of other clients.

    Raises:
        NotFound: it has no such record.
        HistoryError: the database fails.
    """
    history, browser = server_state().history, page_client().browser
    record = None
    if history is not None and (of_any or browser is not None):
        record = history.store.get(record_id, None if of_any else browser)
    if record is None:
        where = "the" if of_any else "this browser's"
        raise NotFound(f"there is no such text in {where} history")
    return record


def _single_text(results: Sequence[Result]) -> dict[str, Any] | None:
    """Return a result that the page's script moves into the text; None if there are several."""
    samples = [sample for result in results for sample in result.reply.samples]
    if len(samples) != 1:
        return None
    return {"prompt": results[0].reply.prompt} | asdict(samples[0])
