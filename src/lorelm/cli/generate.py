"""``lorelm generate``: continue a prompt."""

import os
from collections.abc import Sequence
from typing import Any

import click

from lorelm.cli.options import (
    TEXT_FILE,
    cache_option,
    mixture_option,
    parameter_options,
    precision_option,
)
from lorelm.generation.language_model import load
from lorelm.generation.prompts import parse_turn
from lorelm.generation.reply import Sample
from lorelm.generation.settings import GenerationSettings
from lorelm.generation.word_index import WordIndex
from lorelm.machine.quoting import quoted

_TEXT_ENDINGS = (".txt", ".md", ".docx")

_SHOWN_SPEAKERS = 5

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
    type=TEXT_FILE,
    metavar="FILE",
    help="Lines that were said before, NAME: TEXT each; - reads standard input.",
)
@click.option(
    "--memory-file",
    type=TEXT_FILE,
    metavar="FILE",
    help="A file with the text for --memory; - reads standard input.",
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
    scene: str | None,
    memory_file: str | None,
    **flags: Any,
) -> None:
    """Continue PROMPT with the model in the folder BUNDLE.

    BUNDLE may be english, the embedded model, unless a folder of that name holds a model.
    Without a prompt, it begins a new document. The text goes to stdout, everything else to stderr.
    """
    loading = {name: flags.pop(name) for name in ("precision", "mixture", "cache")}
    flags["single_turn"] |= speaker is not None
    flags["memory"] = _memory(flags["memory"], memory_file)
    GenerationSettings(**flags)  # reports mistakes before the model is loaded
    lines = [*(scene or "").split("\n"), *turns]
    said = [parse_turn(line) for line in lines if line.strip()]
    model = load(bundle, **loading)
    _note_unknown_bans(model.word_index, flags["banned_words"])
    reply = model.generate(prompt, speaker=speaker, turns=said, **flags)
    names = [speaker or "", *(turn.speaker for turn in said)]
    _note_unknown_words(reply.unknown_words, names, model.vocabulary.speaker_names)
    for number, sample in enumerate(reply.samples):
        if number:
            click.echo()
        click.echo(reply.prompt + sample.text)
        click.echo(_note(sample), err=True)


def _memory(text: str | None, file: str | None) -> str | None:
    """Return the memory, which is given as a text or as a file.

    Raises:
        click.UsageError: it is given as both.
    """
    if file is not None:
        if text is not None:
            raise click.UsageError(
                "--memory and --memory-file give the same: leave one of them out."
            )
        return file
    if text is not None and "\n" not in text and _is_file_name(text):
        click.echo(
            f"--memory takes the text itself, which is now {text!r}; "
            f"--memory-file {quoted(text)} reads a file",
            err=True,
        )
    return text


def _is_file_name(text: str) -> bool:
    return text.endswith(_TEXT_ENDINGS) or os.path.isfile(text)  # noqa: PTH113 - a long text is no error


def _note_unknown_words(unknown: Sequence[str], names: Sequence[str], known: Sequence[str]) -> None:
    """Say which names of speakers and which words of the prompt the model does not know.

    Args:
        known: the speakers of the model.
    """
    named = {" ".join(name.split()) for name in names}
    if strangers := [word for word in unknown if word in named]:
        shown = ", ".join(known[:_SHOWN_SPEAKERS])
        more = len(known) - _SHOWN_SPEAKERS
        shown += f" and {more} more" if more > 0 else ""
        click.echo(
            f"no speaker is known by the name {' or '.join(strangers)}"
            + (f"; the model knows {shown}" if shown else ""),
            err=True,
        )
    if words := [word for word in unknown if word not in named]:
        click.echo(f"not in the vocabulary: {', '.join(words)}", err=True)


def _note_unknown_bans(index: WordIndex, banned: Sequence[str]) -> None:
    """Say which banned words are none of the model's: they may be slips."""
    notes = []
    for word in index.unknown(banned):
        near = " or ".join(map(repr, index.nearest(word)))
        notes.append(f"{word!r}" + (f" (is it {near}?)" if near else ""))
    if notes:
        click.echo(
            "the model never writes these words of --banned-word, for it does not know them: "
            + ", ".join(notes),
            err=True,
        )


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
