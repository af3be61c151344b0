"""The network of a model blended with that of another one."""

from dataclasses import dataclass

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.errors import InputError, SamplingError
from lorelm.evaluation.baseline import best_weight
from lorelm.evaluation.memorisation import CopyIndex
from lorelm.evaluation.perplexity import predict
from lorelm.generation.blend import map_words
from lorelm.runtime.blend import BlendedRuntime, PairRuntime
from lorelm.runtime.mixture import mix_logs
from lorelm.runtime.step_graph import Precision
from lorelm.typing import Floats, Ids


@dataclass(frozen=True, kw_only=True)
class BlendedNetwork:
    """Two networks, and the share of the second one.

    Attributes:
        name: of the second model, as it was given.
        index: of the second model's training text, if it has one.
        lacks_mixture: whether one of both models is mixed with its n-gram model by default.
    """

    name: str
    pair: PairRuntime
    share: float
    index: CopyIndex | None
    lacks_mixture: bool = False

    def mixed(self, network: Floats, stream: Ids) -> Floats:
        """Return the log-probability of every target of a stream under the blend.

        Args:
            network: log-probabilities under the first network.
        """
        return mix_logs(network, _of_second(self.pair, stream), 1 - self.share)


def blend_of(
    bundle: Bundle, given: str, *, corpus: Corpus | None, precision: Precision | None
) -> BlendedNetwork:
    """Return the blend of a model with another one.

    Args:
        given: the other bundle and its share, as in "plays=0.3"; without a share, it is the one
            that predicts the validation part best.
        precision: of both networks; None takes that of each manifest.
        corpus: of the first model, if it is at hand.

    Raises:
        InputError: the words of the models do not correspond, the share is none, or there is
            neither a share nor a corpus.
        BundleError: the other bundle is missing or damaged.
    """
    name, share = _name_and_share(given)
    other = Bundle.load(name)
    try:
        words = map_words(
            bundle.tokenizer, bundle.vocabulary, (other.tokenizer, other.vocabulary), name=name
        )
    except SamplingError as error:
        raise InputError(str(error), code="evaluation.blend") from error
    pair = PairRuntime(bundle.runtime(precision), other.runtime(precision), words)
    if share is None:
        if corpus is None:
            raise InputError(
                f"blend: the corpus of bundle {bundle.path} is not at hand, so no share can be "
                f"chosen: name one, as in {name}=0.3",
                code="evaluation.blend",
            )
        stream = corpus.valid.stream
        first = predict(pair.first, stream).log_probabilities
        share = 1 - best_weight(first, _of_second(pair, stream))
    return BlendedNetwork(
        name=name,
        pair=pair,
        share=share,
        index=other.copies(),
        lacks_mixture=bundle.manifest.mixture or other.manifest.mixture,
    )


def _of_second(pair: PairRuntime, stream: Ids) -> Floats:
    """Return the log-probabilities of targets under the second model, in words of the first."""
    return predict(BlendedRuntime(pair, 1), stream).log_probabilities


def _name_and_share(given: str) -> tuple[str, float | None]:
    name, equals, number = given.rpartition("=")
    if not equals:
        return given, None
    try:
        share = float(number)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise InputError(
            f"blend: must be a model and its share from 0 to 1, such as plays=0.3, not {given!r}",
            code="evaluation.blend",
        )
    return name, share
