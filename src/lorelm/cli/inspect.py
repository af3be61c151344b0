"""``lorelm inspect``: statistics of a corpus before training."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from lorelm.bundle import Bundle
from lorelm.cli.options import parameter_options, reading_options, take_reading_options
from lorelm.cli.terminal import echo_notes, printable, process_started, time_range, waiting
from lorelm.corpus import text_files
from lorelm.corpus.documents import CorpusParts, Documents, ReadingOptions
from lorelm.corpus.preparation import prepare_corpus
from lorelm.corpus.readers import read_documents
from lorelm.corpus.statistics import CorpusStatistics, corpus_statistics, verdict
from lorelm.corpus.structure import describe, warnings_of
from lorelm.corpus.text_files import TextFile
from lorelm.corpus.tokenizer import SubwordTokenizer, WordsTokenizer, make_tokenizer
from lorelm.errors import CorpusError
from lorelm.table import aligned
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import BUILT_IN_RECIPES, Recipe
from lorelm.training.start import Start, StartSettings, known_words, load_initial_checkpoint

if TYPE_CHECKING:
    from lorelm.training.callbacks import TimeRange

_SHOWN_SPEAKERS: Final = 5
_SHOWN_DOCUMENTS: Final = 10
_SHOWN_CHARACTERS: Final = 2_000


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--recipe",
    default=None,
    metavar="NAME|FILE.toml",
    help=f"What training would use: {', '.join(BUILT_IN_RECIPES)}, or a TOML file.  [default: "
    "fine-tune; from scratch: default]",
)
@parameter_options(TrainingOptions, names=("init",))
@click.option("--tokenizer", help="Style of the tokenizer, in place of the recipe's.")
@click.option("--valid", metavar="FILE", help="Validation part; without it, split off PATH.")
@click.option("--test", metavar="FILE", help="Test part; without it, split off PATH.")
@click.option(
    "--estimate/--no-estimate",
    default=True,
    help="Measure how long training takes, which takes some seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the first documents.")
@reading_options
def inspect(
    *,
    paths: tuple[str, ...],
    recipe: str | None,
    init: str | None,
    tokenizer: str | None,
    valid: str | None,
    test: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Print what PATH holds, how long training would take, and whether it is enough text.

    PATH is a file, a folder, a zip archive, a pattern, - or shakespeare, as for lorelm train.
    """
    start_settings = StartSettings(init=init, recipe=recipe, changes={"tokenizer": tokenizer})
    start_settings.check_recipe()  # a serving install cannot read the weights
    estimate: bool = flags.pop("estimate")
    options = take_reading_options(flags)
    with waiting("reading the text"), _errors_in_json(as_json):
        read = [_read(files, options) if files else None for files in (paths, valid, test)]
        assert read[0] is not None
        start = start_settings.choose(read[0])
        parts = CorpusParts(documents=start.documents, valid=read[1], test=read[2])
    reading_seconds = time.perf_counter() - process_started()
    if not as_json:
        echo_notes(note for each in parts.all for note in (*each.notes, *describe(each)))
        echo_notes(parts.notes)
    with waiting("counting words") as say, _errors_in_json(as_json, parts.documents.columns):
        statistics, counted = _count(parts, start)
        training: tuple[str, TimeRange | None] = ("not measured", None)
        if estimate:
            say("measuring how long training takes")
            training = _training_time(parts, start, reading_seconds)
    if as_json:
        found = _to_json(parts, statistics, counted, training, start.init)
        click.echo(json.dumps(found, indent=2))
        return
    click.echo("\n".join([printable(parts.documents.source), *_lines(statistics, counted)]))
    click.echo("\n".join(["", *_cut_off_lines(statistics, counted.min_frequency), ""]))
    click.echo(f"Training: {training[0]}.")
    click.echo(verdict(statistics, start.init))
    echo_notes(_test_warnings(statistics))


@contextmanager
def _errors_in_json(as_json: bool, columns: Sequence[str] = ()) -> Iterator[None]:
    """Print for programs why a corpus cannot be used, and the columns to choose from."""
    try:
        yield
    except CorpusError as error:
        if as_json:
            choice = [*(error.columns or columns)]
            found = {"error": str(error), "code": error.code, "columns": choice}
            click.echo(json.dumps(found, indent=2))
        raise


def _count(parts: CorpusParts, start: Start) -> tuple[CorpusStatistics, Recipe]:
    """Return the statistics, and the recipe whose words were counted."""
    recipe = start.recipe
    if recipe.tokenizer == SubwordTokenizer.style:  # training learns the pieces
        recipe = replace(recipe, tokenizer=WordsTokenizer.style)
    known = known_words(Bundle.load(start.init) if start.init else None, recipe.tokenizer)
    statistics = corpus_statistics(
        parts,
        make_tokenizer(recipe.tokenizer),
        split_seed=recipe.split_seed,
        rules=recipe.vocabulary_rules(known),
    )
    return statistics, recipe


