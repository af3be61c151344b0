"""``lorelm score``: how well a model predicts a text."""

import json
from typing import Any

import click

from lorelm.bundle import Bundle
from lorelm.cli.options import (
    cache_option,
    mixture_option,
    precision_option,
    reading_options,
    take_reading_options,
)
from lorelm.cli.terminal import echo_notes
from lorelm.corpus.preparation import tokenize_documents
from lorelm.corpus.readers import read_documents
from lorelm.corpus.vocabulary import unknown_rate
from lorelm.corpus.windows import encode_stream
from lorelm.evaluation.baseline import NgramBaseline
from lorelm.evaluation.perplexity import perplexity, predict
from lorelm.evaluation.text import require_known_word, require_seen_tokens


@click.command()
@click.argument("bundle", type=click.Path())
@click.argument("file", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@mixture_option
@cache_option
@precision_option
@reading_options
def score(
    *,
    bundle: str,
    file: str,
    as_json: bool,
    mixture: bool | None,
    cache: bool,
    precision: Any,
    **flags: Any,
) -> None:
    """Print number of tokens, perplexity and unknown rate of FILE under the model in BUNDLE.

    BUNDLE may be english, the embedded model, unless a folder of that name holds a model.
    The target tokens are every token and the end of every document, in order.
    """
    loaded = Bundle.load(bundle)
    documents = read_documents(file, take_reading_options(flags))
    echo_notes(documents.notes)
    tokens = tokenize_documents(documents, loaded.tokenizer)
    require_known_word(tokens, loaded.vocabulary, name=file)
    stream = encode_stream(tokens, loaded.vocabulary)
    require_seen_tokens(stream, loaded)
    logs = predict(loaded.runtime(precision, cache=cache), stream).log_probabilities
    if loaded.is_mixed(mixture):
        logs = NgramBaseline.of_bundle(loaded).mixed(logs, stream, cache=cache)
    if mixture is None and loaded.manifest.mixture:
        echo_notes(["The network is mixed with the n-gram model; --no-mixture scores it alone."])
    scores = {
        "tokens": len(stream),
        "perplexity": perplexity(-logs.mean()),
        "unknown_rate": unknown_rate(stream),
    }
    if as_json:
        click.echo(json.dumps(scores))
        return
    click.echo(f"tokens        {scores['tokens']:,}")
    click.echo(f"perplexity    {scores['perplexity']:.2f}")
    click.echo(f"unknown rate  {scores['unknown_rate']:.2%}")
