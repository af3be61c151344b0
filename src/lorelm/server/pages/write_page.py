"""The page on which to write, as the server makes it: :class:`WritePage`."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import render_template, request
from werkzeug.exceptions import NotFound

from lorelm.errors import LoreLMError
from lorelm.history.record import Record
from lorelm.server.history.log import Asker, HistoryLog
from lorelm.server.pages.form import (
    NUM_ALTERNATIVES,
    SECOND_TEMPERATURE,
    controls,
    explained,
)
from lorelm.server.pages.shown_words import LEVEL_BOUNDS, shown_words
from lorelm.server.pages.written import Written, given_to_script
from lorelm.server.request_model import MAX_TEXT_CHARACTERS
from lorelm.server.served_models import ServedModels
from lorelm.server.settings import ServerSettings


def page_data(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the values that the script of the page reads, see ``PageData`` in static/types.d.ts.

    Args:
        given: the text that the script shows.
    """
    return {
        "num_alternatives": NUM_ALTERNATIVES,
        "max_prompt_length": MAX_TEXT_CHARACTERS,
        "level_bounds": LEVEL_BOUNDS,
        "given": given,
    }


class WritePage:
    """What all views of the page have in common."""

    def __init__(
        self, models: ServedModels, settings: ServerSettings, history: HistoryLog | None
    ) -> None:
        self._models = models
        self._history = history
        self._notices = [*settings.notices, *models.notices]
        self._controls = controls(settings.limits)
        self._labels = {each.name: each.label for each in self._controls} | {
            "prompt": "Your text",
            SECOND_TEMPERATURE.name: SECOND_TEMPERATURE.label,
        }

    def asker(self) -> Asker:
        """The person who asks now; one whose browser sends no cookie has no history."""
        browsers = self._history.browsers if self._history else None
        return Asker(source="page", browser=browsers.current() if browsers else None)

    def record(self, record_id: str, *, of_whole: bool = False) -> Record:
        """A record of the browser that asks now.

        Args:
            of_whole: it may be of another browser, or of a program.

        Raises:
            NotFound: there is none of this id.
            HistoryError: the database fails.
        """
        record = None
        browser = self.asker().browser
        if self._history is not None and (of_whole or browser is not None):
            record = self._history.store.get(record_id, None if of_whole else browser)
        if record is None:
            where = "the" if of_whole else "this browser's"
            raise NotFound(f"there is no such text in {where} history")
        return record

    def render(
        self,
        *,
        form: Mapping[str, str],
        written: Sequence[Written] | None = None,
        given: Mapping[str, Any] | None = None,
        note: str = "",
        error: LoreLMError | None = None,
    ) -> str:
        """The page.

        Args:
            form: as it is to be filled in; what is missing is as usual.
            written: what is to be seen below the form.
            given: what the script puts into the text; that of `written` by default.
            note: how it went.
        """
        if self._history is not None and request.method == "GET":
            self._history.browsers.welcome()  # what it has written is its own from the beginning
        chosen = [model for model in self._models if model.name == form.get("model")]
        return render_template(
            "write.html",
            models=self._models,
            chosen=chosen[0] if chosen else self._models.default,
            notices=self._notices,
            controls=self._controls,
            second_temperature=SECOND_TEMPERATURE,
            can_forbid_copies=any(served.model.can_forbid_copies for served in self._models),
            prompt_limit=MAX_TEXT_CHARACTERS,
            shown_words=shown_words,
            history=self._history,
            form=form,
            written=written,
            page_data=page_data(given or given_to_script(written)),
            note=note,
            error=explained(error, self._labels) if error else "",
        )