def _to_json(
    parts: CorpusParts,
    statistics: CorpusStatistics,
    recipe: Recipe,
    training: tuple[str, "TimeRange | None"],
    init: str | None,
) -> dict[str, object]:
    """Return what the text output says, and the figures of its tables."""
    documents = parts.documents
    return {
        "source": documents.source,
        "kind": documents.kind,
        "unit": documents.unit,
        "columns": list(documents.columns),
        "fingerprint": parts.fingerprint,
        "first_documents": [
            text[:_SHOWN_CHARACTERS] for text in documents.texts[:_SHOWN_DOCUMENTS]
        ],
        "documents": statistics.num_documents,
        "tokenizer": recipe.tokenizer,
        "tokens": statistics.num_tokens,
        "train_tokens": statistics.num_train_tokens,
        "distinct_words": statistics.num_distinct_words,
        "longest_document": statistics.longest_document,
        "median_document": statistics.median_document,
        "exact_duplicates": statistics.num_exact_duplicates,
        "near_duplicates": statistics.num_near_duplicates,
        "speakers": dict(statistics.speakers),
        "cut_offs": [asdict(cut_off) for cut_off in statistics.cut_offs],
        "notes": [*(note for each in parts.all for note in each.notes), *parts.notes],
        "warnings": [
            *(warning for each in parts.all for warning in warnings_of(each)),
            *_test_warnings(statistics),
        ],
        "training": training[0],
        "training_seconds": training[1] and [training[1].low, training[1].high],
        "verdict": verdict(statistics, init),
    }


def _test_warnings(statistics: CorpusStatistics) -> list[str]:
    """Say that a model could be trained, but not evaluated."""
    if statistics.num_test_documents > 1:
        return []
    return [
        "The test part is one document, and the evaluation after training needs two or more: cut "
        "the text finer (--document paragraph, or line), or look for more text."
    ]


def _read(paths: Sequence[str] | str, options: ReadingOptions) -> Documents:
    """Return the documents or, of a file larger than memory, the first ones."""
    documents = read_documents(paths, options)
    if not isinstance(documents.texts, TextFile):
        return documents
    head = documents.texts.head(text_files.LARGE_FILE_BYTES)
    return replace(
        documents,
        texts=head,
        notes=[
            f"{documents.source} has {documents.texts.num_bytes / 1e6:,.0f} MB: all figures and "
            f"times are of its first {len(head):,} documents."
        ],
    )


def _lines(statistics: CorpusStatistics, recipe: Recipe) -> list[str]:
    rows = [
        ("documents", f"{statistics.num_documents:,}"),
        (f"tokens ({recipe.tokenizer} tokenizer)", f"{statistics.num_tokens:,}"),
        ("distinct words", f"{statistics.num_distinct_words:,}"),
        ("longest document", f"{statistics.longest_document:,} tokens"),
        ("median document", f"{statistics.median_document:g} tokens"),
        ("exact duplicates", f"{statistics.num_exact_duplicates:,} documents"),
        ("near duplicates", f"{statistics.num_near_duplicates:,} documents"),
    ]
    for speaker, count in islice(statistics.speakers.items(), _SHOWN_SPEAKERS):
        rows.append((printable(f"spoken by {speaker}"), f"{count:,} turns"))
    return aligned(rows, right=[1])


def _cut_off_lines(statistics: CorpusStatistics, min_frequency: int) -> Iterator[str]:
    """Yield a table of vocabularies, the one of the recipe bold."""
    names = ("words seen at least", "vocabulary", "unknown in held-out text")
    rows = [
        (
            "once" if cut_off.min_frequency == 1 else f"{cut_off.min_frequency} times",
            f"{cut_off.vocabulary_size:,}",
            f"{cut_off.unknown_rate:.1%}",
        )
        for cut_off in statistics.cut_offs
    ]
    heading, *lines = aligned([names, *rows], right=range(len(names)))
    yield heading
    for cut_off, line in zip(statistics.cut_offs, lines, strict=True):
        yield click.style(line, bold=cut_off.min_frequency == min_frequency)


def _training_time(
    parts: CorpusParts, start: Start, reading_seconds: float
) -> tuple[str, "TimeRange | None"]:
    """Return how long `lorelm train` takes from the start to the end, in words and in seconds.

    Args:
        reading_seconds: from the start of this command until the files were read.
    """
    began = time.perf_counter()
    try:
        from lorelm.training.callbacks import TimeRange
        from lorelm.training.device import resolve_device
        from lorelm.training.initial_checkpoint import sized_for
        from lorelm.training.plan import estimate_run
        from lorelm.training.speed import Machine
        from lorelm.training.threads import make_tuner
    except ImportError as error:
        if error.name != "torch":
            raise
        return 'no estimate, for PyTorch is not installed (pip install "lorelm[train]")', None
    device, recipe = resolve_device("auto"), start.recipe
    initial = load_initial_checkpoint(start.init) if start.init else None
    try:
        corpus = prepare_corpus(
            parts,
            tokenizer=make_tokenizer(recipe.tokenizer),
            vocabulary=recipe.vocabulary_rules(known_words(initial, recipe.tokenizer)),
            split_seed=recipe.split_seed,
        )
        recipe = sized_for(recipe, len(corpus.train.stream), initial)
        preparing = reading_seconds + time.perf_counter() - began
        machine = Machine(device=device, threads=make_tuner(None, device))
        whole = TimeRange(preparing, preparing) + estimate_run(corpus, recipe, machine)
    except CorpusError as error:
        return f"not possible, for {error}", None
    text = (
        f"about {time_range(whole.low, whole.high)} for {recipe.epochs} epochs and the evaluation "
        f"on this machine ({device.type})"
    )
    return text, whole
