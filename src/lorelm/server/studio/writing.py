"""The writing pages of the models, each an application of its own: :class:`WritingPages`."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from flask import Flask, render_template
from werkzeug.exceptions import HTTPException
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from lorelm.bundle.layout import EMBEDDED_NAME, EMBEDDED_PATH, MANIFEST
from lorelm.errors import BundleError, LoreLMError
from lorelm.server.app import create_app
from lorelm.server.errors import error_response, status_of
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state
from lorelm.server.studio.library import Library
from lorelm.server.studio.settings import StudioSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX: Final = "/write/"
_FILES: Final = "static/"

_MAX_OPEN: Final = 3
"""Models in memory at a time: 40 MB each for one of a film's size, 200 for a large one."""

_GRACE_SECONDS: Final = 10.0


class WritingPages:
    """Opens the page of a model when it is asked for, and closes the one that waited longest.

    A model that was trained anew is opened anew. While one is loaded, the others are found at once.
    """

    def __init__(self, library: Library, settings: StudioSettings) -> None:
        self._library: Final = library
        self._settings: Final = settings
        self._open: OrderedDict[tuple[Path, int], Future[Flask]] = OrderedDict()
        self._lock: Final = threading.RLock()
        # Alembic, which migrates the history that each opens, is not thread-safe.
        self._load_lock: Final = threading.Lock()

    def find(self, name: str) -> Flask:
        """Return the application that serves a model.

        Raises:
            NotFound: there is none of this name.
            BundleError: it is damaged, or not finished.
            HistoryError: the history cannot be opened.
        """
        path = EMBEDDED_PATH if name == EMBEDDED_NAME else self._library.path("models", name)
        manifest = path / MANIFEST
        key = path, manifest.stat().st_mtime_ns if manifest.exists() else 0
        with self._lock:
            loading, is_new = self._open.get(key), key not in self._open
            if loading is None:
                loading = self._open[key] = Future()
            self._open.move_to_end(key)
            outdated = [each for each in self._open if each[0] == path and each != key]
            oldest = [*self._open][: max(0, len(self._open) - len(outdated) - _MAX_OPEN)]
            closing = [self._open.pop(each) for each in {*outdated, *oldest}]
        for each in closing:
            each.add_done_callback(_close_in_background)
        if is_new:
            self._load(key, name, loading)
        return loading.result()

    def _load(self, key: tuple[Path, int], name: str, loading: "Future[Flask]") -> None:
        """Load a model without the lock of those that are open: they are written with meanwhile."""
        settings = ServerSettings(
            bundles=[key[0]],
            title=name,
            history=self._settings.history,
            share_links=self._settings.share_links,
            home="../../models",
        )
        try:
            with self._load_lock:
                app = create_app(settings)
            loading.set_result(app)
        except BaseException as error:
            with self._lock:
                if self._open.get(key) is loading:
                    del self._open[key]
            loading.set_exception(error)  # others may wait for it, too

    def stop(self, grace_seconds: float) -> None:
        """Let the running generations end."""
        for app in self._loaded():
            server_state(app).stop(grace_seconds)

    def abort(self) -> None:
        """End a :meth:`stop` at once."""
        for app in self._loaded():
            server_state(app).abort()

    def close(self) -> None:
        """Write the rest of the histories."""
        apps = self._loaded()
        with self._lock:
            self._open.clear()
        for app in apps:
            server_state(app).close()

    def _loaded(self) -> list[Flask]:
        with self._lock:
            loaded = [each for each in self._open.values() if each.done()]
        return [each.result() for each in loaded if each.exception() is None]


def is_shared_text(path: str) -> bool:
    """Return whether a path is of a text that its writer has shared, or of that page's style."""
    name, _, rest = path.removeprefix(PREFIX).partition("/")
    return path.startswith(PREFIX) and bool(name) and rest.startswith(("shared/", _FILES))


def _close_in_background(loaded: "Future[Flask]") -> None:
    if loaded.exception() is None:
        threading.Thread(target=_close, args=(loaded.result(),), daemon=True).start()


def _close(app: Flask) -> None:
    server_state(app).stop(_GRACE_SECONDS)
    server_state(app).close()


class Mount:
    """WSGI application with the studio's own pages, and those of its models at ``/write/NAME/``.

    The pages' links are relative, so that they need not know where they are; the cookie of the
    history is one for all of them.
    """

    def __init__(self, studio: Flask, own: "WSGIApplication", writing: WritingPages) -> None:
        self._studio: Final = studio
        self._own: Final = own
        self._writing: Final = writing

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        name, slash, rest = path.removeprefix(PREFIX).partition("/")
        if not path.startswith(PREFIX) or not name:
            return self._own(environ, start_response)
        if not slash:
            return redirect(f"{quote(name)}/", code=308)(environ, start_response)
        inner = environ | {"PATH_INFO": f"/{rest}".encode().decode("latin-1")}
        if rest.startswith(_FILES):
            # The same for all, so that they open no model and say nothing about which there are.
            return self._own(inner, start_response)
        try:
            # Shared texts stay where they are if their model is renamed, deleted or never there.
            app = self._writing.find(EMBEDDED_NAME if rest.startswith("shared/") else name)
        except (HTTPException, LoreLMError) as error:
            with self._studio.request_context(environ):
                response = _explained(error, name, is_page=not rest)
                response = self._studio.process_response(response)  # type: ignore[arg-type]
            return response(environ, start_response)
        return app.wsgi_app(inner, start_response)


def _explained(error: HTTPException | LoreLMError, name: str, *, is_page: bool) -> Response:
    """Return the response to an error, in the words of the studio where it has others."""
    if not isinstance(error, LoreLMError) or error.code != "bundle.unfinished_run":
        return error_response(error)
    if is_page:
        return Response(
            render_template("studio/unfinished.html", place="write", name=name),
            status=status_of(error),
            mimetype="text/html",
        )
    sentence = f"{name} is not finished: go on with it under Train"
    return error_response(BundleError(sentence, code=error.code))
