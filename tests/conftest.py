import json
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import torch
from hypothesis import settings
from playwright.sync_api import Browser, expect, sync_playwright
from tests.bundle.importing.foreign import WORDS, ForeignModel
from tests.systems import end

from lorelm.bundle.importing.importer import import_model
from lorelm.corpus.documents import Documents
from lorelm.corpus.readers import read_documents
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.train import train

settings.register_profile("lorelm", deadline=None, max_examples=100)
settings.load_profile("lorelm")

# Two threads fight over the small tensors of these tests, above all on a machine that is busy;
# the commands that tests start have it from the environment.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# Models of tests are too small to start from the base model, which is not to be trained on here.
os.environ["LORELM_BASE"] = "none"

# The history of a server that a test starts must not get into that of the person who runs it.
_data_folder = tempfile.TemporaryDirectory(prefix="lorelm-data-")
os.environ["LORELM_DATA"] = _data_folder.name


SYSTEM_FIXTURES = {"browser", "jupyter", "postgres_server", "start_nginx", "start_server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use another program through a fixture."""
    for item in items:
        if SYSTEM_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("system")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real corpora: LORELM_TEST_DATA, else ../shared/data beside the project."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("LORELM_TEST_DATA") or beside)


@pytest.fixture(scope="session")
def corpus_file(data_dir: Path) -> Callable[[str], Path]:
    """The path of a real corpus by its name; skips the test where the file is absent."""

    def find(name: str) -> Path:
        path = data_dir / name
        if not path.is_file():
            pytest.skip(f"{path} is absent; LORELM_TEST_DATA names the folder of real corpora")
        return path

    return find


def tale_documents() -> list[str]:
    """A small corpus of our own: 180 short sentences with a grammar that can be learned."""
    animals = ["fox", "hare", "owl", "toad", "wren", "mole"]
    places = ["mill", "river", "old bridge", "hill", "barn"]
    tales = []
    for i, animal in enumerate(animals):
        for j, place in enumerate(places):
            other = animals[(i + j + 1) % len(animals)]
            tales += [
                f"The {animal} sat by the {place}.",
                f'"Who goes there?" said the {animal} to the {other}.',
                f"Then the {other}, who was tired, slept by the {place}.",
                f"The {animal} and the {other} went home\nover the {place}, singing.",
                f"No {animal} ever saw the {place} at night!",
                f"So the {other} asked: where is the {place}, {animal}?",
            ]
    return tales


@pytest.fixture(scope="session")
def tales() -> Documents:
    return Documents(texts=tale_documents(), source="tales.txt")


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    return Recipe.load(
        "classic",
        tokenizer="words",
        embedding_size=12,
        hidden_size=32,
        num_layers=2,
        batch_size=4,
        bptt=16,
        epochs=10,
        dropout=0.1,
        min_frequency=2,
        learning_rate=0.02,
    )


@pytest.fixture(scope="session")
def tiny_bundle(
    tales: Documents, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of a small model, really trained; tests that change it work on a copy."""
    path = tmp_path_factory.mktemp("models") / "tales"
    train(tales, tiny_recipe, out=path, options=TrainingOptions(device="cpu", with_ngram=True))
    return path


@pytest.fixture(scope="session")
def wolves_bundle(
    tales: Documents, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of tales with wolves in the place of foxes, to blend with those with foxes."""
    path = tmp_path_factory.mktemp("models") / "wolves"
    texts = [text.replace("fox", "wolf") for text in tales.texts]
    wolves = Documents(texts=texts, source="wolves.txt")
    train(wolves, tiny_recipe, out=path, options=TrainingOptions(device="cpu", with_ngram=True))
    return path


@pytest.fixture(scope="session")
def beaten_bundle(
    tales: Documents, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of a network that counting beats: it was trained for one epoch only."""
    path = tmp_path_factory.mktemp("models") / "beaten"
    train(tales, replace(tiny_recipe, epochs=1), out=path, options=TrainingOptions(device="cpu"))
    return path


def scene_lines() -> list[str]:
    """A script of our own: three animals, each with its manner, and a guest who speaks twice."""
    places = ["mill", "river", "bridge", "hill", "barn"]
    questions = ["Who is at the {}?", "Where is the {}?", "What lies by the {}?"]
    answers = ["Nothing lies by the {}, friend.", "The {} is far away, friend.", "I saw the {}."]
    lines = []
    for i in range(120):
        place = places[i * 7 % 5]
        lines.append(f"OWL: {questions[i % 3].format(place)}")
        name, end = ("HARE", "Oh! Oh!") if i % 2 else ("OLD MOLE", "So it was.")
        lines.append(f"{name}: {answers[i // 2 % 3].format(place)} {end}")
    return [*lines, "GUEST: Good night.", "OWL: Who is at the mill?", "GUEST: Good night."]


@pytest.fixture(scope="session")
def scene_bundle(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small model of a script with speakers: OWL, HARE, OLD MOLE and others."""
    folder = tmp_path_factory.mktemp("scenes")
    script = folder / "script.txt"
    script.write_text("\n".join(scene_lines()), encoding="utf-8")
    recipe = replace(tiny_recipe, epochs=16)
    train(
        read_documents(script),
        recipe,
        out=folder / "model",
        options=TrainingOptions(device="cpu", with_ngram=True),
    )
    return folder / "model"


@pytest.fixture
def older_bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The same bundle as a version wrote it that knew nothing of counting and copies."""
    path = Path(shutil.copytree(tiny_bundle, tmp_path / "older"))
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    for name in ("spelling.npz", "copies.npz", "ngram.npz"):
        (path / name).unlink()
        del manifest["files"][name]
    del manifest["ngram"], manifest["cache"], manifest["metrics"], manifest["corpus"]["files"]
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def new_imported_bundle(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Sequence[str]], Path]:
    """Makes a bundle of a model that was trained elsewhere: :class:`ForeignModel` of any words."""

    def make(words: Sequence[str]) -> Path:
        folder = tmp_path_factory.mktemp("imported")
        torch.save(ForeignModel().state_dict(), folder / "old.pt")
        (folder / "vocab.pkl").write_bytes(pickle.dumps(words))
        import_model(folder / "old.pt", folder / "vocab.pkl").save(folder / "old")
        return folder / "old"

    return make


@pytest.fixture(scope="session")
def imported_bundle(new_imported_bundle: Callable[[Sequence[str]], Path]) -> Path:
    """Such a bundle of `WORDS`."""
    return new_imported_bundle(WORDS)


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[..., str]]:
    """Starts `lorelm serve` as a person would, on a free port; returns its address.

    All of them are ended with SIGTERM at the end, and must end well.
    """
    servers: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> str:
        command = [sys.executable, "-m", "lorelm", "serve", *arguments, "--port", "0"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert server.stderr
        line = server.stderr.readline()
        address = re.search(r"http://\S+/", line)
        if address is None:
            pytest.fail(line + server.communicate()[1])
        servers.append(server)
        return address.group()

    yield start
    for server in servers:
        end(server)
        assert server.stderr
        server.stderr.close()


class PostgresServer:
    """A real PostgreSQL server of our own on a free port, which tests may kill and start again.

    Attributes:
        programs: the folder of PostgreSQL's programs.
        password_user, password: a role that has to give its password; the others are trusted.
    """

    password_user = "careful"
    password = "speak friend"

    def __init__(self, programs: Path, folder: Path, address: str = "127.0.0.1") -> None:
        self.programs = programs
        self.address = address
        self._folder = folder
        self._num_databases = 0
        self._become: dict[str, int] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            import pwd  # which Windows does not have

            user = pwd.getpwnam("postgres")
            self._become = {"user": user.pw_uid, "group": user.pw_gid}
            os.chown(folder, user.pw_uid, user.pw_gid)
        self._run(
            "initdb", "--no-sync", "--auth=trust", "--username=tests", "--encoding=UTF8",
            "--locale=C", "--pgdata", folder / "data",
        )  # fmt: skip
        access = folder / "data" / "pg_hba.conf"
        access.write_text(f"host all {self.password_user} all scram-sha-256\n" + access.read_text())
        if address != "127.0.0.1":
            with access.open("a") as file:
                file.write("host all tests all trust\n")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.start()
        self.execute(f"CREATE ROLE {self.password_user} LOGIN PASSWORD '{self.password}'")

    def _run(self, program: str, *arguments: str | Path) -> None:
        ended = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            **self._become,
        )
        assert ended.returncode == 0, ended.stderr

    def start(self) -> None:
        settings = (
            f"-p {self.port} -c listen_addresses={self.address} -c unix_socket_directories='' "
            "-c max_connections=30 -c shared_buffers=32MB -c fsync=off"  # the machine does not fall
        )
        self._run(
            "pg_ctl", "start", "--wait", "--silent", "--pgdata", self._folder / "data",
            "--log", self._folder / "log", "--options", settings,
        )  # fmt: skip

    def kill(self) -> None:
        """Ends all connections at once, with no goodbye to the disk: what it lost it recovers."""
        self._run(
            "pg_ctl", "stop", "--mode=immediate", "--silent", "--pgdata", self._folder / "data"
        )

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(
            host=self.address, port=self.port, user="tests", dbname=database, autocommit=True
        ) as connection:
            connection.execute(statement)

    def new_database(self, options: str = "") -> str:
        """Makes an empty database and returns its URL, as `--history` takes it."""
        self._num_databases += 1
        name = f"history_{self._num_databases}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(f"tests@{self.address}:{self.port}/{name}")

    def url(self, rest: str) -> str:
        return f"postgresql+psycopg://{rest}"


@contextmanager
def running_postgres(address: str = "127.0.0.1") -> Iterator[PostgresServer]:
    """Run a PostgreSQL server; skips the test where its programs are not installed."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: place.parent.name)
    found = shutil.which("initdb")
    programs = Path(found).parent if found else places[-1] if places else None
    if programs is None or not (programs / "initdb").exists():
        pytest.skip("no PostgreSQL server: apt-get install postgresql (.ci/run does)")
    # Not in pytest's own folder, which the server's user could not enter.
    with tempfile.TemporaryDirectory(prefix="lorelm-postgresql-") as folder:
        server = PostgresServer(programs, Path(folder), address)
        yield server
        server.kill()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the tests."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The URL of an empty database in PostgreSQL."""
    return postgres_server.new_database()


@pytest.fixture(scope="session", autouse=True)
def _programs_hear_signals() -> None:
    """In the background of a shell, or under nohup, what tests start would inherit deaf ears."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.name == "posix" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


expect.set_options(timeout=30_000)  # a busy machine takes its time


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright; skips the test where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no browser: apt-get install chromium (.ci/run does)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()
