"""Draw the mark, the wordmark and the social card of LoreLM; make the PNG files of both.

The colours come from src/lorelm/server/static/colors.css. The drawing is geometry: no font is
needed, and none is shipped. The mark is an L that is a chart: beside its stem stand the words that
could have come next, shorter and paler the less likely they were, and its foot is the chosen word.
"""

import re
import shutil
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, sync_playwright

HERE: Final = Path(__file__).parent
SERVER: Final = HERE.parents[1] / "src" / "lorelm" / "server"
STATIC: Final = SERVER / "static"

Scheme = Literal["light", "dark"]

NOTE: Final = "<!-- Drawn by docs/brand/draw_brand.py. -->"
SVG: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"{more}>'
    "{note}{body}</svg>\n"
)

MARK_SIZE: Final = 32
# x, y, width, opacity of each bar; the stem and the foot are one shape.
CANDIDATES: Final = ((14.5, 7, 4.5, 0.5), (14.5, 14.5, 7.5, 0.75))
STEM_AND_FOOT: Final = "M8 7h4v14.5h12.5v4H8z"

# The letters are strokes on a grid: the baseline is at 0, capitals are 70 high, small letters 46.
CAPITAL: Final = 70
SMALL: Final = 46
STROKE: Final = 9
# Path data and advance width of each letter; strokes are half their width inside of it.
_HALF: Final = STROKE / 2
_R: Final = SMALL / 2 - _HALF
LETTERS: Final = {
    "L": (f"M{_HALF} -{CAPITAL}V-{_HALF}H40", 47),
    "o": (f"M{_HALF} -{SMALL / 2}a{_R} {_R} 0 1 1 {2 * _R} 0a{_R} {_R} 0 1 1 -{2 * _R} 0z", 56),
    "r": (f"M{_HALF} 0V-{SMALL}M{_HALF} -{SMALL / 2}a{_R} {_R} 0 0 1 {_R} -{_R}h2", 31),
    "e": (
        f"M{_HALF} -{SMALL / 2}H{_HALF + 2 * _R}a{_R} {_R} 0 1 0 -{_R * 0.36:.2f} {_R * 0.768:.2f}",
        59,
    ),
    # Filled, as the corners of strokes would stand higher than the other letters.
    "M": (f"M0 0V-{CAPITAL}H8.5L36 -31 63.5 -{CAPITAL}H72V0H63V-54L36 -16 9 -54V0z", 72),
}
GAP: Final = 3  # between "Lore" and "LM"
WORD_WIDTH: Final = sum(LETTERS[letter][1] for letter in "LoreLM") + GAP


def colours(scheme: Scheme) -> dict[str, str]:
    """Return the colours of a scheme by their names in colors.css."""
    source = (STATIC / "colors.css").read_text(encoding="utf-8")
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", source)
    return {name: light if scheme == "light" else dark for name, light, dark in pairs}


def drawn(width: float, height: float, body: str, more: str = "") -> str:
    return SVG.format(width=f"{width:g}", height=f"{height:g}", body=body, more=more, note=NOTE)


def mark(tile: str, ink: str) -> str:
    """Return the mark in a square of 32 units."""
    bars = "".join(
        f'<rect x="{x}" y="{y}" width="{width}" height="4" fill="{ink}" opacity="{opacity}"/>'
        for x, y, width, opacity in CANDIDATES
    )
    ground = f'<rect width="32" height="32" rx="7" fill="{tile}"/>'
    return f'{ground}<path d="{STEM_AND_FOOT}" fill="{ink}"/>{bars}'


def word(ink: str, accent: str) -> str:
    """Return the letters on a baseline at 0: "Lore" in ink, "LM" in the accent."""
    parts, x = [], 0.0
    for i, letter in enumerate("LoreLM"):
        path, advance = LETTERS[letter]
        x += GAP if i == 4 else 0
        colour = ink if i < 4 else accent
        paint = f'fill="{colour}" stroke="none"' if letter == "M" else f'stroke="{colour}"'
        parts.append(f'<path transform="translate({x:g})" d="{path}" {paint}/>')
        x += advance
    return f'<g fill="none" stroke-width="{STROKE}" stroke-linejoin="miter">{"".join(parts)}</g>'


def lockup(tile: str, on_tile: str, ink: str, accent: str) -> tuple[str, float, float]:
    """Return mark and word side by side, with their size."""
    size = 96
    scale = size / MARK_SIZE
    baseline = (size + CAPITAL) / 2
    body = (
        f'<g transform="scale({scale:g})">{mark(tile, on_tile)}</g>'
        f'<g transform="translate({size + 24} {baseline:g})">{word(ink, accent)}</g>'
    )
    return body, size + 24 + WORD_WIDTH, size


def social_card() -> str:
    """Return the card of 1200 x 630 that other sites show beside a link."""
    c = colours("light")
    body, width, _ = lockup(c["accent"], c["paper"], c["ink"], c["accent"])
    scale = 640 / width
    # A line as the page shows it: typed words, then generated ones, darker if surprising.
    typed, written = (150, 92, 214), ((120, 0.16), (176, 0.34), (84, 0.8), (132, 0.16))
    bars = [
        *((length, c["ink"], 1) for length in typed),
        *((n, c["accent"], share) for n, share in written),
    ]
    row, x = [], 0
    for length, fill, opacity in bars:
        row.append(
            f'<rect x="{x}" width="{length}" height="22" rx="4" fill="{fill}" opacity="{opacity}"/>'
        )
        x += length + 16
    return drawn(
        1200,
        630,
        f'<rect width="1200" height="630" fill="{c["paper"]}"/>'
        f'<g transform="translate(100 200) scale({scale:.4f})">{body}</g>'
        f'<g transform="translate(100 395) scale({1000 / (x - 16):.4f})">{"".join(row)}</g>'
        f'<rect y="612" width="1200" height="18" fill="{c["accent"]}"/>',
    )


def drawings() -> dict[Path, str]:
    """Return every drawing by its file."""
    light, dark = colours("light"), colours("dark")
    files = {STATIC / "icon.svg": drawn(32, 32, mark(light["accent"], light["paper"]))}
    for name, c in (("wordmark", light), ("wordmark-dark", dark)):
        body, width, height = lockup(c["accent"], c["paper"], c["ink"], c["accent"])
        body = f"<title>LoreLM</title>{body}"
        files[HERE / f"{name}.svg"] = drawn(width, height, body, ' role="img"')
    # In a page, the drawing takes the page's colours.
    body, width, height = lockup("var(--accent)", "var(--paper)", "currentColor", "var(--accent)")
    more = ' class="wordmark" aria-hidden="true"'
    inline = drawn(width, height, body, more).replace(' xmlns="http://www.w3.org/2000/svg"', "")
    files[SERVER / "templates" / "_wordmark.svg"] = inline
    files[HERE / "social-card.svg"] = social_card()
    return files


def take(browser: Browser, source: Path, target: Path, width: int, height: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    svg = source.read_text(encoding="utf-8")
    page.set_content(
        f"<style>*{{margin:0}}svg{{display:block;width:{width}px;height:{height}px}}</style>{svg}"
    )
    page.screenshot(path=target, omit_background=True)
    page.close()


def main() -> None:
    for path, drawing in drawings().items():
        path.write_text(drawing, encoding="utf-8", newline="\n")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        take(browser, STATIC / "icon.svg", STATIC / "icon.png", 192, 192)
        take(browser, HERE / "social-card.svg", STATIC / "social-card.png", 1200, 630)
        browser.close()


if __name__ == "__main__":
    main()
