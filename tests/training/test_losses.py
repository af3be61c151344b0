import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, linear

from lorelm.training.losses import WordSample, output_loss


def tensors(num_words: int, seed: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    outputs_TBH = torch.randn(5, 3, 16, generator=generator)
    weight_VH = torch.randn(num_words, 16, generator=generator)
    bias_V = torch.randn(num_words, generator=generator)
    return outputs_TBH, weight_VH, bias_V


def loss_and_gradients(loss, inputs, targets_TB, factor):
    inputs = [tensor.clone().requires_grad_() for tensor in inputs]
    value = loss(*inputs, targets_TB)
    (value * factor).backward()
    return value.detach(), [tensor.grad for tensor in inputs]


def by_pytorch(outputs_TBH, weight_VH, bias_V, targets_TB):
    logits_TBV = linear(outputs_TBH, weight_VH, bias_V)
    return cross_entropy(logits_TBV.flatten(0, 1), targets_TB.flatten())


@settings(max_examples=30)
@given(
    num_words=st.integers(3, 400),
    chunk_numbers=st.integers(1, 3000),
    factor=st.floats(0.1, 3),
    seed=st.integers(0, 9),
)
def test_loss_and_gradients_are_those_of_pytorch(num_words, chunk_numbers, factor, seed):
    inputs = tensors(num_words, seed)
    targets_TB = torch.randint(num_words, (5, 3), generator=torch.Generator().manual_seed(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lorelm.training.losses._CHUNK_NUMBERS", chunk_numbers)
        value, gradients = loss_and_gradients(output_loss, inputs, targets_TB, factor)
    expected, expected_gradients = loss_and_gradients(by_pytorch, inputs, targets_TB, factor)
    torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-5, rtol=1e-4)


def test_in_bfloat16_they_are_near() -> None:
    outputs_TBH, weight_VH, bias_V = tensors(300, 0)
    targets_TB = torch.randint(300, (5, 3))
    halves = (outputs_TBH.bfloat16(), weight_VH, bias_V)
    value, gradients = loss_and_gradients(output_loss, halves, targets_TB, 1.0)
    expected, expected_gradients = loss_and_gradients(
        by_pytorch, (outputs_TBH, weight_VH, bias_V), targets_TB, 1.0
    )
    torch.testing.assert_close(value, expected, atol=0, rtol=0.01)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        difference = (gradient.float() - expected_gradient).norm() / expected_gradient.norm()
        assert difference < 0.02
    assert gradients[1].dtype == gradients[2].dtype == torch.float32


def estimated_by_pytorch(outputs_TBH, weight_VH, bias_V, targets_TB, sample):
    """The loss with a weight for each word in the softmax: 1, the stride, or 0."""
    logits_NV = linear(outputs_TBH, weight_VH, bias_V).flatten(0, 1)
    targets_N1 = targets_TB.flatten()[:, None]
    log_weight_V = torch.full((len(bias_V),), -torch.inf)
    log_weight_V[: sample.num_frequent] = 0
    log_weight_V[sample.first :: sample.stride] = math.log(sample.stride)
    own_N1 = logits_NV.gather(1, targets_N1)
    weighted_NV = (logits_NV + log_weight_V).scatter(1, targets_N1, own_N1)
    return (weighted_NV.logsumexp(1) - own_N1[:, 0]).mean()


@settings(max_examples=30)
@given(
    num_words=st.integers(20, 400),
    num_frequent=st.integers(1, 18),
    stride=st.integers(1, 9),
    offset=st.integers(0, 8),
    factor=st.floats(0.1, 3),
    seed=st.integers(0, 9),
)
def test_a_sampled_loss_weighs_each_word_by_its_stride(
    num_words, num_frequent, stride, offset, factor, seed
):
    first = num_frequent + offset % stride
    sample = WordSample(num_frequent=num_frequent, first=first, stride=stride)
    inputs = tensors(num_words, seed)
    targets_TB = torch.randint(num_words, (5, 3), generator=torch.Generator().manual_seed(seed))
    value, gradients = loss_and_gradients(
        lambda *tensors: output_loss(*tensors, sample), inputs, targets_TB, factor
    )
    expected, expected_gradients = loss_and_gradients(
        lambda *tensors: estimated_by_pytorch(*tensors, sample), inputs, targets_TB, factor
    )
    torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-5, rtol=1e-4)


def test_the_samples_of_all_offsets_are_all_rare_words() -> None:
    torch.manual_seed(0)
    drawn = [WordSample.draw(3_000, 900) for _ in range(200)]
    num_frequent = 600
    by_first = {sample.first: range(sample.first, 3_000, sample.stride) for sample in drawn}
    assert sorted(id_ for ids in by_first.values() for id_ in ids) == [*range(num_frequent, 3_000)]
    assert all(num_frequent + len(ids) <= 900 for ids in by_first.values())


@pytest.mark.parametrize(("num_words", "sampled"), [(1_100, 900), (3_000, 0)])
def test_all_words_are_computed_where_a_sample_saves_nothing(num_words, sampled) -> None:
    assert WordSample.draw(num_words, sampled) is None
