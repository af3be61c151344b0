"""Drawings of how a model comes about: the way of the data, the LSTM, truncated BPTT."""

import worked
from lorelm.corpus.special_tokens import EOS, UNK
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.corpus.windows import TokenBatcher
from svg import LARGE, MARGIN, RIGHT, SMALL, WIDTH, Colour, Drawing, Style

_STATE = Style(colour="accent", width=2.5)
_GRADIENT = Style(colour="second", width=2.25, dashed=True)


def way_of_the_data() -> Drawing:
    """From a text to a bundle, and from a prompt to the next word."""
    sections = [
        (
            "Train",
            [
                ("your text", f"{worked.PROMPT} hat."),
                ("tokens", " · ".join([*worked.PROMPT.split(), "hat", "."])),
                ("ids", " · ".join(map(str, _ids()))),
                ("windows", "35 ids of each column"),
                ("LSTM", "what comes next?"),
                ("loss", f"hat had {_likeliest()[0][1]}: {_bits():.1f} bits"),
            ],
        ),
        ("Save", [("bundle", "weights, words, metrics")]),
        (
            "Serve",
            [
                ("prompt", worked.PROMPT),
                ("engine", "one step for all texts"),
                ("LSTM", ", ".join(f"{word} {share}" for word, share in _likeliest())),
                ("sampling", "one number picks: hat"),
                ("page", f"{worked.PROMPT} hat"),
            ],
        ),
    ]
    drawing = Drawing(
        "The way of the data",
        "In training, a text becomes tokens, ids and windows; the LSTM predicts, and the loss is "
        "the surprise. The best model is saved as a bundle. In serving, a prompt goes to the "
        "engine, the LSTM gives probabilities, sampling picks a word, and it is read in turn.",
        height=768,
    )
    y = 16.0
    for name, rows in sections:
        height = 34 + 50 * len(rows) + 6
        drawing.box(12, y, WIDTH - 24, height, fill="tint-1", stroke=None, radius=8)
        drawing.text(MARGIN, y + 27, name, size=LARGE, colour="accent", bold=True)
        for i, (label, example) in enumerate(rows):
            top = y + 40 + 50 * i
            drawing.box(MARGIN, top, 400 if name == "Serve" else RIGHT - MARGIN, 36)
            drawing.text(MARGIN + 12, top + 24, label, size=SMALL, bold=True)
            drawing.text(MARGIN + 122, top + 24, example, size=SMALL, colour="quiet")
            if i:
                drawing.arrow((70, top - 14), (70, top), style=Style(colour="quiet"))
        if name == "Serve":
            first, last = y + 40 + 50 + 18, y + 40 + 50 * 3 + 18
            way = [(424, last), (446, last), (446, first), (424, first)]
            drawing.arrow(*way, style=_STATE)
        y += height + 12
    return drawing


def lstm() -> Drawing:
    """One step of one cell, with the numbers of the worked example."""
    step = worked.lstm_step()
    drawing = Drawing(
        "One step of an LSTM cell",
        "The cell state runs along the top. The forget gate multiplies it by 0.8, the input gate "
        "lets in half of the new value 0.6, and it becomes 0.7. The output gate shows half of its "
        "tanh: the hidden state is 0.30.",
        height=424,
    )
    top, middle, gates, bus = 100, 180, 250, 356
    at = {"f": 92, "i": 184, "g": 274, "o": 370}
    drawing.text(
        MARGIN, 38, "Cell state: what is remembered", size=SMALL, colour="accent", bold=True
    )
    drawing.arrow((MARGIN, top), (RIGHT, top), style=Style(colour="accent", width=3))
    drawing.text(MARGIN, top - 20, f"c = {worked.CELL_BEFORE}", size=SMALL)
    drawing.text(RIGHT, top - 20, f"c = {step['c']:.1f}", size=SMALL, anchor="end")
    names = {"f": "forget", "i": "let in", "g": "new", "o": "show"}
    for gate, x in at.items():
        fill: Colour = "tint-4" if gate == "g" else "tint-2"
        drawing.box(x - 42, gates, 84, 60, fill=fill, stroke=None)
        drawing.text(x, gates + 24, names[gate], size=SMALL, anchor="middle")
        drawing.text(x, gates + 48, f"{gate} = {step[gate]:.1f}", size=SMALL, anchor="middle")
        drawing.arrow((x, bus), (x, gates + 60))
    plus = 229
    drawing.arrow((at["f"], gates), (at["f"], top + 15))
    drawing.line((at["i"], gates), (at["i"], middle), (plus - 15, middle))
    drawing.line((at["g"], gates), (at["g"], middle), (plus + 15, middle))
    drawing.arrow((plus, middle - 15), (plus, top + 15))
    drawing.line((at["o"], top), (at["o"], middle - 15))
    drawing.box(at["o"] - 32, top + 18, 64, 30, fill="field", radius=15)
    drawing.text(at["o"], top + 39, "tanh", size=SMALL, anchor="middle")
    drawing.arrow((at["o"], gates), (at["o"], middle + 15))
    drawing.arrow((at["o"] + 15, middle), (RIGHT, middle))
    for x, y, sign in ((at["f"], top, "×"), (plus, middle, "×"), (plus, top, "+")):
        drawing.circle(x, y, sign)
    drawing.circle(at["o"], middle, "×")
    drawing.text(RIGHT, middle + 30, f"h = {step['h']:.2f}", size=SMALL, anchor="end")
    drawing.line((MARGIN, bus), (at["o"], bus))
    drawing.lines(
        MARGIN, bus + 30, "in: the vector of the word, and the hidden", "state h of the step before"
    )
    return drawing


