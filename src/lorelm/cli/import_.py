"""``lorelm import``: make a bundle of a model that was trained elsewhere."""

from pathlib import Path

import click

from lorelm.bundle.importing.importer import IMPORTED_STYLES, ImportedModel, import_model
from lorelm.bundle.writer import check_output_dir
from lorelm.cli.terminal import printable
from lorelm.machine.quoting import quoted


@click.command("import")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--vocab",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The words by their ids: a pickle, a file of torch.save, JSON, or a text with a word a "
    "line.  [default: those in CHECKPOINT, if it holds them]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the bundle."
)
@click.option(
    "--tokenizer",
    type=click.Choice(IMPORTED_STYLES),
    help="How the training cut texts into words.  [default: guessed]",
)
def import_(*, checkpoint: Path, vocab: Path | None, out: Path, tokenizer: str | None) -> None:
    """Make a bundle of CHECKPOINT, an LSTM language model that torch.save wrote.

    Nothing in the files is executed: what they name but tensors, plain values and vocabularies of
    torchtext is refused by its name.
    """
    check_output_dir(out)
    model = import_model(checkpoint, vocab, tokenizer=tokenizer)
    model.save(out)
    for line in _summary(model):
        click.echo(printable(line))
    for notice in model.notices:
        click.echo(printable(notice), err=True)
    click.echo(
        f"The bundle is in {out}. Next:\n"
        f'  lorelm generate {quoted(out)} "the beginning of a text"\n'
        f"  lorelm serve {quoted(out)}"
    )


def _summary(model: ImportedModel) -> list[str]:
    config = model.aligned.config
    layers = f"{config.num_layers} layer{'s' if config.num_layers > 1 else ''}"
    kind = "tied" if config.tied else "not tied"
    guess = " (by its words; --tokenizer says otherwise)" if model.is_tokenizer_guessed else ""
    return [
        f"checkpoint  {model.checkpoint}: LSTM, {layers} of {config.hidden_size}, embedding "
        f"{config.embedding_size}, {kind}",
        f"vocabulary  {len(model.words):,} words, by "
        f"{model.vocabulary_file or 'no file: placeholders'}",
        f"tokenizer   {model.tokenizer.style}{guess}",
    ]
