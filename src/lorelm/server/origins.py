"""Origins of web pages: scheme, host and port, as browsers write them in the header Origin."""

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

from lorelm.errors import InputError

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def parse_origin(url: str) -> str:
    """Return the origin that a URL names, in the spelling of browsers.

    Host names become lower case and ASCII; the default port of the scheme is left out.

    Raises:
        InputError: it names no single origin, or more than an origin.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = _ascii_host(parts)
    except ValueError as error:
        raise _invalid(url, f"{error}") from error
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise _invalid(url, "an origin is http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise _invalid(url, "an origin has no user")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _invalid(url, "an origin has no path: all pages of the host get access")
    shown_port = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown_port}"


def _ascii_host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        return f"[{ipaddress.IPv6Address(host).compressed}]"
    if "*" in host:
        raise ValueError("* stands for no host: name each origin")
    try:
        encoded = host.encode("idna").decode("ascii")
    except UnicodeError:
        encoded = " "
    if not all(character.isalnum() or character in "-._" for character in encoded):
        raise ValueError(f"{host!r} is no host")
    return encoded


def _invalid(url: str, reason: str) -> InputError:
    return InputError(
        f"allow_origin: {url!r} is not the origin of a page ({reason}); write it as in "
        "https://example.org or http://localhost:8000",
        code="server.invalid_origin",
    )
