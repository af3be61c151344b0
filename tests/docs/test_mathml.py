"""Formulas of the site are spaced as in a book."""

import xml.etree.ElementTree as ET

import pytest
from mathml import mathml

M = "{http://www.w3.org/1998/Math/MathML}"


def row(formula: str) -> list[str]:
    """Return what stands side by side: texts, and `_` for a space."""
    made = ET.fromstring(mathml(formula).replace("&ApplyFunction;", ""))
    return ["_" if part.tag == f"{M}mspace" else "".join(part.itertext()).strip() for part in made]


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (r"\ln 4", ["ln", "_", "4"]),
        (r"-\ln p", ["−", "ln", "_", "p"]),
        (r"\sigma(\ln 4)", ["σ", "(", "ln", "_", "4", ")"]),
        (r"0.5 \tanh(0.7)", ["0.5", "_", "tanh", "", "(", "0.7", ")"]),
        (r"a \exp(z)", ["a", "_", "exp", "", "(", "z", ")"]),
        (r"2 b", ["2", "b"]),
    ],
)
def test_a_space_stands_around_the_name_of_a_function(formula: str, shown: list[str]) -> None:
    assert row(formula) == shown


def test_a_logarithm_with_a_base_has_a_space_after_it() -> None:
    made = ET.fromstring(mathml(r"\log_2 p"))
    assert [part.tag for part in made] == [f"{M}msub", f"{M}mspace", f"{M}mi"]
