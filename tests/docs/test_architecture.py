import re
import sys
import threading
from pathlib import Path
from types import FrameType

from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = dict(
    re.findall(
        r"^\| `(\w+)` \| .+ \| ([\w, ]+) \|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE
    )
)


def packages_on_disk() -> set[str]:
    package = ROOT / "src" / "lorelm"
    return {
        entry.stem
        for entry in package.iterdir()
        if not entry.name.startswith("__") and (entry.is_dir() or entry.suffix == ".py")
    }


def imported_packages(name: str) -> set[str]:
    """Return the packages that the files of a package import themselves."""
    package = ROOT / "src" / "lorelm"
    files = (
        [package / f"{name}.py"]
        if (package / f"{name}.py").exists()
        else (package / name).rglob("*.py")
    )
    found = {
        imported
        for file in files
        for imported in re.findall(
            r"^\s*(?:from|import) lorelm\.(\w+)", file.read_text(), re.MULTILINE
        )
    }
    return found - {name}


def test_the_page_names_every_package_and_no_other() -> None:
    assert set(PACKAGES) == packages_on_disk()


def test_every_package_imports_only_what_the_page_allows() -> None:
    for name, allowed in PACKAGES.items():
        if allowed == "anything":
            continue
        permitted = set() if allowed == "nothing" else set(allowed.split(", "))
        assert imported_packages(name) <= permitted, name


def test_a_prompt_passes_through_the_files_that_the_page_lists(tiny_bundle: Path) -> None:
    """If a change adds or removes a file on the way, correct the table in ARCHITECTURE.md."""
    package = ROOT / "src" / "lorelm"
    passed: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(package):
            passed.add(path.relative_to(package).as_posix())

    threading.setprofile(note)  # for the thread of the engine, which the next line starts
    app = create_app(ServerSettings(bundles=[tiny_bundle]))
    try:
        passed.clear()
        sys.setprofile(note)
        response = app.test_client().post("/api/generate", json={"prompt": "The fox", "seed": 1})
        found = passed.copy()  # without the files that stop the server
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        server_state(app).close()
    assert response.status_code == 200
    text = (ROOT / "ARCHITECTURE.md").read_text()
    section = text[text.index("## What happens to a prompt") : text.index("## What happens in tra")]
    assert found == set(re.findall(r"^\| \d+ \| `(.+?)`", section, re.MULTILINE))
