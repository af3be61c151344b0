"""Write the pages of the reference that are made from the code.

python docs/reference/make.py
"""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from command_pages import commands_page, settings_page
from http_page import http_page
from markdown_table import table

from lorelm.bundle import EMBEDDED_PATH
from lorelm.bundle.manifest import Manifest
from lorelm.server.api.docs import openapi_document
from lorelm.server.app import create_app
from lorelm.server.keys.key_file import KeyFile
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

HERE: Final = Path(__file__).parent


def metrics_page(exposition: str) -> str:
    """Return the metrics of a server, from what it answers at ``/metrics``."""
    helps = dict(line.split(" ", 3)[2:] for line in exposition.splitlines() if "# HELP" in line)
    kinds = dict(line.split(" ", 3)[2:] for line in exposition.splitlines() if "# TYPE" in line)
    rows = [
        (f"`{name}`", kinds[name], _labels(name, exposition), text)
        for name, text in helps.items()
        if name.startswith("lorelm_") and not name.endswith("_created")
    ]
    return (
        "# Metrics\n\nWhat a server answers at `/metrics`, for Prometheus. [Operations]"
        "(../guides/operations.md#metrics-dashboard-alerts) has a dashboard and alerts.\n\n"
        + table(("metric", "kind", "labels", "meaning"), rows)
    )


def _labels(name: str, exposition: str) -> str:
    """Return the names of the labels of a metric, without the bounds of a histogram."""
    found = re.search(rf"^{name}(?:_bucket)?{{(.*)}}", exposition, re.MULTILINE)
    labels = re.findall(r'(\w+)="', found[1]) if found else []
    return ", ".join(f"`{label}`" for label in labels if label != "le")


def manifest_schema() -> str:
    """Return the JSON schema of ``manifest.json``."""
    schema = Manifest.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def made_files() -> dict[str, Callable[[], str]]:
    """Return the files that this script writes, each with what makes its text."""
    document, exposition = _of_a_server()
    return {
        "cli.md": commands_page,
        "settings.md": settings_page,
        "http-api.md": lambda: http_page(document),
        "metrics.md": lambda: metrics_page(exposition),
        "manifest.schema.json": manifest_schema,
    }


def _of_a_server() -> tuple[dict[str, Any], str]:
    """Return the OpenAPI document of a server, and its metrics after a request with a key."""
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyFile(Path(folder) / "keys.json")
        settings = ServerSettings(
            bundles=[EMBEDDED_PATH],
            history=f"sqlite:///{folder}/history.db",
            share_links=True,
            keys=keys.path,
        )
        user, prometheus = (
            {"Authorization": f"Bearer {keys.add(name, metrics_only=name == 'prometheus')}"}
            for name in ("anna", "prometheus")
        )
        app = create_app(settings)
        try:
            with app.test_request_context():
                document = openapi_document()
            client = app.test_client()
            client.post("/api/generate", json={"prompt": "The", "max_len": 1}, headers=user)
            return document, client.get("/metrics", headers=prometheus).text
        finally:
            server_state(app).close()


if __name__ == "__main__":
    for name, text_of in made_files().items():
        (HERE / name).write_text(text_of(), encoding="utf-8")
