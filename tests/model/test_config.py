import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelm.errors import InputError
from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel

SIZES = {"vocabulary_size": 5, "embedding_size": 2, "hidden_size": 3, "num_layers": 2}


@pytest.mark.parametrize("field", SIZES)
@pytest.mark.parametrize("value", [0, -1, True, 4.0, "4", None, float("nan")])
def test_a_size_that_is_not_a_positive_integer_is_refused_by_name(field, value):
    with pytest.raises(InputError, match=f"^{field} is a whole number") as caught:
        ModelConfig(**SIZES | {field: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("size", [1, 2])
def test_a_vocabulary_without_a_word_is_refused(size):
    with pytest.raises(InputError, match="vocabulary_size is a whole number of at least 3"):
        ModelConfig(**SIZES | {"vocabulary_size": size})


def test_the_smallest_model_is_allowed():
    ModelConfig(vocabulary_size=3, embedding_size=1, hidden_size=1, num_layers=1)


def test_an_unknown_size_is_refused():
    with pytest.raises(TypeError, match="num_heads"):
        ModelConfig(**SIZES, num_heads=2)


def test_the_shapes_of_a_small_model_are_those_worked_by_hand():
    assert ModelConfig(**SIZES).tensor_shapes() == {
        "embedding.weight": (5, 2),
        "lstm.weight_ih_l0": (12, 2),
        "lstm.weight_hh_l0": (12, 3),
        "lstm.bias_ih_l0": (12,),
        "lstm.bias_hh_l0": (12,),
        "lstm.weight_ih_l1": (12, 3),
        "lstm.weight_hh_l1": (12, 3),
        "lstm.bias_ih_l1": (12,),
        "lstm.bias_hh_l1": (12,),
        "fc.weight": (5, 3),
        "fc.bias": (5,),
    }


def test_a_tied_model_of_two_sizes_has_a_projection_between_them():
    shapes = ModelConfig(**SIZES, tied=True).tensor_shapes()
    added = {"projection.weight": (2, 3), "projection.bias": (2,)}
    assert shapes == ModelConfig(**SIZES).tensor_shapes() | {"fc.weight": (5, 2)} | added
    assert "projection.weight" not in ModelConfig(**SIZES | {"hidden_size": 2}).tensor_shapes()


@settings(max_examples=25)
@given(
    st.builds(
        ModelConfig,
        vocabulary_size=st.integers(3, 9),
        embedding_size=st.integers(1, 9),
        hidden_size=st.integers(1, 9),
        num_layers=st.integers(1, 4),
        tied=st.booleans(),
    )
)
def test_the_shapes_are_those_of_the_real_module(config):
    state = LSTMLanguageModel(config).state_dict()
    assert {name: tuple(weight.shape) for name, weight in state.items()} == config.tensor_shapes()
