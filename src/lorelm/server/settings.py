"""How the server is set up."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lorelm.bundle import EMBEDDED_PATH
from lorelm.errors import InputError
from lorelm.generation.engine.engine import MAX_WAITING, NUM_SLOTS, STATE_CACHE_BYTES
from lorelm.generation.settings import MAX_LEN_LIMIT, NUM_SAMPLES_LIMIT


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """All settings of :func:`lorelm.server.app.create_app`.

    Attributes:
        bundles: folders of the models to serve; a request that names none gets the first.
        notices: sentences that stand on the page.
        mixture: mix each with the n-gram model that its bundle carries.
        cache: give each a neural cache.
        proxy_hops: how many proxies stand in front; that many entries of the X-Forwarded headers
            are believed. With 0 none is, since anybody could have written them.
        num_slots: how many samples are written at the same time.
        max_waiting: how many requests may wait for a slot; more are refused with status 429.
        timeout_seconds: a sample ends after so long, waiting included; a request may ask for less.
        grace_seconds: how long what is under way may go on when the server is stopped.
        state_cache_megabytes: for the states after texts that may be gone on with.
        max_tokens_limit: the longest sample that a request may ask for, in tokens.
        num_samples_limit: how many samples a request may ask for.
        max_body_bytes: the longest request that is read.
        api_key: what a request has to know; None lets everybody in.
        rate_limit: how many requests an address may make, such as "60/minute"; None is no limit.
        rate_limit_storage: where they are counted: "memory://" in this process, or the address of
            a Redis server that several share.
        admin_key: what one has to know to see the whole history; it opens all else, too. With None,
            nobody may.
        history: the URL of the database in which is kept what was generated; None: nothing is.
        access_log: the file that gets a line of JSON a request, "-" for stderr; None for no log.

    Raises:
        InputError: a number is out of range.
    """

    bundles: Sequence[Path] = (EMBEDDED_PATH,)
    notices: Sequence[str] = ()
    mixture: bool = False
    cache: bool = False
    proxy_hops: int = 0
    num_slots: int = NUM_SLOTS
    max_waiting: int = MAX_WAITING
    timeout_seconds: float = 60.0
    grace_seconds: float = 10.0
    state_cache_megabytes: float = STATE_CACHE_BYTES / 1e6
    max_tokens_limit: int = 1000
    num_samples_limit: int = 16
    max_body_bytes: int = 256 * 1024
    api_key: str | None = None
    rate_limit: str | None = None
    rate_limit_storage: str = "memory://"
    admin_key: str | None = None
    history: str | None = None
    access_log: str | None = None

    @property
    def limits(self) -> dict[str, int]:
        """The highest values of generation parameters in a request, by their names."""
        return {"max_len": self.max_tokens_limit, "num_samples": self.num_samples_limit}

    def __post_init__(self) -> None:
        for name, least, most in (
            ("proxy_hops", 0, None),
            ("num_slots", 1, None),
            ("max_waiting", 1, None),
            ("timeout_seconds", 0.001, None),
            ("grace_seconds", 0, None),
            ("state_cache_megabytes", 0, None),
            ("max_tokens_limit", 1, MAX_LEN_LIMIT),
            ("num_samples_limit", 1, NUM_SAMPLES_LIMIT),
            ("max_body_bytes", 1, None),
        ):
            value = getattr(self, name)
            if not value >= least or (most is not None and value > most):
                allowed = f"at least {least}" if most is None else f"from {least} to {most}"
                raise InputError(f"{name} is {allowed}, not {value}")
        for name, key in (("API key", self.api_key), ("admin key", self.admin_key)):
            if key == "":
                raise InputError(f"the {name} is empty: give one that cannot be guessed, or none")
