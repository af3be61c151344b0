"""The options page and the model card say what the program and the embedded model are."""

from pathlib import Path

from click.testing import CliRunner

from lorelm.bundle import EMBEDDED_PATH, Bundle
from lorelm.cli.main import lorelm
from lorelm.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    *("studio", "serve", "generate", "train", "tune", "import", "inspect", "evaluate", "score"),
    *("pack", "unpack", "export", "push", "doctor"),
    *("runs", "runs show", "runs watch", "runs compare"),
    *("runs curves", "runs remove", "runs add"),
    *("history list", "history export", "history stats", "history prune", "history links"),
    *("history backup", "history restore", "history upgrade"),
    *("keys add", "keys list", "keys change", "keys revoke"),
)


def options_page() -> str:
    """Return the text of docs/reference/cli.md."""
    sections = []
    for command in COMMANDS:
        shown = CliRunner(env={"COLUMNS": "100"}).invoke(
            lorelm, [*command.split(), "--help"], prog_name="lorelm", terminal_width=100
        )
        sections.append(f"## lorelm {command}\n\n```text\n{shown.output.rstrip()}\n```\n")
    return "# Options\n\nWhat `lorelm COMMAND --help` says.\n\n" + "\n".join(sections)


def test_the_options_page_is_what_help_says() -> None:
    """To write it: python tests/docs/test_options.py."""
    assert (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8") == options_page()


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


if __name__ == "__main__":
    (ROOT / "docs" / "reference" / "cli.md").write_text(options_page(), encoding="utf-8")
