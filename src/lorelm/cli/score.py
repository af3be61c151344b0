"""``lorelm score``: how well a model foretells a text."""

import json
from typing import Any

import click

from lorelm.bundle import Bundle
from lorelm.cli.options import echo_notes, precision_option, reading_options, take_reading_options
from lorelm.corpus.preparation import tokenize_documents
from lorelm.corpus.readers import read_documents
from lorelm.corpus.windows import encode_stream
from lorelm.errors import CorpusError
from lorelm.evaluation.perplexity import score_stream


@click.command()
@click.argument("bundle", type=click.Path())
@click.argument("file", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@precision_option
@reading_options
def score(bundle: str, file: str, as_json: bool, precision: Any, **flags: Any) -> None:
    """Prints tokens, perplexity and unknown rate of FILE under the model in BUNDLE.

    The events counted are every token and the end of every document, in order.
    """
    loaded = Bundle.load(bundle)
    documents = read_documents(file, take_reading_options(flags))
    echo_notes(documents.notes)
    tokens = tokenize_documents(documents, loaded.tokenizer)
    if not any(token in loaded.vocabulary for document in tokens for token in document):
        raise CorpusError(
            f"the model knows no word of {file}: is it the language and the kind of text that "
            f"{bundle} was trained on?"
        )
    stream = encode_stream(tokens, loaded.vocabulary)
    result = score_stream(loaded.runtime(precision), stream)
    figures = {
        "tokens": result.num_tokens,
        "perplexity": result.perplexity,
        "unknown_rate": result.unknown_rate,
    }
    if as_json:
        click.echo(json.dumps(figures))
        return
    click.echo(f"tokens        {result.num_tokens:,}")
    click.echo(f"perplexity    {result.perplexity:.2f}")
    click.echo(f"unknown rate  {result.unknown_rate:.2%}")
