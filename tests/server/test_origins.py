import pytest
from tests.errors import raises_code

from lorelm.errors import InputError
from lorelm.server.origins import parse_origin
from lorelm.server.settings import ServerSettings


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.org", "https://example.org"),
        (" https://example.org/ ", "https://example.org"),
        ("HTTPS://example.org:443", "https://example.org"),
        ("http://example.org:443", "http://example.org:443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://Bücher.example", "https://xn--bcher-kva.example"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://[0:0::1]:81", "http://[::1]:81"),
    ],
)
def test_an_origin_is_spelled_as_browsers_do(url: str, origin: str) -> None:
    assert parse_origin(url) == origin


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("*", "http:// or https://"),
        ("null", "http:// or https://"),
        ("example.org", "http:// or https://"),
        ("file:///index.html", "http:// or https://"),
        ("https://", "http:// or https://"),
        ("https://*.example.org", "name each origin"),
        ("https://example.org/blog", "no path"),
        ("https://example.org?x", "no path"),
        ("https://me@example.org", "no user"),
        ("https://example.org:99999", "Port"),
        ("https://example.org; script-src", "no host"),
        ("https://example.org'", "no host"),
        ("https://a..b", "no host"),
        ("https://[::1", "IPv6"),
    ],
)
def test_anything_else_is_refused_with_a_reason(url: str, reason: str) -> None:
    with raises_code(InputError, "server.invalid_origin") as caught:
        ServerSettings(allow_origin=[url])
    assert reason in str(caught.value)
    assert repr(url) in str(caught.value)
