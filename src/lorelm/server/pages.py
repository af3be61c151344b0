"""The web page: a form, and the continuation below it."""

from flask import Blueprint, render_template, request

from lorelm.bundle.manifest import Figures
from lorelm.errors import SamplingError, UnavailableError
from lorelm.evaluation.tables import FiguresTable, copies_table, describe_text, foretelling_table
from lorelm.evaluation.verdicts import verdicts
from lorelm.generation.reply import Sample
from lorelm.generation.settings import NOVEL_SPAN_USUAL, GenerationSettings
from lorelm.server.api.requests import GenerateRequest
from lorelm.server.api.views import client_is_gone
from lorelm.server.errors import status_of
from lorelm.server.served_model import ServedModel


def make_pages(served: ServedModel) -> Blueprint:
    """The views that people see. Every URL in them is relative, so any path prefix works."""
    pages = Blueprint("pages", __name__)
    manifest = served.manifest

    @pages.get("/")
    def form() -> str:
        return _page()

    @pages.post("/")
    def continuation() -> str | tuple[str, int]:
        try:
            asked = GenerateRequest.from_form(request.form)
            task = served.model.task(
                served.model.read_prompt(asked.prompt),
                asked.settings(served.settings),
                deadline=served.deadline(None),
            )
            served.begin([task], is_abandoned=client_is_gone()).wait()
        except (SamplingError, UnavailableError) as error:
            return _page(error=error), status_of(error)
        return _page(reply=served.model.wording.reply(task))

    @pages.get("/model")
    def model_page() -> str:
        return render_template(
            "model.html",
            manifest=manifest,
            tables=_tables(manifest.figures),
            verdicts=verdicts(manifest.figures) if manifest.figures else [],
            text=describe_text(manifest.figures) if manifest.figures else "",
        )

    def _page(**result: object) -> str:
        return render_template(
            "page.html",
            manifest=manifest,
            defaults=GenerationSettings(),
            max_len_limit=served.settings.max_tokens_limit,
            can_forbid_copies=served.model.can_forbid_copies,
            novel_span=NOVEL_SPAN_USUAL,
            marked_pieces=marked_pieces,
            form=request.form,
            **result,
        )

    return pages


def _tables(figures: Figures | None) -> list[FiguresTable]:
    if figures is None:
        return []
    tables = (foretelling_table(figures), copies_table(figures))
    return [table for table in tables if table is not None]


def marked_pieces(sample: Sample) -> list[tuple[str, int]]:
    """The text of a sample in pieces, each with the length of the copied span it is of, or 0."""
    pieces = []
    done = 0
    for span in sample.copied_spans or ():
        start = max(span.start, done)  # two runs may overlap
        pieces += [(sample.text[done:start], 0), (sample.text[start : span.end], span.num_tokens)]
        done = max(done, span.end)
    pieces.append((sample.text[done:], 0))
    return [(text, num_tokens) for text, num_tokens in pieces if text]
