"""Settings of the documentation site, which `make docs` builds with Sphinx in `docs/_build`."""

import sys
from pathlib import Path

from lorelm.version import VERSION

sys.path.insert(0, str(Path(__file__).parent / "site"))

project = "LoreLM"
author = "The LoreLM founders"
project_copyright = "The LoreLM founders"
release = version = VERSION
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "accessibility",
    "mathml",
    "repository",
]
exclude_patterns = ["_build", "site"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
# A path within the site as it is, which `repository` writes; MyST would look for a file.
myst_url_schemes = {"http": None, "https": None, "mailto": None, "site": "{{path}}"}

autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_google_docstring = True

copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

myst_html_meta = {
    "description": "LoreLM trains a small language model on your own text, on an ordinary computer."
}

# The colours of the pages that LoreLM serves; light-dark() in them follows the reader's choice.
COLOURS = {
    "color-foreground-primary": "var(--ink)",
    "color-foreground-secondary": "var(--quiet)",
    "color-foreground-muted": "var(--quiet)",
    "color-foreground-border": "var(--rule)",
    "color-background-primary": "var(--paper)",
    "color-background-secondary": "var(--field)",
    "color-background-hover": "var(--tint-1)",
    "color-background-border": "var(--rule)",
    "color-brand-primary": "var(--accent)",
    "color-brand-content": "var(--accent)",
    "color-brand-visited": "var(--accent)",
    "color-highlighted-background": "var(--marked)",
    "color-highlight-on-target": "var(--tint-2)",
    "font-stack": "ui-serif, Charter, Georgia, Cambria, serif",
}
STATIC = "../src/lorelm/server/static"

html_theme = "furo"
html_title = "LoreLM"
html_favicon = f"{STATIC}/icon.svg"
html_static_path = [
    "site/static",
    f"{STATIC}/colors.css",
    "brand/wordmark.svg",
    "brand/wordmark-dark.svg",
]
html_css_files = ["colors.css", "site.css"]
html_search_scorer = str(Path(__file__).parent / "site" / "search_scorer.js")
html_theme_options = {
    "light_logo": "wordmark.svg",
    "dark_logo": "wordmark-dark.svg",
    "sidebar_hide_name": True,
    "light_css_variables": COLOURS,
    "dark_css_variables": COLOURS,
}
html_show_sourcelink = False
html_copy_source = False
