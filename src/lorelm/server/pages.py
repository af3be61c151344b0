"""The web page: a form, and the continuation below it."""

from flask import Blueprint, render_template, request

from lorelm.bundle.manifest import Manifest
from lorelm.errors import SamplingError
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.settings import GenerationSettings
from lorelm.server.requests import GenerateRequest
from lorelm.server.settings import ServerSettings


def make_pages(model: LanguageModel, manifest: Manifest, *, limits: ServerSettings) -> Blueprint:
    """The views that people see. Every URL in them is relative, so any path prefix works."""
    pages = Blueprint("pages", __name__)

    @pages.get("/")
    def form() -> str:
        return _page()

    @pages.post("/")
    def continuation() -> str | tuple[str, int]:
        try:
            asked = GenerateRequest.from_form(request.form)
            reply = model.reply(
                asked.prompt,
                asked.settings(
                    max_len_limit=limits.max_len_limit, num_samples_limit=limits.num_samples_limit
                ),
            )
        except SamplingError as error:
            return _page(error=error), 422
        return _page(reply=reply)

    def _page(**result: object) -> str:
        return render_template(
            "page.html",
            manifest=manifest,
            defaults=GenerationSettings(),
            max_len_limit=limits.max_len_limit,
            form=request.form,
            **result,
        )

    return pages
