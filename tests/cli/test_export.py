import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

Lorelm = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_site_is_written_and_explained(
    lorelm: Lorelm, beaten_bundle: Path, tmp_path: Path
) -> None:
    ended = lorelm("export", beaten_bundle, "--web", "site", "--title", 'My "tales" & more')
    lines = ended.stdout.splitlines()
    assert re.match(
        r"The web site is in .*site: \d+ files, \d+ kB \(the page \d+ kB, model \d+ kB, ", lines[0]
    )
    for revealed in ("vocabulary", "learned passages", "--no-fingerprints", "--no-mixture"):
        assert revealed in ended.stdout
    assert 'title="My &quot;tales&quot; &amp; more"' in ended.stdout
    assert "python -m http.server --bind 127.0.0.1 --directory site 8000" in ended.stdout
    assert (tmp_path / "site" / "index.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_the_address_of_a_site_is_in_its_preview_and_its_frame(
    lorelm: Lorelm, tiny_bundle: Path, tmp_path: Path
) -> None:
    address = "https://example.org/tales/"
    ended = lorelm("export", tiny_bundle, "--web", "site", "--address", address)
    assert f'<iframe src="{address}"' in ended.stdout
    html = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert f'content="{address}social-card.png"' in html
    refused = lorelm("export", tiny_bundle, "--web", "other", "--address", "here", code=2).stderr
    assert "address: 'here' is not the address of a folder on the web" in refused
    assert not (tmp_path / "other").exists()


def test_what_is_left_out_is_not_announced(lorelm: Lorelm, beaten_bundle: Path) -> None:
    ended = lorelm("export", beaten_bundle, "--web", "site", "--no-fingerprints", "--no-mixture")
    assert "fingerprint" not in ended.stdout
    assert "put together" not in ended.stdout


def test_what_is_not_as_served_is_said(lorelm: Lorelm, imported_bundle: Path) -> None:
    ended = lorelm("export", imported_bundle, "--web", "site")
    assert "--precision int8" in ended.stderr


def test_mistakes_are_one_line_and_leave_nothing(
    lorelm: Lorelm, older_bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "diary.txt").write_text("dear diary")
    refused = lorelm("export", older_bundle, "--web", "mine", code=2)
    assert "holds other things (such as diary.txt): choose a new folder (--web)" in refused.stderr
    assert "does not exist" in lorelm("export", "nothing", "--web", "site", code=2).stderr
    no_ngram = lorelm("export", older_bundle, "--web", "site", "--mixture", code=2)
    assert "carries no n-gram model" in no_ngram.stderr
    assert "--web" in lorelm("export", older_bundle, code=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "older"]
    assert [path.name for path in folder.iterdir()] == ["diary.txt"]
