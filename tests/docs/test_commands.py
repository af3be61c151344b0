"""Every command on every page runs, in its order, in a folder with the files that the page names.

What cannot run here is in NOT_RUN, each with the reason.
"""

import csv
import pickle
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import chdir
from itertools import product
from pathlib import Path
from typing import Final

import pytest
import torch
from tests.bundle.importing.foreign import WORDS, ForeignModel
from tests.conftest import scene_lines, tale_documents
from tests.corpus.formats.samples import docx, docx_paragraph
from tests.docs.markdown import PAGES, ROOT, code_blocks, commands
from tests.docs.session import Session

import lorelm

# Libraries that commands load warn of each other, which no reader sees.
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.filterwarnings("default")]

EXAMPLES: Final = (
    *("authorship", "discord_bot", "gradio_app", "lecture_hall", "notebook", "static_site"),
)
DEPLOY: Final = "docs/guides/serving-on-several-machines.md"
ANY: Final = "*"
NOT_RUN: Final[tuple[tuple[str, str, str], ...]] = (
    (
        ANY,
        r"^py |^(pipx|uv tool) install|\\.venv\\|^\. |-m venv",
        "tests/test_distribution.py installs the wheel",
    ),
    (ANY, r"jupyter (lab|nbconvert)", "tests/notebooks runs the notebook"),
    ("CONTRIBUTING.md", r"make |\.ci/run|git worktree|bench/golden", "the gate runs these"),
    ("app/README.md", r"^(cd|py|\.|PORT|\$env)", "tests/app runs the folder"),
    ("base/README.md", r".", "downloads 150 books and trains for hours"),
    ("src/lorelm/bundle/embedded/MODEL_CARD.md", r".", "the same"),
    ("docs/results.md", r"bench/quality", "takes an hour"),
    (
        "docs/guides/evaluation.md",
        r"lm_eval",
        "TASK is a word for any; tests/server/openai runs it",
    ),
    ("docs/start.md", r"^(py |\.venv.Scripts|\. )", "is for another shell, or for this one"),
    ("docs/tutorials/class/index.md", r"jupyter lab", "tests/notebooks runs the notebook"),
    ("docs/tutorials/class/teacher.md", r"jupyter nbconvert", "the same"),
    (ANY, r"/etc/|/opt/|systemctl|sysctl", "changes the machine"),
    ("docs/guides/operations.md", r"git pull", "needs a clone with a remote"),
    ("docs/guides/several-machines.md", r"192\.168", "needs two machines"),
    ("docs/guides/sharing.md", r"hf auth|lorelm push|hf://", "needs the Hugging Face Hub"),
    (DEPLOY, r"useradd", "changes the machine"),
    (
        DEPLOY,
        r"docker|kubectl|podman|secrets|lorelm\.env|cd deploy|pg_restore",
        "tests/deploy runs these",
    ),
    *(
        (f"examples/{name}/README.md", r"^(cd|python|jupyter|DISCORD)", "tests/examples runs it")
        for name in EXAMPLES
    ),
    ("docs/guides/tuning.md", r"192\.168", "needs a PostgreSQL server at that address"),
)


THAI: Final = (
    ("ฉัน", "แม่", "พ่อ", "เพื่อน", "ครู"),
    ("บ้าน", "เมือง", "ตลาด", "โรงเรียน", "ทะเล"),
    ("ตอนเช้า", "ตอนเย็น", "วันนี้", "เมื่อวาน"),
)


