import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest

import lorelm
from lorelm.generation.reply import Alternative, CopiedSpan, Sample, Token
from lorelm.server.pages.shown_words import shown_words
from lorelm.translations import catalogue

ENGLISH = catalogue("en")
WORDS_JS = Path(lorelm.__file__).parent / "server" / "static" / "words.js"


def sample(tokens: list[Token], *spans: CopiedSpan) -> Sample:
    return Sample(
        text="".join(token.text for token in tokens),
        finish_reason="eos",
        seed=1,
        num_tokens=len(tokens),
        tokens=tokens,
        copied_spans=spans,
    )


def token(text: str, probability: float = 0.5) -> Token:
    return Token(text=text, log_probability=math.log(probability))


@pytest.mark.parametrize(
    ("probability", "level"),
    [
        (0.9, 0),
        (0.5, 0),
        (0.49, 1),
        (0.2, 1),
        (0.19, 2),
        (0.05, 2),
        (0.04, 3),
        (0.01, 3),
        (0.009, 4),
    ],
)
def test_the_less_likely_a_word_the_higher_its_level(probability: float, level: int) -> None:
    [word] = shown_words(sample([token(" moon", probability)]), ENGLISH)
    assert (word.space, word.text, word.level) == (" ", "moon", level)


def test_the_words_are_the_text() -> None:
    tokens = [token(" one"), token(","), token("\n"), token("two")]
    words = shown_words(sample(tokens), ENGLISH)
    assert "".join(word.space + word.text for word in words) == " one,\ntwo"


def test_words_within_a_copied_span_are_marked() -> None:
    tokens = [token(" one"), token(" two"), token(" three"), token(" four")]
    span = CopiedSpan(start=5, end=14, num_tokens=6)  # "two three"
    words = shown_words(sample(tokens, span), ENGLISH)
    assert [word.is_copied for word in words] == [False, True, True, False]


def test_the_title_has_the_probability_and_the_alternatives() -> None:
    others = [
        Alternative(text=" sun", log_probability=math.log(0.6)),
        Alternative(text=" moon", log_probability=math.log(0.3)),
        Alternative(text="", log_probability=math.log(0.004)),
    ]
    shown = Token(text=" moon", log_probability=math.log(0.3), alternatives=others)
    [word] = shown_words(sample([shown]), ENGLISH)
    assert word.title == "30%; or: sun 60%, (the end) 0.4%"


@pytest.mark.parametrize(
    ("language", "probability", "title"),
    [
        ("en", 0.00021, "0.02%"),
        ("en", 0.0001, "0.01%"),
        ("en", 2e-9, "<\u00a00.01%"),
        ("de", 2e-9, "<\u00a00,01\u00a0%"),
    ],
)
def test_a_tiny_probability_is_shown_as_less_than_the_least(
    language: str, probability: float, title: str
) -> None:
    [word] = shown_words(sample([token(" moon", probability)]), catalogue(language))
    assert word.title.partition(";")[0] == title


@pytest.mark.system
@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js: apt-get install nodejs")
def test_probabilities_are_written_as_by_the_script() -> None:
    probabilities = [math.exp(-k / 97) for k in range(1000)]
    script = (
        f"import {{ percent }} from {json.dumps(WORDS_JS.as_uri())};"
        f"console.log(JSON.stringify({json.dumps(probabilities)}.map(percent)))"
    )
    command = ["node", "--input-type=module", "--eval", script]
    shown = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    words = shown_words(sample([token(" moon", each) for each in probabilities]), ENGLISH)
    written = [word.title.partition(";")[0] for word in words]
    assert written == json.loads(shown)
