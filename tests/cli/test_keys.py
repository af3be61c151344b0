import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

Lorelm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that every command is to find where the environment says."""
    path = tmp_path / "keys.json"
    monkeypatch.setenv("LORELM_KEYS", str(path))
    return path


def test_the_key_alone_goes_to_stdout(lorelm: Lorelm, file: Path) -> None:
    made = lorelm("keys", "add", "class-7b")
    assert re.fullmatch(r"ll_[\w-]{43}\n", made.stdout)
    assert f"lorelm serve --keys {file}" in made.stderr
    assert made.stdout.strip() not in made.stderr


def test_keys_are_listed_changed_and_revoked(lorelm: Lorelm, file: Path) -> None:
    key = lorelm("keys", "add", "class-7b", "--rate-limit", "60/minute").stdout.strip()
    lorelm("keys", "add", "bob", "--tokens-per-day", "9000", "--expires", "2999-12-31")
    lorelm("keys", "change", "class-7b", "--rate-limit", "none", "--tokens-per-day", "1234567")
    revoked = lorelm("keys", "revoke", "bob").stderr
    assert "'bob' is revoked" in revoked
    listed = lorelm("keys", "list").stdout
    assert "1,234,567" in listed
    assert f"…{key[-4:]}" in listed
    first, second = json.loads(lorelm("keys", "list", "--json").stdout)
    assert (first["name"], first["rate_limit"], first["is_valid"]) == ("class-7b", None, True)
    assert (second["name"], second["is_valid"]) == ("bob", False)
    assert second["expires_at"] == "3000-01-01T00:00:00Z"  # the end of that day
    assert key not in listed + file.read_text(encoding="utf-8")


def test_a_key_for_the_metrics_is_listed_as_one(lorelm: Lorelm, file: Path) -> None:
    assert (
        "takes it for /metrics as a bearer token"
        in lorelm("keys", "add", "prometheus", "--metrics-only").stderr
    )
    assert "/metrics only" in lorelm("keys", "list").stdout
    assert (
        "may: read /metrics only"
        in lorelm("keys", "change", "prometheus", "--expires", "2999-12-31").stderr
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("add", "one", "--rate-limit", "often"), "'often' is no rate limit"),
        (("add", "one", "--tokens-per-day", "0"), "neither a number above 0 nor none"),
        (("add", "one", "--expires", "soon"), "not a time"),
        (("add", "one", "--expires", "31.07.2027"), "or a day such as 2027-06-30, or never"),
        (("add", "one", "--expires", "2020-01-01"), "is over already"),
        (("add", "one", "--expires", "2027-02-30"), "is no day"),
        (
            ("add", "one", "--metrics-only", "--tokens-per-day", "9"),
            "uses no model, so it takes no quota",
        ),
        (("add", "one two"), "cannot be the name of a key"),
        (("list",), "there is no file"),
        (("change", "one"), "Say what to change"),
        (("revoke", "one"), "there is no file"),
    ],
)
def test_what_is_wrong_is_explained(
    lorelm: Lorelm, file: Path, options: tuple[str, ...], message: str
) -> None:
    ended = lorelm("keys", *options, code=2)
    assert message in ended.stderr
    assert not file.exists()


def test_a_server_does_not_start_without_the_file(lorelm: Lorelm, file: Path) -> None:
    ended = lorelm("serve", code=2)
    assert f"there is no file {file}: lorelm keys add NAME" in ended.stderr
