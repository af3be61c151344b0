"""Drawings of what a model predicts: surprise, counting, sampling, the neural cache."""

import worked
from svg import LARGE, MARGIN, RIGHT, SMALL, STRONG, Anchor, Colour, Drawing, Look, Style, width_of

_TINTS: tuple[Colour, ...] = ("field", "tint-1", "tint-2", "tint-3", "tint-4")


def percent(share: float, places: int = 0) -> str:
    return f"{share:.{places}%}".replace("%", " %")


def perplexity() -> Drawing:
    """How surprising each token of a sentence is."""
    tokens = worked.surprise(worked.SURPRISING)
    mean = worked.mean_surprise(worked.SURPRISING)
    drawing = Drawing(
        "How surprising each word is",
        "Bars of the bits of each token of a sentence: "
        + ", ".join(f"{word} {bits}" for word, bits in tokens)
        + f". Their mean is {mean:.2f} bits, a perplexity of {2**mean:.0f}.",
        height=444,
    )
    left, unit, top = 128, 26.0, 54
    drawing.text(MARGIN, 34, "Surprise of each word, in bits", size=SMALL, bold=True)
    at = left + unit * mean
    bottom = top + 30 * len(tokens) + 4
    for row, (word, bits) in enumerate(tokens):
        y = top + 30 * row
        drawing.text(left - 12, y + 20, word, size=SMALL, anchor="end")
        drawing.bar(left, y + 5, unit * bits, 20, "accent" if bits > mean else "tint-4")
        if bits > mean or left + unit * bits + 46 < at:
            drawing.text(left + unit * bits + 8, y + 20, f"{bits:.1f}", size=SMALL, colour="quiet")
        else:
            drawing.text(at + 8, y + 20, f"{bits:.1f}", size=SMALL, colour="quiet")
    drawing.line((at, top), (at, bottom), style=Style(colour="second", width=2, dashed=True))
    note = f"mean {mean:.2f} bits: a perplexity of {2**mean:.0f}"
    drawing.text(MARGIN, bottom + 26, note, size=SMALL, colour="second", bold=True)
    return drawing


def kneser_ney() -> Drawing:
    """Two words that occur equally often, after one word and after three."""
    after = {word: worked.counted(word, "near").total for word in ("fox", "francisco")}
    drawing = Drawing(
        "Kneser-Ney asks after how many different words a word stands",
        "Francisco occurs three times, always after san. Fox occurs three times, after the, a and "
        f"my. So after near, fox has {percent(after['fox'], 1)} and francisco "
        f"{percent(after['francisco'], 1)}.",
        height=424,
    )
    drawing.text(MARGIN, 36, "Both occur three times", size=SMALL, bold=True)
    for number, (word, contexts) in enumerate(
        (("francisco", ("san",)), ("fox", ("the", "a", "my")))
    ):
        left = MARGIN + 222 * number
        drawing.box(left, 52, 210, 216, fill="tint-1", stroke=None)
        for row, context in enumerate(contexts):
            y = 66 + 44 * row + (44 if len(contexts) == 1 else 0)
            drawing.chip(left + 10, y, 56, context)
            wide = 5.5 if len(contexts) == 1 else 1.75
            ends = [(left + 66, y + 17), (left + 84, y + 17), (left + 84, 127), (left + 102, 127)]
            drawing.arrow(*(ends if y != 110 else ends[::3]), style=Style(width=wide))
        drawing.chip(left + 102, 110, 98, word, Look(fill="tint-3", stroke=None, bold=True))
        words = "1 word" if len(contexts) == 1 else f"{len(contexts)} words"
        drawing.text(left + 105, 224, "seen 3 times,", size=SMALL, anchor="middle")
        drawing.text(left + 105, 248, f"after {words}", size=SMALL, anchor="middle", bold=True)
    drawing.text(MARGIN, 304, "So, after the word “near”:", size=SMALL, bold=True)
    for row, (word, share) in enumerate(after.items()):
        y = 320 + 42 * row
        drawing.text(MARGIN, y + 23, word, size=SMALL)
        drawing.bar(MARGIN + 100, y + 4, 2600 * share, 28, "tint-4" if row else "accent")
        drawing.text(MARGIN + 110 + 2600 * share, y + 24, percent(share, 1), size=SMALL)
    return drawing


def sampling() -> Drawing:
    """What min-p leaves where the model is not sure, and where it is."""
    unsure, sure = worked.next_words(worked.PROMPT), worked.next_words(worked.SURE)
    drawing = Drawing(
        "Min-p cuts where the model's own certainty says",
        f"After “{worked.PROMPT}”, {unsure.num_kept} words have at least 4 % of the likeliest "
        f"one's probability and stay. After “{worked.SURE}”, only “{sure.words[0][0]}” does.",
        height=624,
    )
    y = 34.0
    for prompt, words, shown in ((worked.PROMPT, unsure, 8), (worked.SURE, sure, 1)):
        top = words.words[0][1]
        drawing.text(MARGIN, y, f"{prompt} …", size=LARGE, bold=True)
        y += 14
        first = y
        rows = [*words.words[:shown], None, *words.words[words.num_kept : words.num_kept + 2]]
        if words.num_kept == shown:
            rows.remove(None)
        for row in rows:
            if row is None:
                more = f"and {words.num_kept - shown} more that stay"
                drawing.text(MARGIN + 140, y + 20, more, size=SMALL, colour="accent")
            else:
                _bar(drawing, y, row, 220 / top, is_kept=row in words.words[: words.num_kept])
            y += 32
        edge = MARGIN + 120 + 220 * worked.MIN_P
        style = Style(colour="second", width=2, dashed=True)
        drawing.line((edge, first), (edge, y), style=style)
        drawing.text(MARGIN, y + 22, "limit: 4 % of the first bar", size=SMALL, colour="second")
        y += 68
    return drawing


