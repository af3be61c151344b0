import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, linear

from lorelm.training.losses import output_loss


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
