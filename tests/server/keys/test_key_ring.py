import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.errors import raises_code

from lorelm.errors import KeyFileError
from lorelm.server.keys.key import now
from lorelm.server.keys.key_file import KeyFile
from lorelm.server.keys.key_ring import KeyRing


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def test_a_key_is_found_by_its_name_from_the_moment_that_it_is_made(file: KeyFile) -> None:
    first = file.add("one")
    ring = KeyRing(file.path, api_key="open", admin_key="secret")
    second = file.add("two")
    assert [
        ring.find(key) and ring.find(key).name for key in (first, second, "open", "secret")
    ] == [*("one", "two", "api-key", "admin-key")]
    assert [ring.find(key) for key in ("", "wrong", first[:-1], first.upper())] == [None] * 4
    assert [ring.find(key).is_admin for key in (first, "open", "secret")] == [False, False, True]


def test_what_is_revoked_or_expired_is_not_valid(file: KeyFile) -> None:
    key = file.add("one")
    ring = KeyRing(file.path)
    assert ring.find(key).is_valid
    assert ring.num_valid == 1
    file.change("one", expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert ring.find(key).is_valid
    file.change("one", expires_at=datetime.now(UTC))
    assert not ring.find(key).is_valid
    file.change("one", expires_at=None)
    file.change("one", revoked_at=now())
    assert not ring.find(key).is_valid
    assert ring.num_valid == 0


@pytest.mark.skipif(os.name == "nt", reason="there is no such limit")
def test_a_file_that_could_not_be_opened_once_is_read_the_next_time(
    file: KeyFile, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise a key that is revoked while a server has too many open files would stay valid."""
    import resource

    key = file.add("one")
    ring = KeyRing(file.path)
    file.change("one", revoked_at=now())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        assert [ring.find(key).is_valid for _ in range(2)] == [True, True]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert caplog.text.count("Too many open files") == 1
    assert not ring.find(key).is_valid
    assert ring.problem is None


def test_a_secret_of_kubernetes_is_followed_when_its_link_is_swapped(
    file: KeyFile, tmp_path: Path
) -> None:
    """The kubelet makes a new folder, and renames a link to it over the old link."""
    old, new = tmp_path / "..2026_1", tmp_path / "..2026_2"
    keys = []
    for folder in (old, new):
        folder.mkdir()
        keys.append(KeyFile(folder / "keys.json").add("one"))
    data, mounted = tmp_path / "..data", tmp_path / "keys.json"
    data.symlink_to(old.name)
    mounted.symlink_to("..data/keys.json")
    ring = KeyRing(mounted)
    assert [ring.find(key) is not None for key in keys] == [True, False]
    (tmp_path / "..data_tmp").symlink_to(new.name)
    (tmp_path / "..data_tmp").rename(data)
    assert [ring.find(key) is not None for key in keys] == [False, True]


@pytest.mark.parametrize("breaks", [lambda path: path.write_text("{"), lambda path: path.unlink()])
def test_the_last_good_keys_hold_while_the_file_is_broken(
    file: KeyFile, breaks: object, caplog: pytest.LogCaptureFixture
) -> None:
    key = file.add("one")
    good = file.path.read_bytes()
    ring = KeyRing(file.path)
    breaks(file.path)  # type: ignore[operator]
    assert all(ring.find(key) is not None for _ in range(3))
    assert ring.problem is not None
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert str(file.path) in record.getMessage()
    file.path.write_bytes(good)
    assert ring.find(key) is not None
    assert ring.problem is None
    file.change("one", revoked_at=now())
    assert not ring.find(key).is_valid


def test_a_server_does_not_start_with_a_broken_file(file: KeyFile) -> None:
    with raises_code(KeyFileError, "keys.missing"):
        KeyRing(file.path)
    file.path.write_text("{")
    with raises_code(KeyFileError, "keys.invalid_file"):
        KeyRing(file.path)
