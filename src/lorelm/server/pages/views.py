"""The web page: a text that the model goes on with, and what the model is worth."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request

from lorelm.bundle.manifest import Figures
from lorelm.errors import SamplingError, UnavailableError
from lorelm.evaluation.tables import FiguresTable, copies_table, describe_text, foretelling_table
from lorelm.evaluation.verdicts import verdicts
from lorelm.generation.reply import Reply
from lorelm.generation.settings import NOVEL_SPAN_USUAL
from lorelm.server.api.views import client_is_gone
from lorelm.server.errors import status_of
from lorelm.server.pages.form import WriteForm, controls, explained
from lorelm.server.pages.shown_words import shown_words
from lorelm.server.served_models import ServedModels
from lorelm.server.settings import ServerSettings


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a model has written, and at which temperature."""

    model: str
    temperature: float
    reply: Reply


def make_pages(models: ServedModels, settings: ServerSettings) -> Blueprint:
    """The views that people see. Every URL in them is relative, so any path prefix works.

    The page does its work by the API where scripts run; the form is for where they do not.
    """
    pages = Blueprint("pages", __name__)
    shown_controls = controls(settings)
    labels = {control.name: control.label for control in shown_controls} | {
        "prompt": "Your text",
        "temperature_b": "Second temperature",
    }

    @pages.get("/")
    def write_page() -> str:
        return _write_page()

    @pages.post("/")
    def write() -> str | tuple[str, int]:
        try:
            form = WriteForm.from_form(request.form)
            written = _write(models, form)
        except (SamplingError, UnavailableError) as error:
            return _write_page(error=explained(error, labels)), status_of(error)
        return _write_page(written=written)

    @pages.get("/model")
    def model_page() -> str:
        served = models.find(request.args.get("name"))
        figures = served.manifest.figures
        return render_template(
            "model.html",
            served=served,
            models=models,
            manifest=served.manifest,
            tables=_tables(figures),
            verdicts=verdicts(figures) if figures else [],
            text=describe_text(figures) if figures else "",
        )

    def _write_page(**result: Any) -> str:
        form = request.form
        return render_template(
            "write.html",
            models=models,
            chosen=next((m for m in models if m.name == form.get("model")), models.default),
            controls=shown_controls,
            can_forbid_copies=any(served.model.can_forbid_copies for served in models),
            novel_span=NOVEL_SPAN_USUAL,
            shown_words=shown_words,
            form=form,
            **result,
        )

    return pages


def _write(models: ServedModels, form: WriteForm) -> list[Written]:
    """Has everything written that the form asks for, at the same time."""
    with ExitStack() as begun:
        parts = []
        for asked in form.requests():
            served = models.find(asked.model)
            task = asked.task(served)
            generation = served.begin([task], is_abandoned=client_is_gone())
            begun.callback(generation.close)
            parts.append((served, task, generation))
        for _, _, generation in parts:
            generation.wait()
    return [
        Written(
            model=served.name,
            temperature=task.settings.temperature,
            reply=served.model.wording.reply(task),
        )
        for served, task, _ in parts
    ]


def _tables(figures: Figures | None) -> list[FiguresTable]:
    if figures is None:
        return []
    tables = (foretelling_table(figures), copies_table(figures))
    return [table for table in tables if table is not None]
