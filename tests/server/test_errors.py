"""The heading of the page that a failed request gets."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import abort

from lorelm.server import errors
from lorelm.server.base_app import base_app


@pytest.fixture(scope="module")
def heading_of() -> Callable[[int], str]:
    """Return the heading of the page with a status."""
    app: Flask = base_app()
    app.config["MAX_CONTENT_LENGTH"] = 1_000
    app.add_url_rule("/fail/<int:status>", view_func=abort)

    def ask(status: int) -> str:
        page = app.test_client().get(f"/fail/{status}")
        assert page.status_code == status
        [heading] = re.findall("<h1>(.*)</h1>", page.text)
        return str(heading)

    return ask


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 410, 413, 414, 415, 422])
def test_an_error_has_a_heading_of_its_own(heading_of: Callable[[int], str], status: int) -> None:
    others = {heading_of(other) for other in (400, 404, 405, 415) if other != status}
    assert heading_of(status) not in {"Something went wrong", *others}


def test_what_a_visitor_causes_is_no_fault_of_the_server(heading_of: Callable[[int], str]) -> None:
    statuses = {status for _, status in errors._STATUSES} - {errors._CLIENT_CLOSED_REQUEST}
    headings = {heading_of(status) for status in statuses - {500}}
    assert len(headings) == len(statuses) - 1
    assert heading_of(500) == "Something went wrong"
    assert heading_of(500) not in headings


def test_an_address_for_forms_alone_says_so(new_app: Callable[..., Any]) -> None:
    page = new_app().test_client().get("/history/delete?lang=fr")
    assert page.status_code == 405
    assert "<h1>Impossible ici</h1>" in page.text
    assert "POST" in page.headers["Allow"]


@pytest.mark.parametrize("is_script", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/nothing", 404, "There is nothing at this address."),
        ("GET", "/api/nothing", 404, "There is nothing at this address."),
        ("GET", "/v1/nothing", 404, "There is nothing at this address."),
        ("GET", "/history/delete", 405, "This address answers POST, not GET."),
        ("POST", "/docs", 405, "This address answers GET, not POST."),
        ("PATCH", "/api/generate", 405, "This address answers POST, not PATCH."),
    ],
)
def test_an_address_that_is_wrong_is_refused_in_a_sentence_of_ours(
    new_app: Callable[..., Any],
    method: str,
    path: str,
    status: int,
    sentence: str,
    is_script: bool,
) -> None:
    headers = {"Accept": "application/json"} if is_script else {}
    answer = new_app().test_client().open(path, method=method, headers=headers)
    assert answer.status_code == status
    if answer.is_json:
        assert answer.get_json()["error"]["message"] == sentence
    else:
        assert f">{sentence}</p>" in answer.text


def test_a_sentence_that_says_more_is_kept(new_app: Callable[..., Any]) -> None:
    answer = new_app(share_links=True).test_client().get("/shared/none")
    assert answer.status_code == 404
    assert "There is nothing at this address" not in answer.text
    assert "revoked" in answer.text
