"""Losses in training (with the output layer) and in validation, and their divergence."""

import math
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lorelm.corpus.windows import TokenBatcher
from lorelm.evaluation.perplexity import perplexity
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.typing import Ids

_CHUNK_NUMBERS: Final = 500_000
"""Logits of one chunk: 2 MB, so that they stay in the processor's cache."""

_MIN_SAVING: Final = 1.3
"""A vocabulary this many times the size of a sample is worth sampling."""

# One call of nn.LSTM reorders its weights; long windows spread that cost (10,000 tokens/s at 500
# steps against 550 at one). The logits of a window must fit: 500 x 50,000 words are 100 MB.
_VALIDATION_WINDOW: Final = 500

_DIVERGED_NATS: Final = 5.0
"""The loss has diverged if the mean of some steps is this far above that of a uniform guess."""

_DIVERGED_EPOCH_NATS: Final = 1.0
"""The same for the mean of an epoch, in training and in validation.

Validation alone does not count: overfitting, or many unknown words, also make it high.
"""


@dataclass(frozen=True, kw_only=True)
class WordSample:
    """The output words of one training step: the most frequent ones, and a sample of the others.

    A vocabulary is ordered by frequency, so that both are slices of the output layer, which are
    multiplied where they lie. The sum of the softmax over all words is estimated without bias: each
    word of the sample stands for `stride` words.

    Attributes:
        num_frequent: words that every step computes.
        first: id of the first word of the sample; every `stride`-th word after it belongs to it.
    """

    num_frequent: int
    first: int
    stride: int

    @classmethod
    def draw(cls, vocabulary_size: int, num_words: int) -> Self | None:
        """Draw a sample of about `num_words`, of which two thirds are the most frequent ones.

        None, which is all words, where a sample would save less than a quarter; and for 0.
        """
        if num_words == 0 or vocabulary_size <= _MIN_SAVING * num_words:
            return None
        num_frequent = 2 * num_words // 3
        stride = math.ceil((vocabulary_size - num_frequent) / (num_words - num_frequent))
        offset = int(torch.randint(stride, ()))
        return cls(num_frequent=num_frequent, first=num_frequent + offset, stride=stride)

    def columns(self, ids_N: Tensor) -> Tensor:
        """Return where each word stands among the computed ones; -1 for one that is not there."""
        steps_N = (ids_N - self.first) // self.stride
        is_sampled_N = (ids_N >= self.first) & ((ids_N - self.first) % self.stride == 0)
        columns_N = torch.where(is_sampled_N, self.num_frequent + steps_N, -1)
        return torch.where(ids_N < self.num_frequent, ids_N, columns_N)


def output_loss(
    outputs_TBH: Tensor,
    weight_VH: Tensor,
    bias_V: Tensor,
    targets_TB: Tensor,
    sample: WordSample | None = None,
) -> Tensor:
    """Return the mean cross-entropy of the output layer's softmax, in nats per token.

    It equals `cross_entropy(linear(outputs, weight, bias), targets)`, which writes and reads one
    number per word and token eight times (logits in bfloat16 and float32, their logarithm, its
    gradient in both, initial zeros). This function does so twice: a chunk of logits is overwritten
    with its gradient while it is in the cache. With 11,600 words, a training step takes 0.28 s
    instead of 0.39.

    Products are in the type of `outputs_TBH`, sums in float32.

    Args:
        sample: computes these words and the targets alone, an estimate of the loss. It is a little
            too low, since the logarithm of an unbiased estimate is.
    """
    arguments = outputs_TBH.flatten(0, 1), weight_VH, bias_V, targets_TB.flatten()
    loss: Tensor
    if sample is None:
        loss = _OutputLoss.apply(*arguments)  # type: ignore[no-untyped-call]
    else:
        loss = _SampledLoss.apply(*arguments, sample)  # type: ignore[no-untyped-call]
    return loss


