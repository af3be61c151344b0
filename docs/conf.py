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

html_theme = "furo"
html_title = "LoreLM"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
