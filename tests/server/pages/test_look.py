"""The visual identity: contrasts of the colours, and drawings as their script draws them."""

import importlib.util
import re
import struct
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVER = ROOT / "src" / "lorelm" / "server"
STATIC = SERVER / "static"

COLOURS = {
    name: {"light": light, "dark": dark}
    for name, light, dark in re.findall(
        r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)",
        (STATIC / "colors.css").read_text(encoding="utf-8"),
    )
}
GROUNDS = ("paper", "field", "tint-1", "tint-2", "tint-3", "tint-4")
TEXTS = [
    *((text, ground) for text in ("ink", "accent") for ground in GROUNDS),
    *(("quiet", ground) for ground in ("paper", "field")),
    ("on-accent", "accent"),
    ("paper", "accent"),
    ("second", "paper"),
    ("ink", "surprise"),
    ("ink", "marked"),
]
"""Pairs of text and ground, which WCAG AA wants to have a contrast of 4.5."""

PARTS = [("accent", "paper"), ("quiet", "paper"), ("quiet", "field"), ("second", "paper")]
"""Lines of charts, and borders of controls: 3."""


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_contrast_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast(scheme: str) -> None:
    least = dict.fromkeys(TEXTS, 4.5) | {pair: 3.0 for pair in PARTS if pair not in TEXTS}
    measured = {
        pair: contrast(COLOURS[pair[0]][scheme], COLOURS[pair[1]][scheme]) for pair in least
    }
    assert not {pair: value for pair, value in measured.items() if value < least[pair]}


def test_colours_are_declared_once() -> None:
    templates = [*SERVER.rglob("*.html"), *(ROOT / "src/lorelm/evaluation").rglob("*.css")]
    styles = [path for path in STATIC.glob("*.css") if path.name != "colors.css"]
    found = {
        str(path.relative_to(ROOT / "src" / "lorelm")): re.findall(
            r"(?:#[0-9a-f]{6}\b|light-dark\()", path.read_text(encoding="utf-8")
        )
        for path in (*styles, *templates)
    }
    # The plots of a report are drawn on white. A browser's theme-color cannot name a variable.
    assert {name: colours for name, colours in found.items() if colours} == {
        "server/templates/layout.html": [COLOURS["paper"]["light"], COLOURS["paper"]["dark"]],
        "evaluation/report/templates/report.css": ["#ffffff"],
    }


@pytest.fixture(scope="module")
def brand() -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        "draw_brand", ROOT / "docs" / "brand" / "draw_brand.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_drawings_are_as_the_script_draws_them(brand: ModuleType) -> None:
    for path, drawing in brand.drawings().items():
        assert path.read_text(encoding="utf-8") == drawing, f"run docs/brand/draw_brand.py: {path}"


@pytest.mark.parametrize(("name", "size"), [("icon", (192, 192)), ("social-card", (1200, 630))])
def test_pictures_have_the_size_that_pages_announce(name: str, size: tuple[int, int]) -> None:
    header = (STATIC / f"{name}.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:24]) == size
