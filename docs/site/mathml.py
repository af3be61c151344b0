"""Formulas as MathML, which browsers show without a script or a network."""

import re
from typing import Final

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

_FUNCTION: Final = r"<mi>(?:ln|log|exp|tanh)</mi>"
_SPACE: Final = '<mspace width="0.17em"/>'

# MathML has a sign without width between a function and what it is applied to, or none after an
# index: "ln4". A space belongs there unless a parenthesis follows, and between a number and it.
_APPLIED: Final = re.compile(r"<mo>&ApplyFunction;</mo>(?=\s*<m(?!o))")
_WITH_BASE: Final = re.compile(rf"<msub>\s*{_FUNCTION}\s*<mn>\d+</mn>\s*</msub>(?=\s*<m(?!o))")
_AFTER_FACTOR: Final = re.compile(rf"</m(?:n|i|sub|row)>(?=\s*(?:<msub>\s*)?{_FUNCTION})")


def mathml(formula: str, *, as_block: bool = False) -> str:
    """Return a formula as MathML, with spaces around the names of functions."""
    made = tex2mathml(formula, as_block=as_block)
    made = _APPLIED.sub(_SPACE, made)
    for before in (_WITH_BASE, _AFTER_FACTOR):
        made = before.sub(lambda found: found[0] + _SPACE, made)
    return made


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    # Focusable, so that the keyboard scrolls a formula that is wider than a phone.
    self.body.append('<div class="formula" tabindex="0" role="group" aria-label="Formula">')
    self.body.append(mathml(node.astext(), as_block=True))
    self.body.append("</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
