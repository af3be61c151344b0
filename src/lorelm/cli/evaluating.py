"""Brings together what an evaluation needs: the text, the n-gram model, samples, their index."""

from dataclasses import dataclass
from typing import Final

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus, tokenize_documents
from lorelm.errors import BundleError, CorpusError, MissingExtraError
from lorelm.evaluation.evaluate import EvaluationResult, Samples, evaluate
from lorelm.evaluation.memorisation import CopyIndex, TrainingText, WrittenText
from lorelm.evaluation.mixture import CountedModel
from lorelm.evaluation.text import HeldOutText
from lorelm.evaluation.trained_corpus import find_trained_corpus, split_as_trained
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.settings import NUM_SAMPLES_LIMIT, GenerationSettings
from lorelm.runtime.step_graph import Precision


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How to evaluate.

    Attributes:
        interpolate: compare with the n-gram model and the mixture; None does where it is possible.
        num_samples: texts to generate and look up in the training text.
        precision: of the network; None takes that of the manifest.
        cache: judge the network with its neural cache too.
    """

    interpolate: bool | None = None
    num_samples: int = 100
    precision: Precision | None = None
    cache: bool = False


DEFAULTS: Final = EvaluationSettings()


def evaluate_bundle(
    bundle: Bundle,
    settings: EvaluationSettings = DEFAULTS,
    *,
    documents: Documents | None = None,
    corpus: Corpus | None = None,
) -> EvaluationResult:
    """Evaluates a model on any documents, or on the test part of its corpus.

    The test part is the text where no documents are given or where they are the corpus itself.

    Args:
        corpus: that of the bundle, if it is at hand; it is read again if it is not.

    Raises:
        CorpusError: the text has no known word, or is a single document; or the corpus is not
            where it was, and the text or the n-gram model was to come from it.
        BundleError: a file of the bundle is damaged, or samples are asked for and there is no
            index of the training text.
    """
    text, corpus = _text_and_corpus(bundle, documents, corpus)
    index = _index(bundle, corpus, settings)
    return evaluate(
        bundle,
        text,
        precision=settings.precision,
        counted=_counted(bundle, corpus, settings),
        samples=_samples(bundle, settings) if settings.num_samples and index else None,
        index=index,
        cache=settings.cache,
    )


def _text_and_corpus(
    bundle: Bundle, documents: Documents | None, corpus: Corpus | None
) -> tuple[HeldOutText, Corpus | None]:
    """What to judge the model on, and its corpus if that is at hand."""
    if documents is None:
        corpus = corpus or find_trained_corpus(bundle)
        return _test_part(bundle, corpus), corpus
    if itself := split_as_trained(bundle, [documents]):
        return _test_part(bundle, itself), itself
    text = _whole_text(bundle, documents)
    try:
        return text, find_trained_corpus(bundle)
    except (CorpusError, MissingExtraError):
        return text, None


def _test_part(bundle: Bundle, corpus: Corpus) -> HeldOutText:
    what = "a sample of the test part" if corpus.is_sampled else "the test part"
    return HeldOutText.of(
        corpus.test.documents,
        name=f"{what} of {corpus.source}",
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
    )


def _whole_text(bundle: Bundle, documents: Documents) -> HeldOutText:
    return HeldOutText.of(
        tokenize_documents(documents, bundle.tokenizer),
        name=documents.source,
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
    )


def _counted(
    bundle: Bundle, corpus: Corpus | None, settings: EvaluationSettings
) -> CountedModel | None:
    if settings.interpolate is False:
        return None
    if corpus is None:
        if not bundle.has_ngram and settings.interpolate:
            raise CorpusError(
                f"bundle {bundle.path} carries no n-gram model and its corpus is not where it was: "
                "put the corpus back, or train the model again with --ngram"
            )
        return CountedModel.of_bundle(bundle) if bundle.has_ngram else None
    if not corpus.is_countable:
        if settings.interpolate:
            raise CorpusError(f"{corpus.source} is too large for an n-gram model to compare with")
        return None
    if bundle.manifest.ngram is not None:
        return CountedModel.fit_as_recorded(corpus, bundle.manifest.ngram, bundle.manifest.cache)
    return CountedModel.fit(corpus, bundle.runtime(settings.precision))


def _index(bundle: Bundle, corpus: Corpus | None, settings: EvaluationSettings) -> CopyIndex | None:
    if corpus is not None and not corpus.is_countable:
        return None
    if corpus is not None:
        return TrainingText(corpus.train.documents, corpus.tokenizer)
    copies = bundle.copies()
    is_known = bundle.manifest.imported is None
    if copies is None and settings.num_samples and is_known:
        raise BundleError(
            f"bundle {bundle.path} has no index of its training text: train it again, or give "
            "--samples 0 to look for no copies"
        )
    return copies


def _samples(bundle: Bundle, settings: EvaluationSettings) -> Samples:
    """Texts that the model begins by itself, with the seeds 0, 1, 2 and so on."""
    model = LanguageModel(bundle.runtime(settings.precision), bundle.tokenizer, bundle.vocabulary)
    texts = []
    for seed in range(0, settings.num_samples, NUM_SAMPLES_LIMIT):
        count = min(NUM_SAMPLES_LIMIT, settings.num_samples - seed)
        for sample in model.generate(seed=seed, num_samples=count).samples:
            texts.append(
                WrittenText(
                    tokens=bundle.tokenizer.tokenize(sample.text),
                    is_complete=sample.finish_reason == "eos",
                )
            )
    return Samples(texts=texts, temperature=GenerationSettings().temperature)
