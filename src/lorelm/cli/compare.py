"""``lorelm runs compare``: models side by side."""

import json
from collections.abc import Sequence
from typing import Any

import click

from lorelm.bundle import Bundle
from lorelm.bundle.files import find_bundle, holds_model
from lorelm.cli.options import (
    precision_option,
    reading_options,
    refuse_reading_options,
    take_reading_options,
)
from lorelm.cli.terminal import echo_notes
from lorelm.corpus.readers import read_documents
from lorelm.evaluation.comparison import compare as compare_models
from lorelm.evaluation.comparison import comparison_notes, comparison_table
from lorelm.evaluation.trained_corpus import common_test_part
from lorelm.runs.run import find_run


@click.command()
@click.argument("bundles", nargs=-1, required=True, metavar="BUNDLE BUNDLE...")
@click.option("--text", metavar="FILE", help="Compare on this text, not on the common test part.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@precision_option
@reading_options
def compare(
    *, bundles: Sequence[str], text: str | None, as_json: bool, precision: Any, **flags: Any
) -> None:
    """Print models side by side on the same text, and whether their differences may be chance.

    The models may be of different corpora, vocabularies and tokenizers. BUNDLE may be english,
    the embedded model, unless a folder of that name holds a model, or a run that lorelm runs lists.
    Without --text it is the test part of the corpus that all were trained on. Differences are to
    the first model, in bits per character.
    """
    if len(bundles) < 2:
        raise click.UsageError("Name two bundles or more.")
    loaded = [_load(bundle) for bundle in bundles]
    reading = take_reading_options(flags)
    if text is None:
        refuse_reading_options("they are about --text, and there is none")
        documents = common_test_part(loaded)
        name = f"the test part of {documents.source}"
    else:
        documents = read_documents(text, reading)
        echo_notes(documents.notes)
        name = documents.source
    models = compare_models(loaded, documents.texts, name=name, precision=precision)
    if as_json:
        shown = [
            {"bundle": bundle} | model.to_json()
            for bundle, model in zip(bundles, models, strict=True)
        ]
        click.echo(json.dumps(shown, indent=2))
        return
    computed = precision or " and ".join(sorted({each.manifest.precision for each in loaded}))
    table, notes = comparison_table(bundles, models), comparison_notes(bundles, models)
    heading = f"{name}, {computed}; 95 % intervals in brackets"
    click.echo("\n".join([heading, "", *table.lines(), "", *notes]))


def _load(name: str) -> Bundle:
    """Load the bundle at a path, or of the listed run of that name."""
    return Bundle.load(name if holds_model(find_bundle(name)) else find_run(name).path)
