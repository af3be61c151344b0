"""The application factory: :func:`create_app`."""

import time

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from lorelm.bundle import Bundle
from lorelm.server.api.docs import docs
from lorelm.server.api.views import api
from lorelm.server.base_app import base_app
from lorelm.server.history.log import HistoryLog
from lorelm.server.history.views import history_pages
from lorelm.server.keys.key_ring import KeyRing
from lorelm.server.openai.views import openai, tokenizing
from lorelm.server.operations.access import (
    add_quota_headers,
    count_request,
    reject_other_sites,
    require_api_key,
)
from lorelm.server.operations.access_log import AccessLog
from lorelm.server.operations.cross_origin import (
    add_cross_origin_headers,
    receive_cross_origin,
)
from lorelm.server.operations.metrics import Metrics, shared_folder
from lorelm.server.operations.traces import Traces
from lorelm.server.operations.views import operations, record_response, start_timer
from lorelm.server.pages.views import pages
from lorelm.server.served_model import ServedModel
from lorelm.server.settings import ServerSettings
from lorelm.server.state import ServerState


def create_app(settings: ServerSettings) -> Flask:
    """Load the models, start their engines and create the application that serves them.

    Raises:
        HistoryError: the history cannot be opened.
        BundleError: a bundle is missing or damaged, or lacks the n-gram model or the cache.
        InputError: two bundles have one name, or the rate limit, the access log or the file of
            keys is invalid.
    """
    app = base_app()
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_body_bytes
    app.before_request(start_timer)
    app.after_request(record_response)
    if settings.has_quotas:
        app.before_request(count_request)  # before the key is checked: wrong keys count
        app.after_request(add_quota_headers)
    if settings.allow_origin:
        app.before_request(receive_cross_origin)  # before the key, which a preflight does not have
        app.after_request(add_cross_origin_headers)
    if settings.needs_key:
        app.before_request(require_api_key)
    app.before_request(reject_other_sites)
    if settings.proxy_hops:
        hops = settings.proxy_hops
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops
        )
    app.extensions["lorelm"] = state = _load_state(settings)
    for blueprint in (pages, api, openai, tokenizing, operations, docs):
        app.register_blueprint(blueprint)
    if state.history is not None:
        _register_history(app, settings)
    return app


def _register_history(app: Flask, settings: ServerSettings) -> None:
    """Register what needs a history: its pages, drafts and links."""
    from lorelm.server.drafts.links import links, shared  # with SQLAlchemy, which takes 0.15 s
    from lorelm.server.drafts.views import drafts

    app.register_blueprint(history_pages)
    app.register_blueprint(drafts)
    if settings.share_links:
        app.register_blueprint(links)
        app.register_blueprint(shared)


def _load_state(settings: ServerSettings) -> ServerState:
    """Open the keys and the logs, and load the models."""
    metrics = Metrics()
    keys = KeyRing(settings.keys, api_key=settings.api_key, admin_key=settings.admin_key)
    metrics.watch(
        "lorelm_keys_file_broken",
        "Workers that cannot read the file of keys; those that were read last hold.",
        lambda: keys.problem is not None,
    )
    quotas = None
    if settings.has_quotas or settings.rate_limit_storage != "memory://":  # to find slips in it
        from lorelm.server.keys.quotas import Quotas  # `limits` takes 0.1 s to import

        quotas = Quotas(settings.rate_limit_storage, settings.rate_limit)
    metrics.watch(
        "lorelm_quota_storage_failing",
        "Workers that do not reach the storage of quotas, and count alone.",
        # Probed: otherwise it would stay above 0 until the next request with a limit.
        lambda: quotas is not None and quotas.counts.probe(),
    )
    history = None
    if settings.history is not None:
        history = HistoryLog(settings.history, shared_folder())
        metrics.watch_history(history.writer)
    access_log = AccessLog(settings.access_log) if settings.access_log is not None else None
    bundles = [Bundle.load(path) for path in settings.bundles]
    return ServerState(
        settings=settings,
        models=[ServedModel.load(each, settings=settings, metrics=metrics) for each in bundles],
        metrics=metrics,
        history=history,
        access_log=access_log,
        started_at=int(time.time()),
        keys=keys,
        quotas=quotas,
        traces=Traces.from_environment(),
    )
