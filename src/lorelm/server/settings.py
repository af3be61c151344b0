"""Configuration of the server: :class:`ServerSettings`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, get_args

from lorelm.bundle import EMBEDDED_PATH
from lorelm.errors import InputError
from lorelm.generation.engine.engine import MAX_WAITING, NUM_SLOTS, PREFIX_CACHE_BYTES
from lorelm.generation.settings import MAX_LEN_LIMIT, NUM_SAMPLES_LIMIT
from lorelm.parameters import Parameter, parameters_of, problems_of
from lorelm.server.operations.logs import LogLevel
from lorelm.server.origins import parse_origin

_PLACEHOLDERS: Final = ("replace-this", "replace-me", "changeme", "change-me")
"""What keys in examples begin with: those of `deploy/`, and what people write in their own."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """All settings of :func:`lorelm.server.app.create_app`.

    The options of ``lorelm serve`` are made from this declaration.

    Attributes:
        bundles: directories of the models; requests without a model name get the first.
        notices: sentences for the page.
        mixture: mix each model with the n-gram model of its bundle; None: where its manifest says
            so.
        cache: give each model a neural cache.
        api_key: every request must send it; None: no key is needed.
        keys: file of API keys, one of which every request must send; None: there is none.
        admin_key: gives access to the whole history and to the metrics, and serves as API key
            without quotas; None: there is none.
        history: URL of the database for generated texts; None: they are not kept.
        home: address of the page that leads to this one; None: nothing does.

    Raises:
        InputError: values are out of range or no origins, or a key is empty or a placeholder.
    """

    bundles: Sequence[Path] = (EMBEDDED_PATH,)
    notices: Sequence[str] = ()
    mixture: bool | None = None
    cache: bool = False
    api_key: str | None = None
    admin_key: str | None = None
    keys: Path | None = None
    history: str | None = None
    home: str | None = None

    title: Annotated[
        str | None,
        Parameter(
            "Title of the page. Where one model is served it names that model too, in place of the "
            "file that it was trained on.",
            metavar="TEXT",
        ),
    ] = None
    # Clients can forge the entries of the X-Forwarded headers beyond these.
    proxy_hops: Annotated[
        int,
        Parameter("Number of proxies in front, whose X-Forwarded headers are trusted.", min=0),
    ] = 0
    rate_limit: Annotated[
        str | None,
        Parameter(
            "How often an address, or a key of --keys, may send a request that uses a model, such "
            "as 60/minute.",
            metavar="LIMIT",
        ),
    ] = None
    rate_limit_storage: Annotated[
        str,
        Parameter(
            "Where requests and tokens are counted; sqlite:///PATH keeps them over a restart, and "
            "redis://HOST:PORT is for several servers.",
            metavar="URL",
            envvar="LORELM_RATE_LIMIT_STORAGE",
        ),
    ] = "memory://"
    max_tokens_limit: Annotated[
        int, Parameter("Highest max_len of a request, in tokens.", min=1, max=MAX_LEN_LIMIT)
    ] = 1000
    num_samples_limit: Annotated[
        int,
        Parameter("Highest num_samples of a request.", min=1, max=NUM_SAMPLES_LIMIT, flag=None),
    ] = 16
    max_body_bytes: Annotated[
        int, Parameter("Size of the longest request that is read.", min=1)
    ] = 256 * 1024
    num_slots: Annotated[int, Parameter("Samples that are generated at the same time.", min=1)] = (
        NUM_SLOTS
    )
    max_waiting: Annotated[
        int, Parameter("Requests that may wait for a slot; more get status 429.", min=1)
    ] = MAX_WAITING
    timeout_seconds: Annotated[
        float,
        Parameter(
            "A sample ends after this time, waiting included; a request may ask for less.",
            min=0.001,
        ),
    ] = 60.0
    # Fast enough to read along: a person reads 4 to 5 words a second, in jumps of 200 ms or more.
    stream_interval_ms: Annotated[
        float,
        Parameter(
            "Tokens of a stream that come faster are sent together, at most this many milliseconds "
            "apart; 0 sends each at once.",
            min=0,
            max=10_000,
        ),
    ] = 40.0
    grace_seconds: Annotated[
        float, Parameter("How long running requests may take when the server stops.", min=0)
    ] = 10.0
    state_cache_megabytes: Annotated[
        float,
        Parameter("Size of the cache of model states after prompts; 0 keeps none.", min=0),
    ] = PREFIX_CACHE_BYTES / 1e6
    allow_origin: Annotated[
        Sequence[str],
        Parameter(
            "Origin of web pages, such as https://example.org, that may use the API and show "
            "/embed in a frame.",
            metavar="URL",
        ),
    ] = ()
    share_links: Annotated[
        bool,
        Parameter(
            "Let writers make links: anyone who has one can read that text, without the API key."
        ),
    ] = False
    access_log: Annotated[
        str | None,
        Parameter("File for one line of JSON per request; - is stderr.", metavar="FILE"),
    ] = None

    log_level: Annotated[
        LogLevel,
        Parameter(
            "What goes to stderr: faults (error), also what needs attention (warning), each "
            "request (info), and what libraries do (debug).",
            choices=get_args(LogLevel),
        ),
    ] = "warning"

    @property
    def needs_key(self) -> bool:
        """Whether each request must send a key."""
        return self.api_key is not None or self.keys is not None

    @property
    def has_quotas(self) -> bool:
        """Whether requests are counted: keys may get quotas while the server runs."""
        return self.rate_limit is not None or self.keys is not None

    @property
    def limits(self) -> dict[str, int]:
        """The highest values of generation parameters in a request, by their names."""
        return {"max_len": self.max_tokens_limit, "num_samples": self.num_samples_limit}

    @property
    def openings(self) -> list[str]:
        """Sentences about what this server opens that is closed by default."""
        return [
            f"pages of {origin} may use the API and show /embed in a frame"
            for origin in self.allow_origin
        ] + ["writers can share texts by links, which need no key"] * self.share_links

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in parameters_of(ServerSettings)}
        if problems := problems_of(ServerSettings, values):
            raise InputError.of(problems, code="server.setting_out_of_range")
        object.__setattr__(self, "allow_origin", tuple(map(parse_origin, self.allow_origin)))
        if self.share_links and self.history is None:
            raise InputError(
                "share_links: links need a history, where their texts are kept: leave out "
                "--no-history",
                code="server.links_without_history",
            )
        for name, key in (("API key", self.api_key), ("admin key", self.admin_key)):
            if key == "":
                raise InputError(
                    f"the {name} is empty: give one that cannot be guessed, or none",
                    code="server.empty_key",
                )
            if key is not None and key.casefold().startswith(_PLACEHOLDERS):
                raise InputError(
                    f"the {name} is still the placeholder {key!r} of an example, which everybody "
                    "can read: put a key of your own in its place (openssl rand -hex 24), or leave "
                    "it out",
                    code="server.placeholder_key",
                )
