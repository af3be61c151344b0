import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.errors import raises_code

import lorelm
from lorelm.bundle import Bundle
from lorelm.bundle.files import pack_bytes
from lorelm.bundle.layout import BUNDLE_FILES, COPIES, NGRAM, SPELLING, WEIGHTS
from lorelm.bundle.packing import pack, unpack
from lorelm.bundle.writer import add_ngram
from lorelm.errors import BundleError
from lorelm.runs.removal import remove_run
from lorelm.runs.run import read_run


@pytest.fixture
def packed(tiny_bundle: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tales.lorelm"
    pack(Bundle.load(tiny_bundle), path)
    return path


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, files: Mapping[str, bytes], *, compression: int = 0) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_a_pack_is_the_model(tiny_bundle: Path, packed: Path) -> None:
    folder, file = Bundle.load(tiny_bundle), Bundle.load(packed)
    assert file.name == "tales"
    assert file.fingerprint == folder.fingerprint
    assert file.training_metrics() == folder.training_metrics()
    assert file.ngram()[0].to_bytes() == folder.ngram()[0].to_bytes()
    weights = folder.weights()
    assert all(np.array_equal(array, weights[n]) for n, array in file.weights().items())
    texts = [lorelm.load(path).generate("The", seed=7).text for path in (tiny_bundle, packed)]
    assert texts[0] == texts[1]


def test_packing_and_unpacking_keep_every_byte(
    tiny_bundle: Path, packed: Path, tmp_path: Path
) -> None:
    unpack(Bundle.load(packed), tmp_path / "again")
    files = {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()}
    assert files == {file.name: file.read_bytes() for file in tiny_bundle.iterdir()}


