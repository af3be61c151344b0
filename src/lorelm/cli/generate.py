"""``lorelm generate``: continues a prompt."""

from typing import Any

import click

from lorelm.cli.options import cache_option, mixture_option, precision_option
from lorelm.generation.language_model import load
from lorelm.generation.reply import Sample
from lorelm.generation.settings import GenerationSettings

_DEFAULTS = GenerationSettings()
_ENDINGS = {
    "eos": "the model ended the document",
    "length": "--max-len was reached",
    "stop": "a --stop text came up",
}


class _WordBias(click.ParamType[tuple[str, float]]):
    """A word and a number: Frodo=2."""

    name = "word=number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        word, _, number = str(value).rpartition("=")
        try:
            return word, float(number)
        except ValueError:
            self.fail(f"{value!r} is not a word and a number, such as Frodo=2")


_WORD_BIAS = _WordBias()


@click.command()
@click.argument("bundle", type=click.Path())
@click.argument("prompt", default="")
@click.option("--max-len", default=_DEFAULTS.max_len, show_default=True, help="Tokens at most.")
@click.option(
    "--min-len",
    default=_DEFAULTS.min_len,
    show_default=True,
    help="The model does not end the document before so many tokens.",
)
@click.option(
    "--temperature",
    default=_DEFAULTS.temperature,
    show_default=True,
    help="Below 1 sober, above 1 wild; 0 takes the likeliest word each time.",
)
@click.option(
    "--top-k", default=_DEFAULTS.top_k, show_default=True, help="Only the k likeliest; 0: all."
)
@click.option(
    "--top-p",
    default=_DEFAULTS.top_p,
    show_default=True,
    help="Only the likeliest that together reach this probability; 1: all.",
)
@click.option(
    "--min-p",
    default=_DEFAULTS.min_p,
    show_default=True,
    help="Only words with this share of the likeliest one's probability; 0: all.",
)
@click.option(
    "--repetition-penalty",
    default=_DEFAULTS.repetition_penalty,
    show_default=True,
    help="Above 1: words that are there already become less likely.",
)
@click.option(
    "--frequency-penalty",
    default=_DEFAULTS.frequency_penalty,
    show_default=True,
    help="Above 0: words become less likely each time that they are written.",
)
@click.option(
    "--presence-penalty",
    default=_DEFAULTS.presence_penalty,
    show_default=True,
    help="Above 0: words that are written become less likely.",
)
@click.option(
    "--logit-bias",
    multiple=True,
    type=_WORD_BIAS,
    metavar="WORD=NUMBER",
    help="Above 0 the word becomes likelier. May be given repeatedly.",
)
@click.option(
    "--banned-word",
    "banned_words",
    multiple=True,
    metavar="WORD",
    help="Never written. May be given repeatedly.",
)
@click.option("--seed", type=int, help="The same seed gives the same text.")
@click.option("--num-samples", default=_DEFAULTS.num_samples, show_default=True, help="How many.")
@click.option("--stop", multiple=True, metavar="TEXT", help="End here. May be given repeatedly.")
@click.option(
    "--novel-span",
    default=_DEFAULTS.novel_span,
    show_default=True,
    metavar="N",
    help="No N tokens in a row from the training text; 0: it may copy.",
)
@mixture_option
@cache_option
@precision_option
def generate(
    *, bundle: str, prompt: str, mixture: bool, cache: bool, precision: Any, **flags: Any
) -> None:
    """Continues PROMPT with the model in the folder BUNDLE.

    BUNDLE may be shakespeare, the embedded model, unless a folder of that name holds a model.
    Without a prompt a new document is begun. The text goes to stdout, everything else to stderr.
    """
    flags["logit_bias"] = dict(flags["logit_bias"])
    settings = GenerationSettings(**flags)
    model = load(bundle, precision=precision, mixture=mixture, cache=cache)
    reply = model.reply(prompt, settings)
    if reply.unknown_words:
        click.echo(f"not in the vocabulary: {', '.join(reply.unknown_words)}", err=True)
    for number, sample in enumerate(reply.samples):
        if number:
            click.echo()
        click.echo(reply.prompt + sample.text)
        click.echo(_how_it_ended(sample), err=True)


def _how_it_ended(sample: Sample) -> str:
    notes = [
        _ENDINGS[sample.finish_reason],
        f"{sample.num_tokens} tokens",
        f"seed {sample.seed}",
    ]
    for span in sample.copied_spans or ():
        notes.append(f"{span.num_tokens} in a row, the prompt included, are copied")
    return f"[{'; '.join(notes)}]"
