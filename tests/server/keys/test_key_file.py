import json
import multiprocessing
import os
import stat
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from tests.errors import raises_code

from lorelm.bundle.dir_lock import lock_dir
from lorelm.errors import KeyFileError
from lorelm.server.keys import key_file
from lorelm.server.keys.key import now
from lorelm.server.keys.key_file import KeyFile


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "data" / "keys.json")


def test_what_was_added_is_read_and_the_key_is_not_kept(file: KeyFile) -> None:
    expires = datetime.now(UTC) + timedelta(days=1)
    keys = [file.add("class-7b", tokens_per_day=50), file.add("größe", expires_at=expires)]
    first, second = file.read()
    assert all(len(key) > 43 and key.startswith("ll_") for key in keys)
    assert (first.name, first.tokens_per_day, first.rate_limit) == ("class-7b", 50, None)
    assert (second.name, second.expires_at) == ("größe", expires)
    assert first.sha256 == sha256(keys[0].encode()).hexdigest()
    assert first.is_valid
    assert second.is_valid
    content = file.path.read_text()
    for key in keys:
        assert key not in content
        assert key[3:20] not in content


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_only_its_owner_can_read_it_and_an_old_file_keeps_its_mode(file: KeyFile) -> None:
    def mode() -> int:
        return stat.S_IMODE(file.path.stat().st_mode)

    file.add("one")
    assert mode() == 0o600
    file.path.chmod(0o640)
    file.add("two")
    assert mode() == 0o640
    assert [entry.name for entry in file.path.parent.iterdir()] == ["keys.json"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_still_belongs_to_the_server(file: KeyFile) -> None:
    file.add("one")
    os.chown(file.path, 1234, 4321)
    file.add("two")
    status = file.path.stat()
    assert (status.st_uid, status.st_gid, len(file.read())) == (1234, 4321, 2)


def test_a_link_stays(file: KeyFile, tmp_path: Path) -> None:
    file.add("one")
    link = tmp_path / "link.json"
    link.symlink_to(file.path)
    KeyFile(link).add("two")
    assert link.is_symlink()
    assert len(file.read()) == 2


def test_a_name_is_given_once_until_it_is_revoked_or_expired(file: KeyFile) -> None:
    first = file.add("one")
    with raises_code(KeyFileError, "keys.duplicate_name"):
        file.add("one")
    file.change("one", revoked_at=now())
    second = file.add("one")
    assert first != second
    file.change("one", expires_at=now())
    file.add("one")
    [key] = file.read()
    assert key.is_valid


def test_quotas_are_changed_and_others_stay(file: KeyFile) -> None:
    file.add("one", tokens_per_day=5, rate_limit="1/second")
    changed = file.change("one", tokens_per_day=None)
    assert [changed] == file.read()
    assert (changed.tokens_per_day, changed.rate_limit) == (None, "1/second")


def test_what_is_revoked_stays_revoked(file: KeyFile) -> None:
    file.add("one")
    assert not file.change("one", revoked_at=now()).is_valid
    with raises_code(KeyFileError, "keys.revoked"):
        file.change("one", tokens_per_day=3)


def test_an_unknown_name_is_met_with_the_nearest(file: KeyFile) -> None:
    file.add("class-7b")
    with raises_code(KeyFileError, "keys.unknown_name") as caught:
        file.change("clas-7b", tokens_per_day=3)
    assert "did you mean class-7b?" in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\n", "x" * 65, '"', "a,b"])
def test_other_characters_are_refused(file: KeyFile, name: str) -> None:
    with raises_code(KeyFileError, "keys.wrong_name"):
        file.add(name)
    assert not file.path.exists()


@pytest.mark.parametrize("name", ["api-key", "admin-key"])
def test_the_names_of_other_keys_are_refused(file: KeyFile, name: str) -> None:
    with raises_code(KeyFileError, "keys.reserved_name"):
        file.add(name)


def test_a_missing_file_is_named_and_no_folder_is_made(file: KeyFile) -> None:
    for ask in (file.read, lambda: file.change("one", tokens_per_day=1)):
        with raises_code(KeyFileError, "keys.missing") as caught:
            ask()
        assert str(file.path) in str(caught.value)
    assert not file.path.parent.exists()


ENTRY = {
    "name": "one",
    "sha256": "a" * 64,
    "hint": "abcd",
    "made_at": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "Invalid JSON"),
        ("{}", "format"),
        ("[1]", "the whole"),
        ({"format": "other"}, "format"),
        ({"format_version": 2}, "format_version"),
        ({"keys": None}, "keys"),
        ({"more": 1}, "more"),
        ({"keys": [ENTRY, ENTRY]}, "2 keys of the name 'one'"),
        ({"keys": [ENTRY | {"name": "a b"}]}, "keys.0.name"),
        ({"keys": [ENTRY | {"sha256": "x"}]}, "keys.0.sha256"),
        ({"keys": [ENTRY | {"rate_limit": "often"}]}, "no rate limit"),
        ({"keys": [ENTRY | {"hint": "[/b]"}]}, "keys.0.hint"),
        ({"keys": [ENTRY | {"tokens_per_day": -1}]}, "keys.0.tokens_per_day"),
        ({"keys": [ENTRY | {"expires_at": "2026-01-01T00:00:00"}]}, "keys.0.expires_at"),
        ({"keys": [ENTRY | {"is_admin": True}]}, "keys.0.is_admin"),
    ],
)
def test_a_file_of_something_else_is_refused_and_stays(
    file: KeyFile, content: str | dict[str, object], place: str
) -> None:
    if isinstance(content, dict):
        document = {"format": "lorelm-keys", "format_version": 1, "keys": []} | content
        content = json.dumps(document)
    file.path.parent.mkdir()
    file.path.write_text(content)
    for change in (file.read, lambda: file.add("two")):
        with raises_code(KeyFileError, "keys.invalid_file") as caught:
            change()
        assert place in str(caught.value)
    assert file.path.read_text() == content


def _add_many(path: Path, first: int) -> None:
    for number in range(first, first + 5):
        KeyFile(path).add(f"key-{number}")


@pytest.mark.system
def test_commands_at_once_lose_nothing(file: KeyFile) -> None:
    context = multiprocessing.get_context("spawn")
    commands = [context.Process(target=_add_many, args=(file.path, n)) for n in (0, 5, 10)]
    for command in commands:
        command.start()
    for command in commands:
        command.join()
    assert {key.name for key in file.read()} == {f"key-{number}" for number in range(15)}


def test_it_does_not_wait_for_another_command_for_ever(
    file: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_file, "_SECONDS_TO_WAIT", 0.1)
    with lock_dir(file.path), raises_code(KeyFileError, "keys.locked"):
        file.add("one")
    file.add("one")
