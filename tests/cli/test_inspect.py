import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lorelm.cli.main import lorelm as lorelm_command
from lorelm.corpus import text_files
from lorelm.training import speed

pytestmark = pytest.mark.system

Lorelm = Callable[..., object]
Inspect = Callable[..., Result]


@pytest.fixture
def inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inspect:
    """Runs the command in this process, in an empty folder, and measures the machine briefly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(speed, "Machine", partial(speed.Machine, max_seconds=0.05))

    def run(*arguments: str | Path) -> Result:
        ended = CliRunner().invoke(lorelm_command, ["inspect", *map(str, arguments)])
        assert ended.exit_code == 0, ended.output
        return ended

    return run


def figures(shown: str) -> dict[str, str]:
    """The first number of each row of the tables, by the name of the row."""
    return dict(re.findall(r"^(\S.*?)  +([\d.,]+)", shown, re.MULTILINE))


def test_the_figures_of_the_films(inspect: Inspect, corpus_file: Callable[[str], Path]) -> None:
    ended = inspect(
        *(corpus_file("lotr_scripts.csv"), "--tokenizer", "classic"),
        *("--speaker-column", "char", "--text-column", "dialog"),
        *("--document", "line"),
    )
    rows = figures(ended.stdout)
    assert rows["documents"] == "2,383"
    assert int(rows["tokens (classic tokenizer)"].replace(",", "")) > 25_242  # the speakers too
    assert rows["spoken by FRODO"] == "226"
    time_range = r"about [\d.]+( (s|min|h))?( to [\d.]+ (s|min|h))?"
    assert re.search(rf"{time_range} for \d+ epochs and the evaluation on this", ended.stdout)
    assert "Verdict" in ended.stdout


def test_a_table_worked_by_hand(inspect: Inspect, tmp_path: Path) -> None:
    lines = [f"word{i} and word{i + 1}" for i in range(30)]
    (tmp_path / "small.txt").write_text("\n".join([*lines, lines[0], "", lines[3]]))
    ended = inspect("small.txt")
    rows = figures(ended.stdout)
    assert rows["documents"] == "32"
    assert rows["tokens (words tokenizer)"] == "96"
    assert rows["distinct words"] == "32"
    assert rows["exact duplicates"] == "2"
    assert rows["median document"] == "3"
    assert "1 of 33 documents hold no word" in ended.stderr
    assert "too small" in ended.stdout


def test_json_has_what_the_text_says(inspect: Inspect, tmp_path: Path) -> None:
    scene = [f"{name}: a word{i % 7}\nand" for i, name in enumerate(["ANN", "BO"] * 60)]
    (tmp_path / "play.txt").write_text("\n".join(scene).replace("\nand", " and"))
    shown = inspect("play.txt", "--test", "play.txt", "--json")
    assert "split off" not in shown.stderr
    found = json.loads(shown.stdout)
    assert (found["source"], found["kind"], found["unit"]) == ("play.txt", "script", "scene")
    assert found["speakers"] == {"ANN": 60, "BO": 60}
    assert found["warnings"] == []
    assert found["notes"][-1].startswith("The validation part is split off play.txt")
    text = inspect("play.txt", "--test", "play.txt").stdout
    rows = figures(text)
    for name, row in (("documents", "documents"), ("tokens", "tokens (words tokenizer)")):
        assert f"{found[name]:,}" == rows[row]
    assert f"{found['median_document']:g}" == rows["median document"]
    assert [cut_off["min_frequency"] for cut_off in found["cut_offs"]] == [1, 2, 3, 5]
    assert found["verdict"] in text
    assert found["training"].startswith("about ")
    low, high = found["training_seconds"]
    assert 0 < low <= high


def test_json_has_the_warnings(inspect: Inspect, tmp_path: Path) -> None:
    lines = [f"word{i} and word{i + 1} of" for i in range(30)]
    (tmp_path / "cut.txt").write_text("\n".join(lines))
    [warning] = json.loads(inspect("cut.txt", "--document=line", "--json").stdout)["warnings"]
    assert warning.startswith("Half of the documents have fewer than 5 words")
    assert warning in inspect("cut.txt", "--document=line").stderr


@pytest.mark.parametrize("name", ["valid", "test"])
def test_a_held_out_file_is_inspected_as_it_would_be_trained(
    inspect: Inspect, tmp_path: Path, name: str
) -> None:
    (tmp_path / "small.txt").write_text("\n".join(f"word{i} and" for i in range(30)))
    (tmp_path / "held.txt").write_text("one two three\n" * 8)
    ended = inspect("small.txt", f"--{name}", "held.txt")
    rows = figures(ended.stdout)
    assert rows["documents"] == "38"
    # Of the held-out words, the 24 of the file and every other word of three lines are unknown.
    assert re.search(rf"once +{2 + 27 + 1} +{27 / 30:.1%}", ended.stdout)
    assert "small.txt, since only a " in ended.stderr


def test_brackets_in_a_script_are_shown_as_they_are(inspect: Inspect, tmp_path: Path) -> None:
    rows = "".join(f"[/b] KING {i % 2},we said the words number {i} once more\n" for i in range(30))
    (tmp_path / "[play].csv").write_text("who,line\n" + rows)
    shown = inspect("[play].csv", "--speaker-column", "who", "--text-column", "line")
    assert "[play].csv" in shown.stdout
    assert "spoken by [/b] KING 0" in shown.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n  \n", "holds no document with a word in it"),
        (b"a line\nwith \x81\xff\n", "is neither UTF-8 nor Windows-1252 text"),
        (b"a line\nwith \0 in it\n", "holds a NUL character in line 2"),
        (b"one line\n", "1 different document"),
    ],
)
def test_bad_files_are_one_line_and_exit_code_2(
    lorelm: Lorelm, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    ended = lorelm("inspect", "bad.txt", code=2)
    assert message in ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.splitlines()[-1].startswith("lorelm: ")


def test_a_test_part_of_one_document_is_told_beforehand(inspect: Inspect, tmp_path: Path) -> None:
    lines = [f"Owl number {i} went to barn {i % 3}.\n" for i in range(30)]
    (tmp_path / "lines.txt").write_text("".join(lines))
    assert "The test part is" not in inspect("lines.txt", "--no-estimate").stderr
    (tmp_path / "lines.txt").write_text("".join(lines[:10]))
    assert "The test part is one document" in inspect("lines.txt", "--no-estimate").stderr
    found = json.loads(inspect("lines.txt", "--json", "--no-estimate").stdout)
    assert "The test part is one document" in found["warnings"][-1]


def test_json_has_what_is_wrong_and_the_columns_to_choose_from(
    lorelm: Lorelm, tmp_path: Path
) -> None:
    rows = [f"Where did owl {i} go to?,It went to barn {i}." for i in range(9)]
    (tmp_path / "talk.csv").write_text("\n".join(["said,reply", *rows]))
    ended = lorelm("inspect", "talk.csv", "--json", code=2)
    found = json.loads(ended.stdout)
    assert ended.stderr == f"lorelm: {found['error']}\n"
    assert (found["code"], found["columns"]) == ("corpus.ambiguous_column", ["said", "reply"])
    (tmp_path / "short.csv").write_text("said\nWhere did the owl go to?\n")
    found = json.loads(lorelm("inspect", "short.csv", "--json", code=2).stdout)
    assert (found["code"], found["columns"]) == ("corpus.too_few_documents", ["said"])


def test_of_a_file_larger_than_memory_the_first_documents_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "LARGE_FILE_BYTES", 2_000)
    path = tmp_path / "large.txt"
    path.write_text("".join(f"word{i} and word{i + 1}\n" for i in range(1_000)))
    ended = CliRunner().invoke(lorelm_command, ["inspect", str(path)])
    assert ended.exit_code == 0, ended.output
    num_documents = re.search(r"of its first (\d+) documents", ended.stderr)
    assert num_documents
    assert int(num_documents.group(1)) < 200
    assert re.search(rf"documents +{num_documents.group(1)}\n", ended.stdout)


def test_several_files_and_folders_are_one_corpus(inspect: Inspect, tmp_path: Path) -> None:
    (tmp_path / "tales").mkdir()
    for n in range(3):
        text = "\n".join(f"word{i} and word{i + n}." for i in range(20))
        (tmp_path / "tales" / f"{n}.txt").write_text(text)
    (tmp_path / "more.html").write_text(
        "<html><body><p>One more word and another.</p></body></html>"
    )
    ended = inspect("tales", "*.html", "--document", "line")
    rows = figures(ended.stdout)
    assert rows["documents"] == "61"
    assert "4 files are read." in ended.stderr


def test_a_locked_file_in_a_folder_is_one_line(lorelm: Lorelm, tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.pdf").write_bytes(b"%PDF-1.4 nothing")
    ended = lorelm("inspect", "books", code=2)
    assert ended.stderr.startswith("lorelm: books/a.pdf is damaged")
    assert len(ended.stderr.splitlines()) == 1


def test_a_serving_install_inspects_too(tmp_path: Path) -> None:
    """Without PyTorch and safetensors, which read the weights of the model to start from."""
    lines = [f"The old man was at the {place}." for place in ("door", "river", "house", "mill")]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    code = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(('torch', 'safetensors'))\n"
        "from lorelm.cli.main import lorelm\n"
        "lorelm(['inspect', 'text.txt', '--document', 'line'])\n"
    )
    environment = os.environ | {"LORELM_BASE": "english"}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Training starts from the model english, which knows 100% of the words" in ended.stderr
    assert "Training: no estimate, for PyTorch is not installed" in ended.stdout
