"""Evaluate the model of a bundle: :func:`evaluate_bundle`."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Final

from lorelm.bundle import Bundle
from lorelm.bundle.writer import add_ngram
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus, tokenize_documents
from lorelm.errors import CorpusError, InputError, MissingExtraError
from lorelm.evaluation.baseline import NgramBaseline
from lorelm.evaluation.blend import blend_of
from lorelm.evaluation.measure import (
    EvaluatedModel,
    EvaluationResult,
    Stage,
    generate_samples,
    measure,
)
from lorelm.evaluation.memorisation import CopyIndex, TrainingText
from lorelm.evaluation.perplexity import predict
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText, require_seen_tokens
from lorelm.evaluation.trained_corpus import find_trained_corpus, split_as_trained
from lorelm.machine.quoting import quoted
from lorelm.parameters import Parameter, problems_of
from lorelm.runtime.step_graph import PRECISIONS, Precision


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How to evaluate.

    Raises:
        InputError: values are not allowed; it names them all.
    """

    interpolate: Annotated[
        bool | None,
        Parameter(
            "Compare with the n-gram model and the mixture of both; by default where possible."
        ),
    ] = None
    num_samples: Annotated[
        int,
        Parameter(
            "Texts to generate and look up in the training text; 0: none.", min=0, flag="samples"
        ),
    ] = 100
    cache: Annotated[
        bool, Parameter("Use the neural cache: words that occurred recently become likelier.")
    ] = False
    blend: Annotated[
        str | None,
        Parameter(
            "Blend with the model in this folder, MODEL=SHARE; without a share, with the one that "
            "predicts the validation part best.",
            metavar="MODEL[=SHARE]",
        ),
    ] = None
    add_ngram: Annotated[
        bool,
        Parameter(
            "Count the training text again and put the n-gram model into a bundle that was trained "
            "without."
        ),
    ] = False
    precision: Annotated[
        Precision | None,
        Parameter(
            "Precision of the model; int8 is faster. The default is as served: int8, or float32 "
            "for an imported model.",
            choices=PRECISIONS,
        ),
    ] = None

    def __post_init__(self) -> None:
        problems = problems_of(EvaluationSettings, asdict(self))
        if problems:
            raise InputError.of(problems, code="evaluation.settings")


DEFAULTS: Final = EvaluationSettings()


def evaluate_bundle(
    bundle: Bundle,
    settings: EvaluationSettings = DEFAULTS,
    *,
    documents: Documents | None = None,
    on_stage: Callable[[str], object] = lambda _: None,
) -> EvaluationResult:
    """Evaluate a bundle on documents, or on the test part of its corpus.

    The test part is the text where no documents are given or where they are the corpus itself.

    Args:
        on_stage: called at the beginning of each stage with what is being done.

    Raises:
        CorpusError: the text has no known word, or is a single document; or the corpus is not
            where it was, and the text or the n-gram baseline was to come from it.
        BundleError: the bundle lacks this precision or the cache, or a file of it is damaged; or
            the model was imported and the text has tokens that it has never seen, or an n-gram
            model is to be added to it, to the embedded model, or to a bundle that cannot be
            written.
        InputError: the model to blend with has other words, or its share is none.
    """
    if settings.add_ngram and bundle.manifest.imported is not None:
        bundle.ngram()  # says why there is none
    on_stage("reading the text")
    text, corpus = _text_and_corpus(bundle, documents)
    require_seen_tokens(text.stream, bundle)
    on_stage(Stage.NGRAMS)
    baseline = _baseline(bundle, corpus, settings)
    if settings.add_ngram and not bundle.has_ngram:
        assert baseline is not None
        assert corpus is not None
        bundle = _with_ngram(bundle, corpus, baseline)
    precision = settings.precision or bundle.manifest.precision
    blend = None
    if settings.blend is not None:
        on_stage(Stage.BLEND)
        blend = blend_of(bundle, settings.blend, corpus=corpus, precision=settings.precision)
    model = EvaluatedModel(
        network=bundle.runtime(precision),
        precision=precision,
        is_mixed=bundle.manifest.mixture,
        spelling=SpellingModel.of_bundle(bundle),
        baseline=None if settings.interpolate is False else baseline,
        index=_index(bundle, corpus),
        cached_network=bundle.runtime(precision, cache=True) if settings.cache else None,
        blend=blend,
    )
    on_stage(Stage.SAMPLES)
    samples = generate_samples(model, text, settings.num_samples)
    on_stage(Stage.METRICS)
    return measure(model, text, samples)


def _text_and_corpus(
    bundle: Bundle, documents: Documents | None
) -> tuple[HeldOutText, Corpus | None]:
    """Return the text to evaluate on, and the corpus of the bundle if it is at hand."""
    if documents is None:
        corpus = find_trained_corpus(bundle)
        return HeldOutText.of_test_part(corpus), corpus
    if itself := split_as_trained(bundle, documents):
        return HeldOutText.of_test_part(itself), itself
    text = HeldOutText(
        documents=tokenize_documents(documents, bundle.tokenizer),
        name=documents.source,
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
    )
    try:
        return text, find_trained_corpus(bundle)
    except (CorpusError, MissingExtraError):
        return text, None


def _baseline(
    bundle: Bundle, corpus: Corpus | None, settings: EvaluationSettings
) -> NgramBaseline | None:
    is_needed = settings.interpolate or (settings.add_ngram and not bundle.has_ngram)
    if settings.interpolate is False and not is_needed:
        return None
    if corpus is not None and corpus.is_countable:
        if bundle.manifest.ngram is not None:
            return NgramBaseline.of_bundle(bundle, corpus)
        network = bundle.runtime(settings.precision)
        return NgramBaseline.fit(corpus, predict(network, corpus.valid.stream))
    if corpus is None and bundle.has_ngram:
        return NgramBaseline.of_bundle(bundle)
    if not is_needed:
        return None
    if corpus is not None:
        raise CorpusError(
            f"{corpus.source} is too large for an n-gram model", code="evaluation.too_large"
        )
    raise CorpusError(
        f"bundle {bundle.path} carries no n-gram model, and neither is this text its corpus nor "
        "was that found in the current folder, beside the bundle or above it: name the corpus "
        f"(add_ngram, lorelm evaluate {quoted(bundle.path)} FILE --add-ngram)",
        code="evaluation.no_ngram",
    )


def _with_ngram(bundle: Bundle, corpus: Corpus, baseline: NgramBaseline) -> Bundle:
    """Add the n-gram model to a bundle; mix it in by default where counting alone is better."""
    valid = corpus.valid.stream
    is_mixed = baseline.beats(predict(bundle.runtime(), valid).log_probabilities, valid)
    changes: dict[str, object] = {"ngram": baseline.metadata, "mixture": is_mixed}
    metrics = bundle.manifest.metrics
    if metrics is not None and metrics.mixture_perplexity is not None:
        changes["metrics"] = metrics.model_copy(update={"is_mixed": is_mixed})
    return add_ngram(bundle, baseline.model, changes)


def _index(bundle: Bundle, corpus: Corpus | None) -> CopyIndex | None:
    if corpus is None:
        return bundle.copies()
    is_countable = corpus.is_countable
    return TrainingText(corpus.train.documents, corpus.tokenizer) if is_countable else None
