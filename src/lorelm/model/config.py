"""The sizes of a model and the shapes of its tensors."""

from dataclasses import dataclass, fields

from lorelm.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The sizes of a model, which determine the shape of each tensor.

    Attributes:
        tied: whether one matrix is both the embedding and the output layer. If the hidden state is
            of another size, a layer projects it to the size of the embedding.

    Raises:
        InputError: a size is below 1, or the vocabulary has no word.
    """

    vocabulary_size: int
    embedding_size: int
    hidden_size: int
    num_layers: int
    tied: bool = False

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.name != "tied"):
            value = getattr(self, name)
            min_value = 3 if name == "vocabulary_size" else 1
            if type(value) is not int or value < min_value:
                raise InputError(f"{name} is a whole number of at least {min_value}, not {value!r}")

    @property
    def output_size(self) -> int:
        """The width of the output layer's input."""
        return self.embedding_size if self.tied else self.hidden_size

    @property
    def is_projected(self) -> bool:
        """Whether a layer projects the hidden state to the size of the output layer's input."""
        return self.output_size != self.hidden_size

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight by its name, gates in PyTorch's order (i, f, g, o).

        In a tied model, `fc.weight` is the same tensor as `embedding.weight`.
        """
        gates = 4 * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "embedding.weight": (self.vocabulary_size, self.embedding_size),
            "fc.weight": (self.vocabulary_size, self.output_size),
            "fc.bias": (self.vocabulary_size,),
        }
        if self.is_projected:
            shapes |= {
                "projection.weight": (self.output_size, self.hidden_size),
                "projection.bias": (self.output_size,),
            }
        for layer in range(self.num_layers):
            input_size = self.embedding_size if layer == 0 else self.hidden_size
            shapes |= {
                f"lstm.weight_ih_l{layer}": (gates, input_size),
                f"lstm.weight_hh_l{layer}": (gates, self.hidden_size),
                f"lstm.bias_ih_l{layer}": (gates,),
                f"lstm.bias_hh_l{layer}": (gates,),
            }
        return shapes