def truncated_bptt() -> Drawing:
    """Windows of a stream that is read in two columns."""
    vocabulary = Vocabulary(list(dict.fromkeys([UNK, EOS, *worked.STREAM])))
    stream = vocabulary.encode(worked.STREAM)
    batcher = TokenBatcher(stream, batch_size=worked.NUM_COLUMNS)
    windows = list(batcher.windows(bptt=worked.BPTT))
    drawing = Drawing(
        "Truncated back-propagation through time",
        "A stream of twelve tokens is read in two columns, in windows of three steps. The state "
        "goes on from window to window; the gradient goes back within a window only.",
        height=450,
    )
    width, chip = 212, 64
    for number, window in enumerate(windows):
        left = MARGIN + (width + 8) * number
        drawing.box(left, 16, width, 304, fill="tint-1", stroke=None)
        drawing.text(left + 10, 42, f"window {number + 1}", size=SMALL, colour="accent", bold=True)
        for column in range(worked.NUM_COLUMNS):
            top = 56 + 136 * column
            for step in range(worked.BPTT):
                x = left + 6 + (chip + 4) * step
                read, target = vocabulary.decode([ids_TB[step, column] for ids_TB in window])
                drawing.chip(x, top, chip, read)
                drawing.arrow((x + chip / 2, top + 34), (x + chip / 2, top + 86))
                drawing.text(
                    x + chip / 2, top + 104, target, size=SMALL, anchor="middle", bold=True
                )
    for column in range(worked.NUM_COLUMNS):
        state, gradient = 56 + 136 * column + 52, 56 + 136 * column + 68
        drawing.arrow((MARGIN + 6, state), (RIGHT - 2, state), style=_STATE)
        for number in range(len(windows)):
            left = MARGIN + (width + 8) * number
            drawing.arrow((left + width - 10, gradient), (left + 8, gradient), style=_GRADIENT)
            drawing.line(
                (left + 4, gradient - 9),
                (left + 4, gradient + 9),
                style=Style(colour="second", width=3),
            )
    drawing.arrow((MARGIN, 350), (MARGIN + 44, 350), style=_STATE)
    drawing.text(MARGIN + 58, 356, "the state goes on", size=SMALL)
    drawing.arrow((MARGIN + 44, 380), (MARGIN, 380), style=_GRADIENT)
    drawing.text(MARGIN + 58, 386, "the gradient stops at the window’s edge", size=SMALL)
    drawing.chip(MARGIN, 398, 44, "the")
    drawing.text(MARGIN + 58, 421, "is read;", size=SMALL)
    drawing.text(MARGIN + 136, 421, "fox", size=SMALL, bold=True)
    drawing.text(MARGIN + 172, 421, "is the target", size=SMALL)
    return drawing


def _ids() -> list[int]:
    prompts = worked.model().prompts
    return [int(id_) for id_ in prompts.read(f"{worked.PROMPT} hat.").ids]


def _likeliest() -> list[tuple[str, str]]:
    words = worked.next_words(worked.PROMPT).words[:2]
    return [(word, f"{share:.0%}".replace("%", " %")) for word, share, _ in words]


def _bits() -> float:
    return worked.surprise(f"{worked.PROMPT} hat")[-1][1]
