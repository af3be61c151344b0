import re
from pathlib import Path

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
