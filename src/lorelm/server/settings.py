"""Configuration of the server: :class:`ServerSettings`."""

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
        bundles: directories of the models; requests without a model name get the first.
        notices: sentences for the page.
        mixture: mix each model with the n-gram model of its bundle.
        cache: give each model a neural cache.
        proxy_hops: the number of proxies in front of the server; that many entries of the
            X-Forwarded headers are trusted. Clients can forge the others.
        num_slots: how many samples are generated at the same time.
        max_waiting: how many requests may wait for a slot; others get status 429.
        timeout_seconds: limit for each sample, waiting included; a request may set a lower one.
        grace_seconds: how long running requests may take when the server stops.
        state_cache_megabytes: size of the cache of LSTM states after prompts.
        max_tokens_limit: the greatest number of tokens that a request may ask for per sample.
        num_samples_limit: the greatest number of samples that a request may ask for.
        max_body_bytes: the size of the longest request that is read.
        api_key: every request must send it; None: no key is needed.
        rate_limit: how many requests an address may send, such as "60/minute"; None: no limit.
        rate_limit_storage: where requests are counted: "memory://" in this process, or the address
            of a Redis server that several processes share.
        admin_key: gives access to the whole history, and serves as API key; None: nobody has it.
        history: URL of the database for generated texts; None: they are not kept.
        access_log: file for one line of JSON per request, "-" for stderr; None: no log.

    Raises:
        InputError: a number is out of range, or a key is empty.
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
        for name, low, high in (
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
            if not value >= low or (high is not None and value > high):
                allowed = f"at least {low}" if high is None else f"from {low} to {high}"
                raise InputError(
                    f"{name} must be {allowed}, not {value}", code="server.setting_out_of_range"
                )
        for name, key in (("API key", self.api_key), ("admin key", self.admin_key)):
            if key == "":
                raise InputError(
                    f"the {name} is empty: give one that cannot be guessed, or none",
                    code="server.empty_key",
                )
