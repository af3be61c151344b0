from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lorelm.bundle import Bundle
from lorelm.cli import serve_display
from lorelm.cli.serve_display import serving_lines
from lorelm.server.app import create_app
from lorelm.server.keys.key import now
from lorelm.server.keys.key_file import KeyFile
from lorelm.server.settings import ServerSettings
from lorelm.server.state import ServerState, server_state

URL = "http://127.0.0.1:5000/"


@pytest.fixture
def states() -> Iterator[list[ServerState]]:
    """The states of the servers of a test, which are closed at its end."""
    made: list[ServerState] = []
    yield made
    for state in made:
        state.close()


def lines_of(
    states: list[ServerState],
    *bundles: Path,
    host: str = "127.0.0.1",
    history_from: str | None = None,
    **settings: Any,
) -> Mapping[str, str]:
    """Return what follows each label; the first line has none."""
    states.append(server_state(create_app(ServerSettings(bundles=bundles, **settings))))
    shown = serving_lines(URL, host, states[-1], history_from=history_from)
    first, *lines = shown.splitlines()
    assert first == f"LoreLM serves {URL} (Ctrl-C ends it)"
    return {line[:11].strip(): line[11:] for line in lines if not line.startswith("lorelm: ")}


def test_what_is_served_and_who_may_use_it(states: list[ServerState], tiny_bundle: Path) -> None:
    manifest = Bundle.load(tiny_bundle).manifest
    assert manifest.corpus is not None
    trained_on = f"{manifest.source} ({manifest.corpus.train_tokens:,} tokens)"
    assert lines_of(states, tiny_bundle) == {
        "model": f"{tiny_bundle.name}: {manifest.num_words:,} words, trained on {trained_on}",
        "history": "none: texts are not kept",
        "limits": "64 texts at a time, 256 more requests wait, 1,000 tokens and 60 s a text",
        "access": "this machine only, no API key",
    }


def test_each_of_several_models_has_a_line(
    states: list[ServerState], tiny_bundle: Path, imported_bundle: Path
) -> None:
    shown = lines_of(states, tiny_bundle, imported_bundle, num_slots=8)
    assert shown["models"].startswith(f"{tiny_bundle.name}: ")
    assert shown[""].startswith(f"{imported_bundle.name}: ")
    assert shown[""].endswith(" words, imported from old.pt")
    assert shown["limits"].startswith("8 texts of each model at a time, ")


def test_a_history_of_its_own_is_told_from_the_shared_one(
    states: list[ServerState], tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = "sqlite:///play.db"
    own = lines_of(states, tiny_bundle, history=url, history_from="--history")
    assert own["history"] == f"{tmp_path / 'play.db'} (from --history)"
    shared = lines_of(states, tiny_bundle, history=url)
    assert shared["history"] == f"{tmp_path / 'play.db'} (shared by all servers without --history)"


def test_no_password_of_a_database_is_shown(
    states: list[ServerState], tiny_bundle: Path, postgres_server: Any
) -> None:
    url = postgres_server.new_database().replace("tests@", "tests:speak%20friend@")
    shown = lines_of(states, tiny_bundle, history=url, history_from="LORELM_HISTORY")["history"]
    assert shown.startswith("postgresql+psycopg://tests@127.0.0.1")
    assert "friend" not in shown


@pytest.mark.parametrize(
    ("num_valid", "access"),
    [(0, "with no valid key"), (1, "with the one key"), (2, "with one of 2 keys")],
)
def test_how_many_keys_are_valid(
    states: list[ServerState], tiny_bundle: Path, tmp_path: Path, num_valid: int, access: str
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    for name in ("one", "two"):
        keys.add(name)
    for name in ("two", "one")[: 2 - num_valid]:
        keys.change(name, revoked_at=now())
    shown = lines_of(states, tiny_bundle, keys=keys.path, rate_limit="9/hour")
    assert shown["access"] == f"this machine only, {access} of {keys.path}"
    assert shown["limits"].endswith(", 9/hour from an address or a key")


def test_the_api_key_is_named_beside_the_file(
    states: list[ServerState], tiny_bundle: Path, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    keys.add("one")
    keys.add("prometheus", metrics_only=True)
    shown = lines_of(states, tiny_bundle, keys=keys.path, api_key="friend")
    ways = f"with the one key of {keys.path} or with the API key"
    assert shown["access"] == f"this machine only, {ways}"


@pytest.mark.parametrize(
    ("host", "settings", "access"),
    [
        ("::1", {"proxy_hops": 1}, "through a proxy, no API key"),
        ("0.0.0.0", {}, "other machines too, no API key (--api-key sets one)"),
        (
            "fe80::1%eth0",
            {"api_key": "friend", "admin_key": "mellon"},
            "other machines too, with the API key, the admin key opens all of it, /history/whole "
            "and /metrics too",
        ),
    ],
)
def test_who_may_use_the_server(
    states: list[ServerState],
    tiny_bundle: Path,
    host: str,
    settings: Mapping[str, Any],
    access: str,
) -> None:
    shown = lines_of(states, tiny_bundle, host=host, rate_limit="60/minute", **settings)
    assert shown["access"] == access
    assert shown["limits"].endswith(", 60/minute from an address")


@pytest.mark.parametrize(
    ("host", "address", "shown"),
    [
        ("0.0.0.0", "192.0.2.7", "http://192.0.2.7:5000/"),
        ("0.0.0.0", None, None),  # a machine without a network
        ("127.0.0.1", "192.0.2.7", None),
    ],
)
def test_the_address_for_others_is_shown_where_they_may_come(
    states: list[ServerState],
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    address: str | None,
    shown: str | None,
) -> None:
    monkeypatch.setattr(serve_display, "own_address", lambda: address)
    assert lines_of(states, tiny_bundle, host=host).get("network") == shown
