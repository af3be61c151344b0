import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelm.bundle import Bundle
from lorelm.bundle.packing import pack

pytestmark = pytest.mark.system

Lorelm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def packed(tiny_bundle: Path, tmp_path: Path) -> Path:
    pack(Bundle.load(tiny_bundle), tmp_path / "tales.lorelm")
    return tmp_path / "tales.lorelm"


def test_a_model_travels_as_one_file(lorelm: Lorelm, tiny_bundle: Path, tmp_path: Path) -> None:
    ended = lorelm("pack", tiny_bundle)
    first, *rest = ended.stdout.splitlines()
    assert re.fullmatch(r"tales\.lorelm holds the model \(\d\.\d MB\)\. Next:", first)
    assert rest == ["  lorelm serve tales.lorelm"]
    for revealed in ("vocabulary", "learned passages", "--no-fingerprints", "put together"):
        assert revealed in ended.stderr
    unpacked = lorelm("unpack", "tales.lorelm", "--out", "here/my tales")
    assert unpacked.stdout.splitlines() == [
        "here/my tales holds the model of tales.txt. Next:",
        "  lorelm serve 'here/my tales'",
    ]
    prompt = ("The fox", "--seed", "3", "--max-len", "8")
    texts = [
        lorelm("generate", path, *prompt).stdout
        for path in (tiny_bundle, "tales.lorelm", "here/my tales")
    ]
    assert len(set(texts)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "tales.lorelm"]


def test_what_is_left_out_is_not_announced(
    lorelm: Lorelm, tiny_bundle: Path, tmp_path: Path
) -> None:
    ended = lorelm(
        "pack", tiny_bundle, "--no-fingerprints", "--serving-only", "--out", "a/s.lorelm"
    )
    assert "a/s.lorelm holds the model" in ended.stdout
    assert "fingerprint" not in ended.stderr
    names = zipfile.ZipFile(tmp_path / "a" / "s.lorelm").namelist()
    assert {"copies.npz", "weights.safetensors"}.isdisjoint(names)
    lorelm("unpack", "a/s.lorelm")
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == sorted(names)


def test_what_is_there_is_replaced_only_where_it_is_a_model(
    lorelm: Lorelm, packed: Path, tmp_path: Path
) -> None:
    lorelm("unpack", packed)
    (tmp_path / "tales" / "notes.txt").write_text("Mine.", encoding="utf-8")
    lorelm("unpack", packed)
    assert (tmp_path / "tales" / "notes.txt").read_text(encoding="utf-8") == "Mine."
    lorelm("pack", "tales")  # over tales.lorelm

    (tmp_path / "novel.txt").write_text("Call me Ishmael.", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    shutil.copy(tmp_path / "novel.txt", tmp_path / "mine")
    for command, out, reason in (
        ("pack", "novel.txt", "novel.txt is another file"),
        ("pack", "mine", "mine is a folder"),
        ("pack", packed, "is the model itself"),
        ("unpack", "novel.txt", "novel.txt is a file"),
        ("unpack", "mine", "holds other things (such as novel.txt)"),
        ("unpack", packed, "is the file itself"),
    ):
        refused = lorelm(command, packed, "--out", out, code=2)
        assert reason in refused.stderr
        assert "--out" in refused.stderr
        assert not refused.stdout
    assert (tmp_path / "novel.txt").read_text(encoding="utf-8") == "Call me Ishmael."
    names = ["mine", "novel.txt", "tales", "tales.lorelm"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["novel.txt"]


def test_what_is_no_model_is_refused(lorelm: Lorelm, packed: Path, tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text("Call me Ishmael.", encoding="utf-8")
    for command in ("pack", "unpack"):
        missing = lorelm(command, "nothing.lorelm", "--out", "out", code=2)
        assert "nothing.lorelm does not exist" in missing.stderr
        other = lorelm(command, "novel.txt", "--out", "out", code=2)
        assert "novel.txt is a file, and no model that lorelm pack made" in other.stderr
    folder = lorelm("unpack", tmp_path, code=2)
    assert "is a folder: it need not be unpacked" in folder.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["novel.txt", "tales.lorelm"]


@pytest.mark.parametrize("damage", ["cut off", "one byte"])
def test_a_damaged_pack_is_refused(
    lorelm: Lorelm, packed: Path, tmp_path: Path, damage: str
) -> None:
    content = bytearray(packed.read_bytes())
    if damage == "cut off":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 1
    packed.write_bytes(content)
    for command in ("unpack", "pack"):
        refused = lorelm(command, packed, "--out", "out", code=2)
        assert "tales.lorelm is damaged" in refused.stderr
        assert "get it once more" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tales.lorelm"]
