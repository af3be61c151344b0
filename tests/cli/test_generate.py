import json
from collections.abc import Callable
from pathlib import Path

import pytest

import lorelm as lorelm_package

pytestmark = pytest.mark.system

Lorelm = Callable[..., object]


def test_text_goes_to_stdout_and_the_rest_to_stderr(lorelm: Lorelm, tiny_bundle: Path) -> None:
    ended = lorelm("generate", tiny_bundle, "The dragon", "--seed", "5", "--max-len", "8")
    expected = lorelm_package.load(tiny_bundle).generate("The dragon", seed=5, max_len=8)
    assert ended.stdout == f"The dragon{expected.text}\n"
    assert "not in the vocabulary: dragon" in ended.stderr
    assert "seed 5" in ended.stderr


def test_an_unknown_speaker_is_named_with_the_known_ones(
    lorelm: Lorelm, scene_bundle: Path
) -> None:
    known = lorelm_package.load(scene_bundle).vocabulary.speaker_names
    ended = lorelm("generate", scene_bundle, "zwurbl", "--as", "Bob", "--reply-to", "Eve: Who?")
    assert "no speaker is known by the name Eve or Bob; the model knows " in ended.stderr
    assert f"{', '.join(known[:5])}" in ended.stderr
    assert "not in the vocabulary: zwurbl\n" in ended.stderr
    ended = lorelm("generate", scene_bundle, "--as", known[0].lower())
    assert "no speaker" not in ended.stderr


def test_copied_spans_are_told_in_one_note(lorelm: Lorelm, tiny_bundle: Path) -> None:
    asked = {"seed": 5, "max_len": 60, "temperature": 0.1}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items()]
    ended = lorelm("generate", tiny_bundle, "The fox", *flags)
    sample = lorelm_package.load(tiny_bundle).generate("The fox", **asked).samples[0]
    assert sample.copied_spans
    lengths = ", ".join(str(span.num_tokens) for span in sample.copied_spans)
    assert f"copied spans, with the words of the prompt: {lengths} tokens]" in ended.stderr


def test_all_settings_reach_the_model(lorelm: Lorelm, tiny_bundle: Path) -> None:
    flags = {
        "max_len": 15,
        "temperature": 1.7,
        "top_k": 12,
        "top_p": 0.95,
        "min_p": 0.001,
        "repetition_penalty": 1.4,
        "frequency_penalty": 0.3,
        "presence_penalty": -0.2,
        "min_len": 4,
        "seed": 8,
        "num_samples": 3,
    }
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    arguments += ["--stop", "barn", "--stop", "?", "--logit-bias", "fox=1.5"]
    arguments += ["--logit-bias", "mill=-2", "--banned-word", "owl", "--banned-word", ","]
    ended = lorelm("generate", tiny_bundle, "The", *arguments)
    expected = lorelm_package.load(tiny_bundle).generate(
        "The",
        **flags,
        stop=["barn", "?"],
        logit_bias={"fox": 1.5, "mill": -2.0},
        banned_words=["owl", ","],
    )
    assert ended.stdout == "\n".join(f"The{sample.text}\n" for sample in expected.samples)


def test_greedy_needs_no_seed(lorelm: Lorelm, tiny_bundle: Path) -> None:
    one, two = (lorelm("generate", tiny_bundle, "The", "--temperature", "0") for _ in range(2))
    assert one.stdout == two.stdout


def test_a_wrong_value_is_one_line_that_names_it(lorelm: Lorelm, tiny_bundle: Path) -> None:
    ended = lorelm("generate", tiny_bundle, "The", "--top-p", "7", code=2)
    assert ended.stderr == "lorelm: top_p: must be a number above 0 and at most 1, not 7.0\n"
    assert ended.stdout == ""


def test_all_wrong_values_are_reported_at_once(lorelm: Lorelm, tiny_bundle: Path) -> None:
    ended = lorelm("generate", tiny_bundle, "The", "--top-p=7", "--seed=x", "--stop", "", code=2)
    assert [line.split()[1] for line in ended.stderr.splitlines()] == ["top_p:", "seed:", "stop:"]


def test_a_bundle_that_is_not_there_is_one_line(lorelm: Lorelm) -> None:
    ended = lorelm("generate", "nowhere", "The", code=2)
    assert ended.stderr.startswith("lorelm: bundle nowhere does not exist: name a folder")
    assert ended.stderr.count("\n") == 1