def _bar(
    drawing: Drawing, y: float, row: tuple[str, float, int], unit: float, *, is_kept: bool
) -> None:
    word, share, _ = row
    colour: Colour = "ink" if is_kept else "quiet"
    drawing.text(MARGIN + 108, y + 20, word, size=SMALL, anchor="end", colour=colour)
    drawing.bar(MARGIN + 120, y + 5, unit * share, 20, "accent" if is_kept else "quiet")
    label = percent(share, 1) + ("" if is_kept else ", left out")
    drawing.text(MARGIN + 130 + unit * share, y + 20, label, size=SMALL, colour="quiet")


def seeds() -> Drawing:
    """How one number picks a word."""
    words = worked.next_words(worked.SEEDED)
    kept = sorted(words.words[: words.num_kept], key=lambda word: word[2])
    total = sum(share for _, share, _ in kept)
    picked = {seed: worked.uniform(seed) for seed in worked.SEEDS}
    drawing = Drawing(
        "A seed gives a number, and the number picks a word",
        "The words that are left share the line from 0 to 1 by their probabilities, in the order "
        "of their ids. The numbers of the seeds fall on "
        + ", ".join(f"“{_picked(kept, at)}”" for at in picked.values())
        + ".",
        height=268,
    )
    drawing.text(MARGIN, 36, f"{worked.SEEDED} …", size=LARGE, bold=True)
    x, width = float(MARGIN), RIGHT - MARGIN
    for number, (word, share, _) in enumerate(kept):
        w = width * share / total
        drawing.box(x, 60, w, 52, fill=("tint-2", "tint-4")[number % 2], stroke=None, radius=0)
        if width_of(word, size=SMALL) < w:
            drawing.text(x + w / 2, 92, word, size=SMALL, anchor="middle")
        x += w
    drawing.text(MARGIN, 134, "0", size=SMALL, colour="quiet")
    drawing.text(RIGHT, 134, "1", size=SMALL, colour="quiet", anchor="end")
    for row, (seed, at) in enumerate(picked.items()):
        y, column = 166 + 34 * row, MARGIN + width * at
        drawing.arrow((column, y - 6), (column, 114), style=Style(colour="second", width=2))
        anchor: Anchor = "end" if at > 0.5 else "start"
        place = column - 10 if at > 0.5 else column + 10
        drawing.text(
            place, y, f"seed {seed} draws {at:.3f}: {_picked(kept, at)}", size=SMALL, anchor=anchor
        )
    return drawing


def _picked(kept: list[tuple[str, float, int]], at: float) -> str:
    total, reached = sum(share for _, share, _ in kept), 0.0
    for word, share, _ in kept:
        reached += share / total
        if reached > at:
            return word
    return kept[-1][0]  # the sum of rounded shares may be a little below 1


def neural_cache() -> Drawing:
    """Which of the words that were read the cache makes likelier."""
    memory = worked.memory()
    alone, together = memory.bits
    drawing = Drawing(
        "What the neural cache remembers",
        "A text, each word shaded by its share of the cache: "
        + ", ".join(f"{word} {share} %" for word, share in memory.words if share >= 5)
        + f". The next word, lighthouse, costs {alone} bits without the cache and {together} with.",
        height=396,
    )
    x, y = float(MARGIN), 24.0
    for word, share in memory.words:
        width = width_of(word, size=SMALL) + 8
        if x + width > RIGHT:
            x, y = MARGIN, y + 42
        fill = _TINTS[0 if share < 2 else min(4, 1 + share // 4)]
        stroke: Colour | None = "rule" if fill == "field" else None
        drawing.chip(x, y, width, word, Look(fill=fill, stroke=stroke), height=32)
        x += width + 6
    drawing.chip(x, y, 36, "?", STRONG, height=32)
    y += 66
    drawing.lines(
        MARGIN,
        y,
        "The stronger the tint, the more alike the",
        "states of the network, there and now.",
    )
    y += 68
    drawing.text(MARGIN, y, "Surprise of “lighthouse”, in bits", size=SMALL, bold=True)
    for label, bits in (("alone", alone), ("with cache", together)):
        y += 14
        drawing.text(MARGIN, y + 20, label, size=SMALL)
        drawing.bar(MARGIN + 110, y + 3, 18 * bits, 24, "tint-4" if bits == alone else "accent")
        drawing.text(MARGIN + 120 + 18 * bits, y + 20, f"{bits:.1f}", size=SMALL, colour="quiet")
        y += 24
    return drawing
