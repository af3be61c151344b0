"""The model card says what the embedded model is."""

from lorelm.bundle import EMBEDDED_PATH, Bundle
from lorelm.training.recipe import Recipe


def test_the_model_card_states_the_figures_of_the_manifest() -> None:
    card = (EMBEDDED_PATH / "MODEL_CARD.md").read_text(encoding="utf-8")
    manifest = Bundle.load(EMBEDDED_PATH).manifest
    figures = manifest.metrics
    assert figures is not None
    assert figures.copied_share is not None
    assert figures.human_copied_share is not None
    for figure in (
        f"{figures.perplexity:.1f} | {figures.perplexity_interval[0]:.1f}",
        f"{figures.bits_per_character:.3f}",
        f"{figures.ngram_perplexity:.1f}",
        f"{figures.ngram_bits_per_character:.3f}",
        f"{figures.mixture_perplexity:.1f}",
        f"{figures.mixture_bits_per_character:.3f}",
        *(f"{figures.copied_share[length]:.1%}" for length in (4, 6)),
        *(f"{figures.human_copied_share[length]:.1%}" for length in (4, 6)),
        f"{manifest.training.test_perplexity:.1f}",
        f"{figures.perplexity:.1f}",
        f"{manifest.training.valid_perplexity:.1f}",
        f"{figures.unknown_rate:.1%}",
        f"{manifest.model.vocabulary_size:,}",
        f"{manifest.corpus.train_tokens:,}",
        manifest.corpus.fingerprint,
    ):
        assert figure in card
    precision = manifest.recipe["precision"]  # that of the machine on which it was trained
    recipe = Recipe.load("base", precision=precision)
    assert recipe == Recipe.from_dict(manifest.recipe)