class _OutputLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, outputs_NH: Tensor, weight_VH: Tensor, bias_V: Tensor, targets_N: Tensor
    ) -> Tensor:
        kind = outputs_NH.dtype
        weight_VH = weight_VH.to(kind)
        gradient_NV = torch.addmm(bias_V.to(kind), outputs_NH, weight_VH.t())
        loss = _to_gradient(gradient_NV, targets_N)
        context.save_for_backward(outputs_NH, weight_VH, gradient_NV)
        return loss

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        outputs_NH, weight_VH, gradient_NV = context.saved_tensors
        (of_loss,) = gradients
        return (
            (gradient_NV @ weight_VH) * of_loss.to(weight_VH.dtype),
            (gradient_NV.t() @ outputs_NH).float().mul_(of_loss),
            _column_sums(gradient_NV) * of_loss,
            None,
        )


class _SampledLoss(torch.autograd.Function):
    """Columns: the frequent words F, the sampled words S, and a target that is neither."""

    @staticmethod
    def forward(
        context: Any,
        outputs_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor,
        targets_N: Tensor,
        sample: WordSample,
    ) -> Tensor:
        kind, num_frequent = outputs_NH.dtype, sample.num_frequent
        sampled = slice(sample.first, None, sample.stride)
        weight_FH, weight_SH = weight_VH[:num_frequent].to(kind), weight_VH[sampled].to(kind)
        bias_F, bias_S = bias_V[:num_frequent].to(kind), bias_V[sampled].to(kind)
        log_stride = math.log(sample.stride)
        last = num_frequent + len(bias_S)
        logits_NW = outputs_NH.new_empty(len(outputs_NH), last + 1)
        torch.addmm(bias_F, outputs_NH, weight_FH.t(), out=logits_NW[:, :num_frequent])
        torch.addmm(
            bias_S + log_stride, outputs_NH, weight_SH.t(), out=logits_NW[:, num_frequent:last]
        )
        logits_NW[:, last] = -torch.inf
        columns_N = sample.columns(targets_N)
        # A target that was sampled stands for itself alone.
        (rows_M,) = torch.where(columns_N >= num_frequent)
        logits_NW[rows_M, columns_N[rows_M]] -= log_stride
        (rows_M,) = torch.where(columns_N < 0)
        ids_M = targets_N[rows_M]
        weight_MH = weight_VH[ids_M].to(kind)
        logits_NW[rows_M, last] = (outputs_NH[rows_M] * weight_MH).sum(1) + bias_V[ids_M].to(kind)
        columns_N[rows_M] = last
        loss = _to_gradient(logits_NW, columns_N)
        context.save_for_backward(
            outputs_NH, weight_FH, weight_SH, weight_MH, logits_NW, rows_M, ids_M
        )
        context.sampled, context.vocabulary_size = sampled, len(bias_V)
        return loss

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        outputs_NH, weight_FH, weight_SH, weight_MH, gradient_NW, rows_M, ids_M = (
            context.saved_tensors
        )
        (of_loss,) = gradients
        frequent, sampled = slice(len(weight_FH)), context.sampled
        gradient_NF, gradient_NS, _ = gradient_NW.split([len(weight_FH), len(weight_SH), 1], dim=1)
        gradient_M1 = gradient_NW[rows_M, -1:]
        by_output_NH = gradient_NF @ weight_FH
        by_output_NH.addmm_(gradient_NS, weight_SH)
        by_output_NH.index_add_(0, rows_M, gradient_M1 * weight_MH)
        by_weight_VH = of_loss.new_zeros(context.vocabulary_size, outputs_NH.shape[1])
        by_weight_VH[frequent] = gradient_NF.t() @ outputs_NH
        by_weight_VH[sampled] = gradient_NS.t() @ outputs_NH
        by_weight_VH.index_add_(0, ids_M, (gradient_M1 * outputs_NH[rows_M]).float())
        by_bias_V = of_loss.new_zeros(context.vocabulary_size)
        by_bias_V[frequent], by_bias_V[sampled] = map(_column_sums, (gradient_NF, gradient_NS))
        by_bias_V.index_add_(0, ids_M, gradient_M1[:, 0].float())
        return (
            by_output_NH * of_loss.to(by_output_NH.dtype),
            by_weight_VH.mul_(of_loss),
            by_bias_V * of_loss,
            None,
            None,
        )


