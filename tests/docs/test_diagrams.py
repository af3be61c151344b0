"""The drawings are as their script draws them, legible, and their examples agree with the code."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from tests.docs.markdown import ROOT

import draw
import svg
import worked
from lorelm.evaluation.scores import target_bits
from lorelm.generation.engine.engine import Engine
from lorelm.generation.handle import RequestHandle
from lorelm.generation.settings import GenerationSettings
from lorelm.model.config import ModelConfig
from lorelm.runtime.base import Runtime, State
from lorelm.runtime.neural_cache import CachedRuntime
from lorelm.runtime.step_graph import _quantised
from lorelm.typing import Floats32, Ids

CONCEPTS = sorted((ROOT / "docs" / "concepts").glob("*.md"))
SVG = "{http://www.w3.org/2000/svg}"
PHONE_WIDTH = 340


@pytest.mark.parametrize("name", draw.DRAWINGS)
def test_a_drawing_is_as_its_script_draws_it(name: str) -> None:
    """To draw them again: python docs/diagrams/draw.py."""
    committed = (draw.IMAGES / f"{name}.svg").read_text(encoding="utf-8")
    assert committed == draw.DRAWINGS[name]().svg()


@pytest.mark.parametrize("name", draw.DRAWINGS)
def test_a_drawing_can_be_read_on_a_phone_and_aloud(name: str) -> None:
    root = ET.parse(draw.IMAGES / f"{name}.svg").getroot()
    assert root.findtext(f"{SVG}title")
    assert len(root.findtext(f"{SVG}desc", "")) > 60
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    texts = root.findall(f".//{SVG}text")
    assert texts
    for text in texts:
        assert float(text.attrib["font-size"]) * PHONE_WIDTH / width >= 11
        assert 0 < float(text.attrib["y"]) < height - 8


def test_drawings_have_the_colours_of_the_pages() -> None:
    """Their contrasts are in tests/server/pages/test_look.py."""
    drawn = svg.Drawing("title", "description", height=100).svg()
    for name in get_args(svg.Colour):
        assert len(re.findall(rf"\.f-{name}{{fill:#\w{{6}}}}", drawn)) == 2, name


def test_a_text_that_would_leave_the_plate_is_refused() -> None:
    drawing = svg.Drawing("title", "description", height=100)
    with pytest.raises(ValueError, match="leaves the plate"):
        drawing.text(400, 50, "a text that is too long")
    with pytest.raises(ValueError, match="too small"):
        drawing.text(24, 50, "text", size=12)
    with pytest.raises(ValueError, match="may not fit"):
        drawing.chip(24, 50, 30, "window")


@pytest.mark.parametrize("page", CONCEPTS, ids=lambda page: page.stem)
def test_every_page_shows_a_drawing_and_says_what_is_to_be_seen(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    drawings = re.findall(r"!\[([^\]]+)\]\(\.\./images/([\w-]+)\.svg\)", text)
    assert drawings
    for alternative, name in drawings:
        assert len(alternative) > 100
        assert name in draw.DRAWINGS


def test_the_surprise_on_the_page_is_that_of_the_drawing() -> None:
    page = (ROOT / "docs" / "concepts" / "perplexity.md").read_text(encoding="utf-8")
    surprise = dict(worked.surprise(worked.SURPRISING))
    mean = worked.mean_surprise(worked.SURPRISING)
    for word in ("his", "dog", "newspaper"):
        assert re.search(rf'"{word}" (?:costs )?{surprise[word]}', page), word
    assert f"{mean} bits, a perplexity of {2**mean:.0f}" in page


def test_the_shares_on_the_page_are_those_of_the_drawing() -> None:
    page = (ROOT / "docs" / "concepts" / "sampling.md").read_text(encoding="utf-8")
    for prompt in (worked.PROMPT, worked.SURE):
        words = worked.next_words(prompt)
        for word, share, _ in words.words[: min(4, words.num_kept)]:
            assert re.search(rf"{word} (?:has )?{100 * share:.1f} %", page), word
    assert f"{worked.next_words(worked.PROMPT).num_kept} words reach" in page


def test_a_seed_writes_the_word_on_which_its_number_falls() -> None:
    page = (ROOT / "docs" / "concepts" / "sampling.md").read_text(encoding="utf-8")
    for seed in worked.SEEDS:
        word = worked.model().generate(worked.SEEDED, seed=seed, max_len=1).text.strip()
        assert f"eed {seed} draws {worked.uniform(seed)} and picks {word}" in page


def test_bits_of_the_cache_are_on_the_page() -> None:
    page = (ROOT / "docs" / "concepts" / "neural-cache.md").read_text(encoding="utf-8")
    alone, together = worked.memory().bits
    assert f"costs {alone} bits without the cache and {together} with" in page


class TwoPlaces(Runtime):
    """A runtime with the states of the worked example; ids: 0 nothing, 1 lamp, 2 sea."""

    config = ModelConfig(vocabulary_size=3, embedding_size=2, hidden_size=2, num_layers=1)

    def __init__(self) -> None:
        self._states = iter([(0.5, 0.5), (0.5, -0.5), (0.5, 0.5), (0.5, 0.5)])

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        h_BH = np.array([next(self._states)], np.float32)
        logits_BV = np.log(np.array([[0.97, 0.02, 0.01]], np.float32))
        return logits_BV, State([h_BH, h_BH])


def test_the_cache_gives_what_is_worked_by_hand() -> None:
    cached = CachedRuntime(TwoPlaces(), size=100, theta=2, weight=0.1)
    logits_V, _ = cached.read([0, 1, 2, 1])
    assert np.exp(logits_V[1]) == pytest.approx(0.1025, abs=1e-4)


@pytest.mark.parametrize(
    ("word", "context"), [("fox", "near"), ("francisco", "near"), ("francisco", "san")]
)
def test_counting_by_hand_is_the_model(word: str, context: str) -> None:
    words = worked.COUNTED_VOCABULARY
    p_V = worked.fitted().distribution(np.array([words.index(context)]))
    assert p_V[words.index(word)] == pytest.approx(worked.counted(word, context).total)


def test_the_neuron_learns_as_pytorch_says() -> None:
    weights = torch.tensor(worked.NEURON_WEIGHTS, requires_grad=True)
    total = weights @ torch.tensor(worked.NEURON_INPUTS)
    loss = -torch.nn.functional.logsigmoid(total)
    loss.backward()
    by_hand = worked.neuron(worked.NEURON_WEIGHTS)
    assert by_hand.loss == pytest.approx(loss.item())
    assert by_hand.slopes == pytest.approx(
        weights.grad.tolist() if weights.grad is not None else []
    )
    torch.optim.SGD([weights], lr=worked.LEARNING_RATE).step()
    assert worked.stepped() == pytest.approx(weights.tolist())


def test_weights_are_quantised_as_by_hand() -> None:
    column = np.array([worked.WEIGHTS], np.float32)
    quantised, scale = _quantised(column)
    largest = max(map(abs, worked.WEIGHTS))
    assert quantised[0].tolist() == worked.quantised(worked.WEIGHTS, largest, 63)
    assert scale[0] == pytest.approx(largest / 63)


def test_the_engine_takes_the_steps_of_the_drawing() -> None:
    model = worked.model()
    engine = Engine(model.runtime, num_slots=worked.NUM_SLOTS, prefix_cache_bytes=0)
    for num_read, num_written in worked.REQUESTS.values():
        prompt = model.prompts.read(" ".join(["the"] * (num_read - 1)))
        settings = GenerationSettings(seed=0, max_len=num_written, min_len=num_written)
        request = model.request(prompt, settings)
        assert len(request.sequences[0].token_ids) == num_read  # with the <eos> before it
        engine.submit(RequestHandle([request], cancel=engine.cancel))
    num_running = []
    while not engine.is_idle:
        engine.step()
        num_running.append(engine.num_running)
    expected = [sum(slot is not None for slot in step) for step in worked.continuous()]
    assert [each for each in num_running if each] == expected


def test_bits_per_character_worked_by_hand() -> None:
    class Spelling:
        def bits(self, words: tuple[str, ...]) -> np.ndarray:
            assert words == ("orc",)
            return np.array([10.0])

    class Text:
        is_unknown = np.array([False, True, False])
        unknown_words = ("orc",)

    logs = np.log([1 / 4, 1 / 8, 1 / 2])
    bits = target_bits(Text(), logs, Spelling())  # type: ignore[arg-type]
    assert bits.sum() / (len("the orc") + 1) == pytest.approx(2)


def test_the_steps_on_the_page_are_those_of_the_drawing() -> None:
    page = (ROOT / "docs" / "concepts" / "continuous-batching.md").read_text(encoding="utf-8")
    words = " ".join(page.split())
    work = sum(len(worked.steps_of(name)) for name in worked.REQUESTS)
    for timeline in (worked.static(), worked.continuous()):
        assert f"{len(timeline)} steps" in words
        assert f"{work / worked.NUM_SLOTS / len(timeline):.0%}".replace("%", " %") in words
