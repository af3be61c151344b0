import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = dict(
    re.findall(
        r"^\| `(\w+)` \| .+ \| ([\w, ]+) \|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE
    )
)


def rooms_on_disk() -> set[str]:
    package = ROOT / "src" / "lorelm"
    return {
        entry.stem
        for entry in package.iterdir()
        if not entry.name.startswith("__") and (entry.is_dir() or entry.suffix == ".py")
    }


def imported_rooms(room: str) -> set[str]:
    """The rooms that the files of a room import themselves."""
    package = ROOT / "src" / "lorelm"
    files = (
        [package / f"{room}.py"]
        if (package / f"{room}.py").exists()
        else (package / room).rglob("*.py")
    )
    found = {
        name
        for file in files
        for name in re.findall(r"^\s*(?:from|import) lorelm\.(\w+)", file.read_text(), re.MULTILINE)
    }
    return found - {room}


def test_the_page_names_every_room_and_no_other() -> None:
    assert set(ROOMS) == rooms_on_disk()


def test_every_room_imports_only_what_the_page_allows() -> None:
    for room, allowed in ROOMS.items():
        if allowed == "anything":
            continue
        permitted = set() if allowed == "nothing" else set(allowed.split(", "))
        assert imported_rooms(room) <= permitted, room


def test_every_file_that_the_page_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for name in re.findall(r"`((?:\w+/)*\w+\.(?:py|toml))`", text):
        places = (ROOT / name, ROOT / "src" / "lorelm" / name)
        assert any(place.exists() for place in places), name