def test_the_same_model_gives_the_same_pack(packed: Path, tmp_path: Path) -> None:
    unpack(Bundle.load(packed), tmp_path / "copy")
    pack(Bundle.load(tmp_path / "copy"), tmp_path / "second.lorelm")
    assert (tmp_path / "second.lorelm").read_bytes() == packed.read_bytes()
    with zipfile.ZipFile(packed) as archive:
        names = archive.namelist()
        assert names == [name for name in BUNDLE_FILES if name in names]
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_what_is_left_out_is_left_out(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.lorelm"
    pack(Bundle.load(tiny_bundle), path, fingerprints=False, weights=False)
    small = Bundle.load(path)
    assert {COPIES, WEIGHTS, "step.float32.onnx"}.isdisjoint(contents(path))
    assert small.copies() is None
    assert small.precisions == ("int8",)
    with raises_code(BundleError, "bundle.no_weights"):
        small.weights()


def test_a_pack_names_no_folder(packed: Path, tiny_bundle: Path) -> None:
    everything = b"".join(contents(packed).values())
    assert str(tiny_bundle.parent).encode() not in everything


def test_evaluation_writes_into_a_pack(packed: Path) -> None:
    files = contents(packed)
    del files[NGRAM]
    manifest = json.loads(files["manifest.json"])
    del manifest["files"][NGRAM]
    manifest["metrics"] = None
    packed.write_bytes(pack_bytes(files | {"manifest.json": json.dumps(manifest).encode()}))
    bundle = Bundle.load(packed)
    assert not bundle.has_ngram
    metrics = lorelm.evaluate(packed, ["The fox ran.", "The owl sat."] * 5)
    bundle.record_metrics(metrics)
    assert Bundle.load(packed).manifest.metrics == metrics
    whole = Bundle.load(packed)
    spelling = whole.spelling()
    assert spelling is not None
    assert add_ngram(whole, spelling, {}).files.read(NGRAM) == spelling.to_bytes()


def test_a_pack_is_a_run_that_can_be_removed(packed: Path) -> None:
    run = read_run(packed)
    assert run.state == "finished"
    assert [row["epoch"] for row in run.epochs] == list(range(1, len(run.epochs) + 1))
    remove_run(run)
    assert not packed.exists()
    assert read_run(packed).state == "gone"


@pytest.mark.parametrize("taken", ["a folder", "another file", "the model itself"])
def test_nothing_else_is_replaced(packed: Path, tmp_path: Path, taken: str) -> None:
    out = {"a folder": tmp_path / "dir", "another file": tmp_path / "novel.txt"}.get(taken, packed)
    if taken == "a folder":
        out.mkdir()
    elif taken == "another file":
        out.write_text("Call me Ishmael.")
    with raises_code(BundleError, "bundle.in_use") as refused:
        pack(Bundle.load(packed), out)
    assert taken in str(refused.value)
    assert taken != "another file" or out.read_text() == "Call me Ishmael."


def test_unpacking_keeps_foreign_folders(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "novel.txt").write_text("Call me Ishmael.")
    with raises_code(BundleError, "bundle.foreign_dir"):
        unpack(Bundle.load(packed), tmp_path / "mine")
    assert [*(tmp_path / "mine").iterdir()] == [tmp_path / "mine" / "novel.txt"]


def test_training_does_not_write_into_a_pack(packed: Path) -> None:
    before = packed.read_bytes()
    with raises_code(BundleError, "bundle.packed") as refused:
        lorelm.train(["The fox ran."] * 30, out=packed, epochs=1, init="none")
    assert f"lorelm unpack {packed}" in str(refused.value)
    assert packed.read_bytes() == before


def traversal(path: Path) -> None:
    rewrite(path, {**contents(path), "../../escaped": b"x"})


def absolute(path: Path) -> None:
    rewrite(path, {**contents(path), "/tmp/escaped": b"x"})


def manifest_that_lists_other_files(path: Path) -> None:
    files = contents(path)
    manifest = json.loads(files["manifest.json"])
    manifest["files"]["../../../etc/passwd"] = "0" * 64
    rewrite(path, files | {"manifest.json": json.dumps(manifest).encode()})


def compressed_bomb(path: Path) -> None:
    rewrite(path, {**contents(path), WEIGHTS: bytes(200 << 20)}, compression=zipfile.ZIP_DEFLATED)


def overlapping_bomb(path: Path) -> None:
    """Let every entry of the directory point at the bytes of the largest file."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    largest = max(members, key=lambda member: member.file_size)
    place = content.index(b"PK\x01\x02")
    for member in members:
        content[place + 16 : place + 28] = b"".join(
            number.to_bytes(4, "little")
            for number in (largest.CRC, largest.compress_size, largest.file_size)
        )
        content[place + 42 : place + 46] = largest.header_offset.to_bytes(4, "little")
        place += 46 + len(member.filename)
    path.write_bytes(content)


def bomb_inside(path: Path) -> None:
    bomb = io.BytesIO()
    np.savez_compressed(bomb, words_1=np.zeros(100 << 20, np.uint8))
    files = contents(path)
    manifest = json.loads(files["manifest.json"])
    manifest["files"][SPELLING] = hashlib.sha256(bomb.getvalue()).hexdigest()
    files |= {SPELLING: bomb.getvalue(), "manifest.json": json.dumps(manifest).encode()}
    path.write_bytes(pack_bytes(files))


def twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("vocabulary.json", b"[]")


def wrong_hash(path: Path) -> None:
    files = contents(path)
    path.write_bytes(pack_bytes(files | {"vocabulary.json": files["vocabulary.json"] + b" "}))


def wrong_checksum(path: Path) -> None:
    content = path.read_bytes()
    place = content.index(b"vocabulary.json") + 40
    path.write_bytes(content[:place] + b"\xff" + content[place + 1 :])


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def cut_off_in_the_middle(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def locked(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 8
    content[place] |= 1
    path.write_bytes(content)


def without_manifest(path: Path) -> None:
    files = contents(path)
    del files["manifest.json"]
    path.write_bytes(pack_bytes(files))


def nested_json(path: Path) -> None:
    path.write_bytes(pack_bytes(contents(path) | {"manifest.json": b"[" * 1_000_000}))


ATTACKS: dict[Callable[[Path], None], str] = {
    traversal: "bundle.damaged_pack",
    absolute: "bundle.damaged_pack",
    manifest_that_lists_other_files: "bundle.damaged_manifest",
    compressed_bomb: "bundle.damaged_pack",
    overlapping_bomb: "bundle.damaged_pack",
    bomb_inside: "bundle.damaged_file",
    twice: "bundle.damaged_pack",
    wrong_hash: "bundle.hash_mismatch",
    wrong_checksum: "bundle.damaged_pack",
    cut_off: "bundle.damaged_pack",
    cut_off_in_the_middle: "bundle.damaged_pack",
    locked: "bundle.damaged_pack",
    without_manifest: "bundle.damaged_pack",
    nested_json: "bundle.damaged_manifest",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_hostile_or_damaged_pack_is_refused(
    packed: Path, tmp_path: Path, attack: Callable[[Path], None]
) -> None:
    attack(packed)
    with raises_code(BundleError, ATTACKS[attack]) as refused:
        Bundle.load(packed).spelling()
    assert str(packed) in str(refused.value)
    assert sorted(tmp_path.iterdir()) == [packed]


def test_a_file_that_is_no_pack_is_named(tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text("Call me Ishmael.")
    with raises_code(BundleError, "bundle.not_a_pack") as refused:
        Bundle.load(tmp_path / "novel.txt")
    assert "novel.txt is a file" in str(refused.value)


def test_an_unfinished_run_cannot_be_packed(tiny_bundle: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_bundle, tmp_path / "run"))
    (run / "manifest.json").unlink()
    (run / "checkpoint.safetensors").write_bytes(b"")
    with raises_code(BundleError, "bundle.unfinished_run"):
        pack(Bundle.load(run), tmp_path / "run.lorelm")