def _column_sums(values_NV: Tensor) -> Tensor:
    """Return the sums over N in float32, faster than `sum` for bfloat16."""
    return (values_NV.new_ones(1, len(values_NV)) @ values_NV)[0].float()


def _to_gradient(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """Return the mean loss; overwrite the logits with its gradient, (softmax - one-hot) / N."""
    num_rows, num_words = logits_NV.shape
    loss = torch.zeros((), device=logits_NV.device)
    rows = max(1, _CHUNK_NUMBERS // num_words)
    for start in range(0, num_rows, rows):
        chunk_RV = logits_NV[start : start + rows]
        targets_R1 = targets_N[start : start + rows, None]
        log_sums_R1 = chunk_RV.float().logsumexp(1, keepdim=True)
        loss += (log_sums_R1 - chunk_RV.gather(1, targets_R1)).sum()
        softmax_RV = (chunk_RV.float() - log_sums_R1).exp_()
        softmax_RV.scatter_add_(1, targets_R1, softmax_RV.new_full(targets_R1.shape, -1.0))
        chunk_RV.copy_(softmax_RV.div_(num_rows))
    return loss / num_rows


@torch.inference_mode()
def validation_loss(model: LSTMLanguageModel, stream: Ids) -> float:
    """Return the nats per token of a held-out stream of documents, its state carried along."""
    was_training = model.training
    model.eval()
    device = model.fc.weight.device
    state = model.initial_state(1)
    total_nats = 0.0
    for inputs_TB, targets_TB in TokenBatcher(stream, batch_size=1).windows(
        bptt=_VALIDATION_WINDOW
    ):
        inputs, targets = (torch.from_numpy(ids).to(device) for ids in (inputs_TB, targets_TB))
        logits_TBV, state = model(inputs, state)
        total_nats += cross_entropy(
            logits_TBV.flatten(0, 1), targets.flatten(), reduction="sum"
        ).item()
    model.train(was_training)
    return total_nats / len(stream)


class LossDivergedError(Exception):
    """The loss diverged or is NaN."""


class LossMonitor:
    """Compares the loss with that of a uniform guess among all words."""

    def __init__(self, vocabulary_size: int) -> None:
        self._uniform_nats: Final = math.log(vocabulary_size)
        self.begin_epoch(0.0, 0)

    def begin_epoch(self, nats: float, num_tokens: int) -> None:
        """Take the sums of the current epoch as checked."""
        self._checked = nats, num_tokens

    def check_steps(self, nats: float, num_tokens: int) -> None:
        """Check the steps since the last check.

        Args:
            nats, num_tokens: sums over the current epoch.

        Raises:
            LossDivergedError: the loss is far above that of a uniform guess, or NaN.
        """
        nats_before, num_tokens_before = self._checked
        limit = (self._uniform_nats + _DIVERGED_NATS) * (num_tokens - num_tokens_before)
        if not nats - nats_before <= limit:  # true of NaN as well
            raise LossDivergedError
        self._checked = nats, num_tokens

    def check_epoch(self, train_loss: float, valid_loss: float) -> None:
        """Check the mean losses of an epoch.

        Raises:
            LossDivergedError: both are above that of a uniform guess, or one is NaN or infinite.
        """
        is_worse = min(train_loss, valid_loss) > self._uniform_nats + _DIVERGED_EPOCH_NATS
        if is_worse or not math.isfinite(perplexity(valid_loss)):
            raise LossDivergedError