def test_the_cache_changes_what_is_predicted(
    lorelm: Lorelm, tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("The fox sat by the river.\n" * 30, encoding="utf-8")

    def perplexity(*flags: str) -> float:
        scored = lorelm("score", tiny_bundle, "text.txt", "--json", *flags)
        return float(json.loads(scored.stdout)["perplexity"])

    assert perplexity("--cache") < perplexity()
    assert perplexity("--cache", "--mixture") < perplexity("--mixture")
    arguments = ("generate", tiny_bundle, "The fox", "--seed", "1", "--cache")
    text = lorelm(*arguments).stdout
    assert text.startswith("The fox")
    assert lorelm(*arguments).stdout == text


def test_a_model_that_counting_beats_is_mixed_unless_asked_otherwise(
    lorelm: Lorelm, beaten_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("The fox sat by the river.\n" * 3, encoding="utf-8")

    def output(command: str, *arguments: str) -> list[str]:
        flags = ([], ["--mixture"], ["--no-mixture"])
        return [lorelm(command, beaten_bundle, *arguments, *each).stdout for each in flags]

    default, mixed, alone = output("score", "text.txt")
    assert default == mixed != alone
    default, mixed, alone = output("generate", "The", "--seed", "1")
    assert default == mixed != alone
    ended = lorelm("score", beaten_bundle, "text.txt")
    assert "mixed with the n-gram model; --no-mixture scores it alone" in ended.stderr


def test_a_bias_that_is_none_is_explained(lorelm: Lorelm, tiny_bundle: Path) -> None:
    for value, message in (
        ("fox", "'fox' is not WORD=NUMBER, such as Frodo=2"),
        ("dragon=1", "logit_bias: the model does not know 'dragon'"),
        (
            "fox=101",
            "logit_bias: must be a number from -100 to 100 for each word, not 101.0 for 'fox'",
        ),
    ):
        ended = lorelm("generate", tiny_bundle, "The", "--logit-bias", value, code=2)
        assert message in ended.stderr


def test_a_share_that_is_none_is_explained(lorelm: Lorelm, tiny_bundle: Path) -> None:
    for value in ("english", "=0.3", "english=much"):
        ended = lorelm("generate", tiny_bundle, "The", "--blend", value, code=2)
        assert f"{value!r} is not MODEL=SHARE, such as english=0.3" in ended.stderr


def test_a_memory_may_be_a_file(lorelm: Lorelm, tiny_bundle: Path, tmp_path: Path) -> None:
    memory = "A barn\nby the mill.\n"
    (tmp_path / "notes").write_text(memory, encoding="utf-8")
    flags = (tiny_bundle, "The", "--seed", "2")
    text = lorelm("generate", *flags, "--memory", memory)
    assert "--memory-file" not in text.stderr
    file = lorelm("generate", *flags, "--memory-file", "notes")
    typed = lorelm("generate", *flags, "--memory-file", "-", typed=memory)
    assert file.stdout == typed.stdout == text.stdout
    long = lorelm("generate", *flags, "--memory-file", "-", typed="A barn. " * 500, code=2)
    assert "memory: must be a text of at most 2,000 characters, not 'A barn. A" in long.stderr
    both = lorelm("generate", *flags, "--memory-file", "notes", "--memory", "A barn", code=2)
    assert "--memory and --memory-file" in both.stderr
    for name in ("notes", "missing.txt"):
        ended = lorelm("generate", *flags, "--memory", name)
        assert f"--memory takes the text itself, which is now {name!r}" in ended.stderr
        assert f"--memory-file {name}" in ended.stderr


@pytest.mark.parametrize("option", ["--scene", "--memory-file"])
def test_a_file_that_is_no_text_is_one_line(
    lorelm: Lorelm, tiny_bundle: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "notes").write_bytes("Zoë: où?".encode("cp1252"))
    ended = lorelm("generate", tiny_bundle, "The", option, "notes", code=2)
    assert f"'{option}': 'notes' is not UTF-8 text: save it as UTF-8" in ended.stderr
    marked = "\ufeffA barn.\n".encode()  # as editors in Windows begin a file
    (tmp_path / "notes").write_bytes(marked)
    lorelm("generate", tiny_bundle, "The", option, "notes")


def test_an_unknown_word_that_is_banned_is_noted(lorelm: Lorelm, tiny_bundle: Path) -> None:
    flags = ("--banned-word", "mil", "--banned-word", "owl", "--banned-word", "dragon")
    ended = lorelm("generate", tiny_bundle, "The", "--max-len", "5", *flags)
    assert (
        "the model never writes these words of --banned-word, for it does not know them: "
        "'mil' (is it 'mill'?), 'dragon'\n"
    ) in ended.stderr
    assert "--banned-word" not in lorelm("generate", tiny_bundle, *flags[2:4]).stderr


def test_english_is_the_embedded_model(lorelm: Lorelm) -> None:
    ended = lorelm("generate", "english", "My friend", "--seed", "1", "--max-len", "5")
    expected = lorelm_package.load("english").generate("My friend", seed=1, max_len=5)
    assert ended.stdout == f"My friend{expected.text}\n"


def test_words_a_memory_and_a_blend(lorelm: Lorelm, tiny_bundle: Path, wolves_bundle: Path) -> None:
    flags = ("--must-contain", "mill", "--must-contain", "owl", "--memory", "A barn", "--seed", "2")
    ended = lorelm("generate", tiny_bundle, "The", "--blend", f"{wolves_bundle}=0.4", *flags)
    asked = {"must_contain": ["mill", "owl"], "memory": "A barn", "seed": 2}
    asked["blend"] = {str(wolves_bundle): 0.4}
    assert ended.stdout == f"The{lorelm_package.load(tiny_bundle).generate('The', **asked).text}\n"
    assert "no place" not in ended.stderr
    lacking = lorelm("generate", tiny_bundle, "The", *flags, "--max-len", "1")
    assert "no place was found for" in lacking.stderr
    wrong = lorelm("generate", tiny_bundle, "The", "--must-contain", "mil", code=2)
    assert wrong.stderr == ("lorelm: must_contain: the model does not know 'mil'; is it 'mill'?\n")
