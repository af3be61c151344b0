"""The page of a training run, served by a thread of that process: :class:`WatchServer`."""

import threading
from typing import Final, Self, cast

from flask import Blueprint, Flask, current_app, render_template
from werkzeug.serving import WSGIRequestHandler, make_server

from lorelm.server.base_app import base_app
from lorelm.server.events import EventStream, event
from lorelm.server.watch.watched_run import WatchedRun

_HOST: Final = "127.0.0.1"

_SECONDS_TO_SEND: Final = 2.0
"""Limit for sending the end of the run to the pages that are open."""

_SECONDS_BETWEEN_POLLS: Final = 0.1
"""How long stopping the server may take."""

watch = Blueprint("watch", __name__)


@watch.get("/")
def watch_page() -> str:
    """Show the run; a script fills the page in."""
    return render_template("watch.html", **_run().about)


@watch.get("/events")
def watch_events() -> EventStream:
    """Stream what is known of the run, then what changes, until it ends."""
    changes = (event(each) for each in _run().events())
    return EventStream(changes, error_event=lambda _: "", on_close=lambda: None)


def _run() -> WatchedRun:
    return cast(WatchedRun, current_app.extensions["lorelm.watch"])


def watch_app(run: WatchedRun) -> Flask:
    """Return the application that shows a run."""
    app = base_app()
    # Another site whose name leads to this machine must not read the samples (DNS rebinding).
    app.config["TRUSTED_HOSTS"] = [_HOST, "localhost"]
    app.extensions["lorelm.watch"] = run
    app.register_blueprint(watch)
    return app


class WatchServer:
    """Serves the page of a run on a free port of this machine while the context is open.

    Werkzeug's server takes a thread for each connection: a few browser windows of one person.

    Attributes:
        url: of the page.
    """

    def __init__(self, run: WatchedRun) -> None:
        self._run: Final = run
        self._server: Final = make_server(
            _HOST, 0, watch_app(run), threaded=True, request_handler=_QuietHandler
        )
        self.url: Final = f"http://{_HOST}:{self._server.server_port}/"
        self._thread: Final = threading.Thread(
            target=self._server.serve_forever,
            args=(_SECONDS_BETWEEN_POLLS,),
            name="lorelm-watch",
            daemon=True,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._run.finish(timeout_seconds=_SECONDS_TO_SEND)
        self._server.shutdown()
        self._server.server_close()


class _QuietHandler(WSGIRequestHandler):
    """Prints no line for each request into the display of the training."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None: ...
