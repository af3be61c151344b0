"""Start generations for the current HTTP request, and say which client sent it."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, after_this_request, g, request

from lorelm.generation.handle import RequestHandle
from lorelm.generation.sequence import GenerationRequest
from lorelm.server.events import EXCHANGE_KEY, Exchange
from lorelm.server.history.browser_ids import Client
from lorelm.server.history.log import records_of
from lorelm.server.keys.current import current_holder
from lorelm.server.served_model import ServedModel
from lorelm.server.state import server_state

PAGE_HEADER: Final = "Lorelm-Page"
"""Our page sends it to the API. A page of another site cannot set a header."""


def start_generation(
    served: ServedModel,
    requests: Sequence[GenerationRequest],
    client: Client,
    *,
    is_streamed: bool = False,
) -> RequestHandle:
    """Submit requests to a model; when they end, count them, and add them to history and trace.

    Required words are placed first, by requests that are not counted.

    Raises:
        ClientDisconnectedError: while words were placed.
        DeadlineError: likewise.
        QuotaError: the tokens of the client's key are used up.
        OverloadedError: too many requests are waiting.
        ShuttingDownError: the server is about to stop.
    """
    state = server_state()
    holder = current_holder()
    if state.quotas is not None and any(not each.only_reads for each in requests):
        state.quotas.require_tokens(holder)
    created_at, began = datetime.now(UTC), time.perf_counter()
    for each in requests:
        served.model.prepare(each, lambda further: _submit(served, further).wait())
    span = g.get("span")

    def on_close(handle: RequestHandle) -> None:
        state.metrics.record_generation(handle, holder and holder.name)
        if state.quotas is not None:
            num_tokens = sum(sequence.num_tokens for sequence in handle.sequences)
            state.quotas.count_tokens(holder, num_tokens, waits=not is_streamed)
        ended = time.perf_counter()
        if state.history is not None:
            for each in requests:
                for record in records_of(
                    each, served, client, created_at=created_at, duration_seconds=ended - began
                ):
                    state.history.writer.add(record)
        if state.traces is not None and span is not None:
            seconds = time.perf_counter() - ended if state.history is not None else 0.0
            state.traces.add_generation(span, handle, model=served.name, history_seconds=seconds)

    return _submit(served, requests, is_streamed=is_streamed, on_close=on_close)


def _submit(
    served: ServedModel, requests: Sequence[GenerationRequest], **options: Any
) -> RequestHandle:
    exchange: Exchange | None = request.environ.get(EXCHANGE_KEY)
    handle = RequestHandle(
        requests,
        cancel=served.engine.cancel,
        stream_interval=served.settings.stream_interval_ms / 1000,
        is_disconnected=exchange.is_disconnected if exchange else lambda: False,
        **options,
    )
    served.engine.submit(handle)

    def release_at_end(response: Response) -> Response:
        response.call_on_close(handle.release)
        return response

    after_this_request(release_at_end)
    return handle


def api_client() -> Client:
    """Return the client of a request to the API: the script of our page, or a program."""
    history = server_state().history
    if history is None:
        return Client(source="api")
    ids = history.browser_ids
    browser = ids.ensure_id() if PAGE_HEADER in request.headers else ids.current()
    return Client(source="page" if browser else "api", browser=browser)


def page_client() -> Client:
    """Return the client of a form; one without a cookie has no history."""
    history = server_state().history
    return Client(source="page", browser=history.browser_ids.current() if history else None)


def set_client_cookie(response: Response) -> Response:
    """Send the browser its cookie, where a history is kept."""
    history = server_state().history
    return response if history is None else history.browser_ids.set_cookie(response)
