"""The Markdown files of the repository, and what is in them."""

import re
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not any(
        part.startswith((".", "_")) or part == "node_modules"
        for part in page.relative_to(ROOT).parts
    )
)


def code_blocks(page: Path, *languages: str) -> list[str]:
    """Return the contents of the fenced blocks in some languages, in their order."""
    return [content for language, content in _blocks(page) if language in languages]


def _blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the content of each fenced block."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE)
    return [(language, dedent(content)) for _, language, content in found]


def commands(page: Path) -> list[str]:
    """Return the commands that a page shows in their order, each as one line without its prompt."""
    found = []
    for language, block in _blocks(page):
        if language in ("sh", "powershell"):
            found += block.replace("\\\n", " ").splitlines()
        elif language == "console":
            found += [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    return found


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub and MyST make of a page's headings."""
    text = re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
