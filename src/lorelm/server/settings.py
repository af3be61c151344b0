"""How the server is set up."""

from dataclasses import dataclass
from pathlib import Path

from lorelm.bundle import EMBEDDED_PATH
from lorelm.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """All settings of :func:`lorelm.server.app.create_app`.

    Attributes:
        bundle: folder of the model to serve.
        mixture: mix it with the n-gram model that the bundle carries.
        cache: give it a neural cache.
        proxy_hops: how many proxies stand in front; that many entries of the X-Forwarded headers
            are believed. With 0 none is, since anybody could have written them.
        max_len_limit: the longest sample that a request may ask for, in tokens.
        num_samples_limit: how many samples a request may ask for; each takes a row of the
            vocabulary in several copies, so many long ones at once take a lot of memory.
        max_body_bytes: the longest request that is read.

    Raises:
        InputError: a number is negative.
    """

    bundle: Path = EMBEDDED_PATH
    mixture: bool = False
    cache: bool = False
    proxy_hops: int = 0
    max_len_limit: int = 1000
    num_samples_limit: int = 16
    max_body_bytes: int = 256 * 1024

    def __post_init__(self) -> None:
        if self.proxy_hops < 0:
            raise InputError(f"proxy_hops is a number of proxies, not {self.proxy_hops}")
