"""The server's one assembly point: :func:`create_app`."""

from typing import Final

from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as BaseResponse

from lorelm.bundle import Bundle
from lorelm.errors import SamplingError
from lorelm.generation.language_model import LanguageModel
from lorelm.server.api import error_response, make_api
from lorelm.server.pages import make_pages
from lorelm.server.settings import ServerSettings

_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(settings: ServerSettings) -> Flask:
    """Loads the model and puts together the application that serves it.

    Raises:
        BundleError: the bundle is missing or damaged, or has no n-gram model for the mixture.
    """
    bundle = Bundle.load(settings.bundle)
    model = LanguageModel.of_bundle(bundle, mixture=settings.mixture, cache=settings.cache)

    app = Flask("lorelm.server")
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_body_bytes
    app.register_blueprint(make_pages(model, bundle.manifest, limits=settings))
    app.register_blueprint(make_api(model, limits=settings))

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify({"status": "ok"})

    @app.errorhandler(HTTPException)
    @app.errorhandler(SamplingError)
    def show_error(error: HTTPException | SamplingError) -> BaseResponse | tuple[str, int]:
        if isinstance(error, RequestEntityTooLarge):
            error.description = f"the request is longer than {settings.max_body_bytes:,} bytes"
        if request.path.startswith("/api/") or isinstance(error, SamplingError):
            return error_response(error)
        return render_template("error.html", error=error), error.code or 500

    @app.after_request
    def add_security_headers(response: Response) -> Response:
        response.headers.update(_SECURITY_HEADERS)
        return response

    if settings.proxy_hops:
        hops = settings.proxy_hops
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops
        )
    return app
