"""Evaluate a model: :func:`evaluate_bundle`, or :func:`evaluate` where its parts are at hand."""

from dataclasses import asdict, dataclass
from typing import Annotated, Final

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus, tokenize_documents
from lorelm.errors import BundleError, CorpusError, InputError, MissingExtraError
from lorelm.evaluation.baseline import NgramBaseline
from lorelm.evaluation.measure import EvaluatedModel, EvaluationResult, Samples, measure
from lorelm.evaluation.memorisation import CopyIndex, TrainingText, WrittenText
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText, require_seen_tokens
from lorelm.evaluation.trained_corpus import find_trained_corpus, split_as_trained
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.settings import NUM_SAMPLES_LIMIT, GenerationSettings
from lorelm.parameters import Parameter, problems_of
from lorelm.runtime.step_graph import PRECISIONS, Precision


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How to evaluate.

    Attributes:
        interpolate: compare with the n-gram baseline and the mixture; None: where possible.
        num_samples: texts to generate and look up in the training text.
        precision: of the network; None takes that of the manifest.
        cache: evaluate the network with its neural cache too.

    Raises:
        InputError: values are not allowed; it names them all.
    """

    interpolate: Annotated[
        bool | None, Parameter("Compare with the n-gram model and the mixture of both.")
    ] = None
    num_samples: Annotated[
        int, Parameter("Texts to generate and look up in the training text; 0: none.", min=0)
    ] = 100
    precision: Annotated[
        Precision | None, Parameter("Precision of the model.", choices=PRECISIONS)
    ] = None
    cache: Annotated[bool, Parameter("Use the neural cache.")] = False

    def __post_init__(self) -> None:
        problems = problems_of(EvaluationSettings, asdict(self))
        if problems:
            raise InputError.of(problems, code="evaluation.settings")


DEFAULTS: Final = EvaluationSettings()


def evaluate(
    model: EvaluatedModel, text: HeldOutText, *, num_samples: int = DEFAULTS.num_samples
) -> EvaluationResult:
    """Evaluate a model whose parts are at hand, as in training before the bundle is written.

    Args:
        num_samples: texts to generate, if the model has an index to look them up in.
    """
    samples = _generate(model, num_samples) if num_samples and model.index is not None else None
    return measure(model, text, samples)


def evaluate_bundle(
    bundle: Bundle,
    settings: EvaluationSettings = DEFAULTS,
    *,
    documents: Documents | None = None,
    corpus: Corpus | None = None,
) -> EvaluationResult:
    """Evaluate a bundle on documents, or on the test part of its corpus.

    The test part is the text where no documents are given or where they are the corpus itself.

    Args:
        corpus: that of the bundle, if it is at hand; otherwise it is read again.

    Raises:
        CorpusError: the text has no known word, or is a single document; or the corpus is not
            where it was, and the text or the n-gram baseline was to come from it.
        BundleError: the bundle lacks this precision or the cache, or a file of it is damaged; or
            samples are wanted and there is no index of the training text; or the model was
            imported and the text has tokens that it has never seen.
    """
    text, corpus = _text_and_corpus(bundle, documents, corpus)
    require_seen_tokens(text.stream, bundle)
    precision = settings.precision or bundle.manifest.precision
    model = EvaluatedModel(
        network=bundle.runtime(precision),
        precision=precision,
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
        spelling=SpellingModel.of_bundle(bundle),
        baseline=_baseline(bundle, corpus, settings),
        index=_index(bundle, corpus, settings),
        cached_network=bundle.runtime(precision, cache=True) if settings.cache else None,
    )
    return evaluate(model, text, num_samples=settings.num_samples)


def _text_and_corpus(
    bundle: Bundle, documents: Documents | None, corpus: Corpus | None
) -> tuple[HeldOutText, Corpus | None]:
    """Return the text to evaluate on, and the corpus of the bundle if it is at hand."""
    if documents is None:
        corpus = corpus or find_trained_corpus(bundle)
        return HeldOutText.of_test_part(corpus), corpus
    if itself := split_as_trained(bundle, documents):
        return HeldOutText.of_test_part(itself), itself
    text = HeldOutText.of(
        tokenize_documents(documents, bundle.tokenizer),
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
    if settings.interpolate is False:
        return None
    if corpus is None:
        if not bundle.has_ngram and settings.interpolate:
            raise CorpusError(
                f"bundle {bundle.path} carries no n-gram model and its corpus is not where it was: "
                "put the corpus back, or train the model again with --ngram",
                code="evaluation.no_ngram",
            )
        return NgramBaseline.of_bundle(bundle) if bundle.has_ngram else None
    if not corpus.is_countable:
        if settings.interpolate:
            raise CorpusError(
                f"{corpus.source} is too large for an n-gram model to compare with",
                code="evaluation.too_large",
            )
        return None
    if bundle.manifest.ngram is not None:
        return NgramBaseline.fit_as_recorded(corpus, bundle.manifest.ngram, bundle.manifest.cache)
    return NgramBaseline.fit(corpus, bundle.runtime(settings.precision))


def _index(bundle: Bundle, corpus: Corpus | None, settings: EvaluationSettings) -> CopyIndex | None:
    if corpus is not None:
        is_countable = corpus.is_countable
        return TrainingText(corpus.train.documents, corpus.tokenizer) if is_countable else None
    copies = bundle.copies()
    if copies is None and settings.num_samples and bundle.manifest.imported is None:
        raise BundleError(
            f"bundle {bundle.path} has no index of its training text: train it again, or give "
            "--samples 0 to look for no copies",
            code="bundle.no_copies",
        )
    return copies


def _generate(model: EvaluatedModel, num_samples: int) -> Samples:
    """Generate texts without a prompt, with the seeds 0, 1, 2 and so on."""
    writer = LanguageModel(model.network, model.tokenizer, model.vocabulary)
    texts = []
    for seed in range(0, num_samples, NUM_SAMPLES_LIMIT):
        count = min(NUM_SAMPLES_LIMIT, num_samples - seed)
        for sample in writer.generate(seed=seed, num_samples=count).samples:
            texts.append(
                WrittenText(
                    tokens=model.tokenizer.tokenize(sample.text),
                    is_complete=sample.finish_reason == "eos",
                )
            )
    return Samples(texts=texts, temperature=GenerationSettings().temperature)