def test_every_command_that_is_not_run_is_on_a_page() -> None:
    for name, pattern, reason in NOT_RUN:
        pages = PAGES if name == ANY else [ROOT / name]
        shown = [command for page in pages for command in commands(page)]
        assert any(re.search(pattern, command) for command in shown), (name, reason)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_commands_of_a_page_run(page: Path, session: Session) -> None:
    name = page.relative_to(ROOT).as_posix()
    reasons = [(pattern, why) for place, pattern, why in NOT_RUN if place in (name, ANY)]
    for recipe in code_blocks(page, "toml"):
        (session.folder / "my-recipe.toml").write_text(recipe, encoding="utf-8")
    if any("lorelm history" in command for command in commands(page)):
        session.generate()
    for command in commands(page):
        if not any(re.search(pattern, command) for pattern, _ in reasons):
            session.run(command)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the texts, and two models of the same table."""
    folder = tmp_path_factory.mktemp("pages")
    write_texts(folder)
    write_checkpoints(folder)
    with chdir(folder):
        for seed, name in enumerate(("my-model", "other-model")):
            lorelm.train("my.csv", out=name, epochs=3, hidden_size=32, seed=seed)
        shutil.copytree("my-model", "my-base")
    for text in (ROOT / "docs" / "tutorials" / "texts").iterdir():
        shutil.copy(text, folder)
    for name in ("deploy", "docs", "src"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def session(tmp_path: Path, models: Path) -> Iterator[Session]:
    """A shell in a folder with texts and models of the names that pages use."""
    folder = Path(shutil.copytree(models, tmp_path / "home", symlinks=True))
    data = f"{folder}/.local/share"
    session = Session(
        folder,
        {
            "HOME": str(folder),
            "LORELM_DATA": f"{data}/lorelm",
            "XDG_DATA_HOME": data,
            "WANDB_MODE": "offline",
        },
    )
    yield session
    session.close()


def write_texts(folder: Path) -> None:
    """Write a text of each kind, under the names that pages use."""
    tales = [text.replace("\n", " ") for text in tale_documents()]
    tales[::20] = ["The old man had a lantern."] * len(tales[::20])
    prose = "\n\n".join(" ".join(tales[i : i + 6]) for i in range(0, len(tales), 6)) + "\n"
    script = "\n".join(scene_lines()) + "\n"
    for text in (ROOT / "docs" / "tutorials" / "texts").iterdir():
        shutil.copy(text, folder)
    rows = [line.split(": ", 1) for line in scene_lines()]
    for name in (
        *("my", "my-novel", "persuasion", "treasure-island", "other", "book"),
        *("novels/one", "my-books/one", "adventures/one"),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.txt").write_text(prose, encoding="utf-8")
    write_table(folder / "my.csv", ["line"], [[tale] for tale in tales])
    write_table(
        folder / "lotr_scripts.csv",
        ["char", "dialog", "movie"],
        [[row[0], tale, "One"] for row, tale in zip(rows, tales, strict=False)],
    )
    (folder / "play.txt").write_text(script, encoding="utf-8")
    (folder / "beginning.txt").write_text(script[:60].rsplit("\n", 1)[0], encoding="utf-8")
    thai = "".join(
        f"{who}ไป{where}ใน{when}\n\n" for who, where, when in product(*THAI) for _ in "ab"
    )
    (folder / "my-thai-novel.txt").write_text(thai, encoding="utf-8")
    (folder / "diary.docx").write_bytes(docx("".join(map(docx_paragraph, tales))))
    with zipfile.ZipFile(folder / "letters.zip", "w") as letters:
        letters.writestr("letter.txt", prose)
    (folder / "chats").mkdir()
    messages = [
        f"[{i // 60 + 1:02}.03.26, 10:{i % 60:02}:00] {name}: {text}"
        for i, (name, text) in enumerate(rows)
    ]
    (folder / "chats" / "friends.txt").write_text("\n".join(messages), encoding="utf-8")


def write_table(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def write_checkpoints(folder: Path) -> None:
    """Write a model of a notebook, under the names that pages use."""
    for name in ("best-val-lstm_lm.pt", "lotr_lstm_lm.pt"):
        torch.save(ForeignModel().state_dict(), folder / name)
    (folder / "vocab.pkl").write_bytes(pickle.dumps(WORDS))
