"""What ``lorelm serve`` prints when it is ready: :func:`serving_lines`."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from lorelm.cli.terminal import printable
from lorelm.machine.network import own_address
from lorelm.server.history.log import HistoryLog
from lorelm.server.served_model import ServedModel
from lorelm.server.settings import ServerSettings
from lorelm.server.state import ServerState

_LABEL_WIDTH: Final = 9


def serving_lines(
    url: str, host: str, state: ServerState, *, history_from: str | None, num_workers: int = 1
) -> str:
    """Return the addresses, then what is served, where texts are kept, and what is allowed.

    Args:
        host: the address that the server listens on, as an IP address.
        history_from: what named the history, such as an option; None: nothing did.
    """
    settings = state.settings
    models = [_model(each) for each in state.models]
    labels = ["models" if len(models) > 1 else "model", *[""] * (len(models) - 1)]
    lines = [
        f"LoreLM serves {url} (Ctrl-C ends it)",
        *(_line("network", address) for address in _for_others(url, host)),
        *(_line(label, text) for label, text in zip(labels, models, strict=True)),
        _line("history", _history(state.history, history_from)),
        _line("limits", ", ".join(_limits(settings, num_workers))),
        _line("access", ", ".join(_access(state, host))),
        *(
            f"lorelm: {printable(notice)}"
            for notice in (*settings.notices, *state.notices, *settings.openings)
        ),
    ]
    return "\n".join(lines)


def _for_others(url: str, host: str) -> Iterator[str]:
    """Yield the URL for other machines, if `url`, which is for this one, is not theirs too."""
    address = own_address() if host == "0.0.0.0" else None  # noqa: S104 - compared, not bound
    if address is not None:
        yield url.replace("127.0.0.1", address)


def _line(label: str, text: str) -> str:
    return f"  {label:{_LABEL_WIDTH}}{printable(text)}"


def _model(served: ServedModel) -> str:
    manifest = served.manifest
    origin = f"imported from {manifest.source}"
    if manifest.corpus is not None:
        origin = f"trained on {manifest.source} ({manifest.corpus.train_tokens:,} tokens)"
    return f"{served.name}: {manifest.num_words:,} words, {origin}"


def _history(history: HistoryLog | None, named_by: str | None) -> str:
    if history is None:
        return "none: texts are not kept"
    place = history.store.place
    if history.is_file:
        place = str(Path(place).absolute())
    if named_by is None:
        return f"{place} (shared by all servers without --history)"
    return f"{place} (from {named_by})"


def _limits(settings: ServerSettings, num_workers: int) -> Iterator[str]:
    each = " of each model" if len(settings.bundles) > 1 else ""
    where = f" in each of {num_workers} workers" if num_workers > 1 else ""
    yield f"{settings.num_slots:,} texts{each} at a time{where}"
    yield f"{settings.max_waiting:,} more requests wait{where and ' there'}"
    yield f"{settings.max_tokens_limit:,} tokens and {settings.timeout_seconds:g} s a text"
    if settings.rate_limit is not None:
        yield f"{settings.rate_limit} from an address{' or a key' * (settings.keys is not None)}"


def _access(state: ServerState, host: str) -> Iterator[str]:
    settings = state.settings
    is_local = ip_address(host.partition("%")[0]).is_loopback
    if is_local:
        yield "through a proxy" if settings.proxy_hops else "this machine only"
    else:
        yield "other machines too"
    if settings.needs_key:
        yield " or ".join(_keys(settings, state.keys.num_valid))
    else:
        yield "no API key" if is_local else "no API key (--api-key sets one)"
    if settings.admin_key is not None:
        yield "the admin key opens all of it, /history/whole and /metrics too"


def _keys(settings: ServerSettings, num_valid: int) -> Iterator[str]:
    if settings.keys is not None:
        valid = {0: "with no valid key", 1: "with the one key"}
        yield f"{valid.get(num_valid, f'with one of {num_valid:,} keys')} of {settings.keys}"
    if settings.api_key is not None:
        yield "with the API key"
