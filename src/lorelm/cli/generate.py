"""``lorelm generate``: continue a prompt."""

from typing import Any, TextIO

import click

from lorelm.cli.options import cache_option, mixture_option, parameter_options, precision_option
from lorelm.generation.language_model import load
from lorelm.generation.prompts import parse_turn
from lorelm.generation.reply import Sample
from lorelm.generation.settings import GenerationSettings

_ENDINGS = {
    "eos": "the model ended the document",
    "length": "--max-len was reached",
    "stop": "the line ended, or a --stop text was found",
}


@click.command()
@click.argument("bundle", type=click.Path())
@click.argument("prompt", default="")
@click.option("--as", "speaker", metavar="NAME", help="Who speaks: PROMPT begins this line.")
@click.option(
    "--reply-to",
    "turns",
    multiple=True,
    metavar="NAME: TEXT",
    help="A line that was said before. May be repeated.",
)
@click.option(
    "--scene",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="Lines that were said before, NAME: TEXT each; - reads standard input.",
)
@parameter_options(GenerationSettings)
@mixture_option
@cache_option
@precision_option
def generate(
    *,
    bundle: str,
    prompt: str,
    speaker: str | None,
    turns: tuple[str, ...],
    scene: TextIO | None,
    **flags: Any,
) -> None:
    """Continue PROMPT with the model in the folder BUNDLE.

    BUNDLE may be english, the embedded model, unless a folder of that name holds a model.
    Without a prompt, it begins a new document. The text goes to stdout, everything else to stderr.
    """
    loading = {name: flags.pop(name) for name in ("precision", "mixture", "cache")}
    flags["single_turn"] |= speaker is not None
    GenerationSettings(**flags)  # reports mistakes before the model is loaded
    lines = [*(scene or ()), *turns]
    said = [parse_turn(line) for line in lines if line.strip()]
    reply = load(bundle, **loading).generate(prompt, speaker=speaker, turns=said, **flags)
    if reply.unknown_words:
        click.echo(f"not in the vocabulary: {', '.join(reply.unknown_words)}", err=True)
    for number, sample in enumerate(reply.samples):
        if number:
            click.echo()
        click.echo(reply.prompt + sample.text)
        click.echo(_note(sample), err=True)


def _note(sample: Sample) -> str:
    notes = [
        _ENDINGS[sample.finish_reason],
        f"{sample.num_tokens} tokens",
        f"seed {sample.seed}",
    ]
    if sample.missing_words:
        notes.append(f"no place was found for {', '.join(sample.missing_words)}")
    if lengths := [str(span.num_tokens) for span in sample.copied_spans or ()]:
        notes.append(f"copied spans, with the words of the prompt: {', '.join(lengths)} tokens")
    return f"[{'; '.join(notes)}]"
