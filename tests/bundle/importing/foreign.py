"""Models as notebooks train them, and the loop that generates from them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

Saved = Callable[..., Path]
"""Write a value by torch.save, by pickle or as it is, and return the path."""

WORDS: Final = [
    *("the", "fox", "<eos>", "ran", "<unk>", "to", "<pad>", "don't"),
    *(f"w{number}" for number in range(22)),
]
"""A vocabulary as people have it, in an order of its own."""

UNK, EOS, PAD = map(WORDS.index, ("<unk>", "<eos>", "<pad>"))


class ForeignModel(nn.Module):
    """What a notebook calls LSTMLanguageModel; layers by any names."""

    def __init__(
        self,
        words: int = 30,
        embedding: int = 8,
        hidden: int = 8,
        layers: int = 2,
        *,
        tied: bool = False,
        names: tuple[str, str, str] = ("embedding", "lstm", "fc"),
        **settings: Any,
    ) -> None:
        super().__init__()
        self._names = names
        self.add_module(names[0], nn.Embedding(words, embedding))
        self.add_module(names[1], nn.LSTM(embedding, hidden, layers, batch_first=True, **settings))
        self.add_module(names[2], nn.Linear(hidden, words))
        generator = torch.Generator().manual_seed(1)
        for parameter in self.parameters():  # large matrices, so that greedy texts vary
            width = 4.0 if parameter.dim() == 2 else 0.1
            nn.init.uniform_(parameter, -width, width, generator=generator)
        if tied:
            self.get_submodule(names[2]).weight = self.get_submodule(names[0]).weight

    def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        embedding, lstm, fc = map(self.get_submodule, self._names)
        outputs, state = lstm(embedding(ids), state)
        return fc(outputs), state


@torch.no_grad()
def logits_of(model: nn.Module, ids: Sequence[int]) -> Tensor:
    """The logits after each id, from a zero state."""
    logits, _ = model(torch.tensor([list(ids)]))
    return logits[0]


@torch.no_grad()
def greedy(model: nn.Module, prompt: Sequence[int], *, max_len: int) -> list[int]:
    """What such notebooks write: the prompt from a zero state, then always the likeliest word.

    No `<eos>` is read before it; one ends the text, but not at once. `<unk>` is not taken, nor is
    `<pad>`, which a trained model holds impossible.
    """
    logits, state = model(torch.tensor([list(prompt)]))
    written: list[int] = []
    while len(written) < max_len:
        last = logits[0, -1]
        last[[UNK, PAD] if written else [UNK, PAD, EOS]] = -torch.inf
        best = int(last.argmax())
        if best == EOS:
            break
        written.append(best)
        logits, state = model(torch.tensor([[best]]), state)
    return written
