"""The server's one assembly point: :func:`create_app`."""

import time
from typing import Final

from flask import Flask, Response
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, TooManyRequests
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as BaseResponse

from lorelm.bundle import Bundle
from lorelm.errors import LoreLMError
from lorelm.server.api.docs import make_docs
from lorelm.server.api.views import make_api
from lorelm.server.errors import answer
from lorelm.server.history.log import HistoryLog
from lorelm.server.history.views import make_history_pages
from lorelm.server.openai.tokenizing import make_tokenizer_api
from lorelm.server.openai.views import make_openai_api
from lorelm.server.operations.access import limit_rate, refuse_other_sites, require_api_key
from lorelm.server.operations.access_log import note_requests
from lorelm.server.operations.health import make_operations
from lorelm.server.operations.metrics import Metrics
from lorelm.server.pages.views import make_pages
from lorelm.server.served_model import ServedModel
from lorelm.server.served_models import ServedModels
from lorelm.server.settings import ServerSettings

SERVED_MODELS: Final = "lorelm"
"""The key of `app.extensions` under which the :class:`ServedModels` are found."""

HISTORY: Final = "lorelm-history"
"""The key of the :class:`HistoryLog`; None where no history is kept."""

_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
        "img-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(settings: ServerSettings) -> Flask:
    """Loads the models, starts their engines and puts together the application that serves it.

    Raises:
        HistoryError: the history cannot be opened.
        BundleError: a bundle is missing or damaged, or lacks the n-gram model or the cache.
        InputError: two bundles have one name, or the rate limit or the access log is of no use.
    """
    history = HistoryLog.open(settings.history) if settings.history is not None else None
    metrics = Metrics()
    if history is not None:
        metrics.watch_history(history.writer)
    app = Flask("lorelm.server")
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_body_bytes
    note_requests(app, metrics, access_log=settings.access_log)
    if settings.rate_limit is not None:
        limit_rate(app, settings)  # before the key: guesses count
    if settings.api_key is not None:
        require_api_key(app, settings)
    refuse_other_sites(app)
    _answer_errors(app, settings)
    _add_security_headers(app)
    if settings.proxy_hops:
        hops = settings.proxy_hops
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops
        )
    models = ServedModels(
        [
            ServedModel.of_bundle(
                Bundle.load(path), settings=settings, metrics=metrics, history=history
            )
            for path in settings.bundles
        ]
    )
    app.extensions[SERVED_MODELS] = models
    app.extensions[HISTORY] = history
    app.register_blueprint(make_pages(models, settings, history))
    if history is not None:
        app.register_blueprint(make_history_pages(history, settings))
    app.register_blueprint(make_api(models, history))
    app.register_blueprint(make_openai_api(models, started_at=int(time.time())))
    app.register_blueprint(make_tokenizer_api(models))
    app.register_blueprint(make_operations(models, metrics))
    app.register_blueprint(make_docs(models))
    return app


def _answer_errors(app: Flask, settings: ServerSettings) -> None:
    @app.errorhandler(HTTPException)
    @app.errorhandler(LoreLMError)
    def answer_error(error: HTTPException | LoreLMError) -> BaseResponse:
        if isinstance(error, TooManyRequests):
            error.description = f"this address may ask {error.description}: try again later"
        if isinstance(error, RequestEntityTooLarge):
            error.description = f"the request is longer than {settings.max_body_bytes:,} bytes"
        return answer(error)


def _add_security_headers(app: Flask) -> None:
    @app.after_request
    def add(response: Response) -> Response:
        response.headers.update(_SECURITY_HEADERS)
        return response
