from pathlib import Path

import pytest
from tests.errors import raises_code

import lorelm
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import BundleError, SamplingError
from lorelm.generation.blend import map_words, partner_of, share_of
from lorelm.generation.engine.engine import Engine
from lorelm.generation.generator import generate
from lorelm.generation.handle import RequestHandle
from lorelm.generation.settings import GenerationSettings


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


@pytest.fixture(scope="module")
def blend(model: lorelm.LanguageModel, wolves_bundle: Path) -> lorelm.LanguageModel:
    return model.blended_with(lorelm.load(wolves_bundle), name="wolves")


def test_a_blend_writes_what_both_would(model: lorelm.LanguageModel, wolves_bundle: Path) -> None:
    """The first model knows no wolf, and nobody of the second one is a fox."""
    foxes = model.generate("", seed=1, num_samples=60).samples
    both = model.generate("", seed=1, num_samples=60, blend={str(wolves_bundle): 0.5}).samples

    def count(samples: object) -> int:
        return sum("fox" in sample.text for sample in samples)  # type: ignore[attr-defined]

    assert 0 < count(both) < count(foxes)
    assert not any("wolf" in sample.text for sample in both)


def test_without_a_share_the_text_is_that_of_the_first_model(
    model: lorelm.LanguageModel, wolves_bundle: Path
) -> None:
    asked = {"seed": 3, "num_samples": 5, "num_alternatives": 2}
    alone = model.generate("The owl", **asked)
    none = model.generate("The owl", **asked, blend={str(wolves_bundle): 0.0})
    assert [sample.text for sample in none.samples] == [sample.text for sample in alone.samples]


def test_two_weights_are_shares_of_their_sum(
    model: lorelm.LanguageModel, wolves_bundle: Path
) -> None:
    one = model.generate("The", seed=3, blend={str(wolves_bundle): 0.25})
    two = model.generate("The", seed=3, blend={model.name: 0.6, str(wolves_bundle): 0.2})
    assert one == two


@pytest.mark.parametrize("mixture", [False, True])
def test_the_engine_writes_what_the_generator_does_whatever_the_shares_beside_it(
    tiny_bundle: Path, wolves_bundle: Path, mixture: bool
) -> None:
    models = [lorelm.load(path, mixture=mixture) for path in (tiny_bundle, wolves_bundle)]
    blend = models[0].blended_with(models[1], name="wolves")
    requests = [
        [
            blend.request(
                blend.prompts.read("The owl and Aragast"),
                GenerationSettings(
                    seed=seed,
                    num_alternatives=2,
                    blend={"wolves": seed / 8},
                    memory="singing by the barn",
                    num_samples=2,
                ),
                score_prompt=True,
            )
            for seed in range(9)
        ]
        for _ in range(2)
    ]
    engine = Engine(blend.runtime, num_slots=7)
    handle = RequestHandle(requests[0], cancel=engine.cancel)
    engine.submit(handle)
    while not engine.is_idle:
        engine.step()
    handle.wait()
    expected = [sequence for request in requests[1] for sequence in request.sequences]
    assert len({tuple(sequence.ids) for sequence in handle.sequences}) > 9
    for sequence, alone in zip(handle.sequences, expected, strict=True):
        generate(blend.runtime, alone)
        assert sequence.ids == alone.ids
        assert sequence.scores == alone.scores
        assert sequence.prompt_scores == alone.prompt_scores


def test_a_blend_places_words_and_streams(blend: lorelm.LanguageModel, wolves_bundle: Path) -> None:
    asked = {"seed": 2, "must_contain": ["hill"], "blend": {str(wolves_bundle): 0.5}}
    model = lorelm.load(blend.name)
    reply = model.generate("The", **asked)
    assert reply.samples[0].missing_words == []
    assert "".join(model.stream("The", **asked)) == reply.text
    assert model.generate_many(["The"], **asked) == [reply]


def test_a_prompt_is_scored_by_the_blend(blend: lorelm.LanguageModel) -> None:
    def score(share: float) -> float:
        request = blend.scoring_request(
            blend.prompts.read("The fox sat"), num_alternatives=0, blend={"wolves": share}
        )
        generate(blend.runtime, request.sequences[0])
        return request.sequences[0].prompt_scores[1].log_probability

    assert score(1) < score(0.5) < score(0)


def test_models_that_cut_texts_differently_are_refused() -> None:
    words = Vocabulary(["<unk>", "<eos>", "the"])
    tokenizer = make_tokenizer("words")
    with raises_code(SamplingError, "setting.blend") as caught:
        map_words(tokenizer, words, (make_tokenizer("classic"), words), name="old")
    assert "old cuts texts in other tokens (tokenizer classic)" in str(caught.value)


def test_models_with_few_words_in_common_are_refused() -> None:
    tokenizer = make_tokenizer("words")
    english = Vocabulary(["<unk>", "<eos>", *"abcdef"])
    german = Vocabulary(["<unk>", "<eos>", *"uvwxyz"])
    with raises_code(SamplingError, "setting.blend") as caught:
        map_words(tokenizer, english, (tokenizer, german), name="german")
    assert "only 2 of 8 words in common" in str(caught.value)


def test_a_model_with_a_cache_is_refused(tiny_bundle: Path, model: lorelm.LanguageModel) -> None:
    with raises_code(SamplingError, "setting.blend"):
        lorelm.load(tiny_bundle, cache=True).blended_with(model, name="other")


def test_a_blend_names_one_other_model(tmp_path: Path, model: lorelm.LanguageModel) -> None:
    assert partner_of({"a": 0.7, "b": 0.3}, "a") == "b"
    assert share_of({"a": 0.6, "b": 0.2}, "b") == pytest.approx(0.25)
    assert share_of({"b": 0.3}, "b") == 0.3
    wrong: list[dict[str | int, float]] = [{"a": 1}, {"b": 0.1, "c": 0.2}, {"a": 0, "b": 0}]
    for blend in wrong:
        with raises_code(SamplingError, "setting.blend"):
            partner_of(blend, "a")
    with raises_code(BundleError, "bundle.not_found"):
        model.generate("The", blend={str(tmp_path / "none"): 0.3})
    with pytest.raises(SamplingError, match="a number from 0 to 1 for each model, not 3 for 'b'"):
        model.generate("The", blend={"b": 3})
