"""Network, vocabulary, loading and generation for scripts around the notebook's checkpoint.

    from model_utils import generate_text, load_model

    model, vocab, device = load_model()
    print(generate_text("frodo baggins is", model, vocab, device, temperature=0.8))

``app.py`` serves the same checkpoint, many times faster and to many people at once.
"""

import math
import warnings
from collections.abc import Iterator, Sequence

from lorelm.bundle.importing.alignment import find_special_tokens
from lorelm.bundle.importing.importer import import_model
from lorelm.corpus.tokenizer import Tokenizer, make_tokenizer
from lorelm.errors import BundleError, InputError
from model_files import find_checkpoint, find_vocabulary, no_checkpoint

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]
"""Hidden state `h_LBH` and cell state `c_LBH`."""


class LSTMLanguageModel(nn.Module):
    """Embedding, LSTM, linear layer, with the names that such checkpoints have.

    Args:
        vocab_size: V, how many words.
        emb_dim: E, numbers a word is embedded in.
        hid_dim: H, numbers of the hidden state of a layer.
        num_layers: L, LSTM layers on top of each other.
        dropout_rate: share of the values between the layers that are dropped in training.
    """

    def __init__(
        self,
        vocab_size: int,
        emb_dim: int,
        hid_dim: int,
        num_layers: int,
        dropout_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.hid_dim = hid_dim
        self.emb_dim = emb_dim
        self.embedding = nn.Embedding(vocab_size, emb_dim)
        self.lstm = nn.LSTM(
            emb_dim,
            hid_dim,
            num_layers=num_layers,
            dropout=dropout_rate if num_layers > 1 else 0.0,  # PyTorch warns of one without use
            batch_first=True,
        )
        self.dropout = nn.Dropout(dropout_rate)
        self.fc = nn.Linear(hid_dim, vocab_size)

    def init_hidden(self, batch_size: int, device: torch.device | str) -> State:
        """Return the initial state: zeros."""
        shape = (self.num_layers, batch_size, self.hid_dim)
        return torch.zeros(shape, device=device), torch.zeros(shape, device=device)

    def detach_hidden(self, hidden: State) -> State:
        """Return the state without its history, where truncated BPTT ends."""
        h_LBH, c_LBH = hidden
        return h_LBH.detach(), c_LBH.detach()

    def forward(self, src: Tensor, hidden: State) -> tuple[Tensor, State]:
        """Return the logits `[B, T, V]` of ids `[B, T]`, and the state after the last one."""
        embedded_BTE = self.dropout(self.embedding(src))
        output_BTH, hidden = self.lstm(embedded_BTE, hidden)
        return self.fc(self.dropout(output_BTH)), hidden


class Vocab:
    """Words and their indices, with the interface of torchtext's vocabularies.

    ``vocab[word]`` of an unknown word is the index of ``<unk>``.

    Args:
        tokenizer: splits text into the words of this vocabulary.
    """

    def __init__(self, itos: Sequence[str], tokenizer: Tokenizer | None = None) -> None:
        self.tokenizer = tokenizer or _CLASSIC
        self._itos = list(itos)
        self._stoi: dict[str, int] = {}
        for index, word in enumerate(self._itos):
            self._stoi.setdefault(word, index)
        self._default_index = find_special_tokens(self._itos).unk or 0

    def __len__(self) -> int:
        return len(self._itos)

    def __contains__(self, word: str) -> bool:
        return word in self._stoi

    def __iter__(self) -> Iterator[str]:
        return iter(self._itos)

    def __getitem__(self, word: str) -> int:
        return self._stoi.get(word, self._default_index)

    def get(self, word: str, default: int | None = None) -> int | None:
        return self._stoi.get(word, default)

    def get_itos(self) -> list[str]:
        return self._itos

    def get_stoi(self) -> dict[str, int]:
        return self._stoi

    def get_default_index(self) -> int:
        return self._default_index

    def set_default_index(self, index: int) -> None:
        self._default_index = index

    def lookup_indices(self, words: Sequence[str]) -> list[int]:
        return [self[word] for word in words]

    __call__ = lookup_indices
    itos, stoi = property(get_itos), property(get_stoi)  # the names in older versions of torchtext

    def lookup_token(self, index: int) -> str:
        return self._itos[index]

    def lookup_tokens(self, indices: Sequence[int]) -> list[str]:
        return [self._itos[index] for index in indices]


_CLASSIC = make_tokenizer("classic")


def tokenizer(text: str) -> list[str]:
    """Split text as the notebook does: lower-case words of letters, digits and apostrophes."""
    return _CLASSIC.tokenize(text)


def load_model() -> tuple[LSTMLanguageModel, Vocab, torch.device]:
    """Load the checkpoint in this folder, on CUDA if available.

    The sizes come from its tensors. A warning says how a vocabulary of another size was fitted.

    Raises:
        BundleError: there is no checkpoint in this folder.
        InputError: a file is damaged or unsafe, or holds no such model.
    """
    path = find_checkpoint()
    if path is None:
        raise BundleError(f"{no_checkpoint()}: put the notebook's there")
    foreign = import_model(path, find_vocabulary())
    for notice in foreign.file_notices:
        warnings.warn(notice, stacklevel=2)
    sizes = foreign.config
    model = LSTMLanguageModel(
        sizes.vocabulary_size, sizes.embedding_size, sizes.hidden_size, sizes.num_layers
    )
    model.load_state_dict({name: torch.from_numpy(w) for name, w in foreign.weights.items()})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return model.to(device).eval(), Vocab(foreign.words, foreign.tokenizer), device


@torch.no_grad()
def generate_text(
    prompt: str,
    model: nn.Module,
    vocab: Vocab,
    device: torch.device | str,
    max_len: int = 40,
    temperature: float = 0.8,
) -> str:
    """Return the words of a prompt and of its continuation, joined by spaces.

    It ends at `<eos>`, or after `max_len` words. At least one word is written, and never `<unk>`.

    Args:
        vocab: any with ``vocab[word]`` and ``vocab.get_itos()``.
        temperature: low for likely words, high for surprising ones; 0 takes the likeliest.

    Raises:
        InputError: the temperature is negative or not finite, or the prompt is empty and the
            vocabulary has no `<eos>` to begin after.
    """
    if not 0 <= temperature < math.inf:
        raise InputError(f"temperature is a number, 0 or more, not {temperature!r}")
    itos = vocab.get_itos()
    special = find_special_tokens(itos)
    never = list(special.never_written)
    ends = [] if special.eos is None else [special.eos]
    words = getattr(vocab, "tokenizer", _CLASSIC).tokenize(prompt)
    ids = [vocab[word] for word in words] or ends
    if not ids:
        raise InputError("begin with a word: this vocabulary has no <eos> to begin after")
    logits_BTV, hidden = model(torch.tensor([ids], device=device), model.init_hidden(1, device))
    for place in range(max_len):
        logits_V = logits_BTV[0, -1].float()
        logits_V[never if place else never + ends] = -torch.inf
        id_ = _pick(logits_V, temperature)
        if id_ in ends:
            break
        words.append(itos[id_])
        logits_BTV, hidden = model(torch.tensor([[id_]], device=device), hidden)
    return " ".join(words)


def _pick(logits_V: Tensor, temperature: float) -> int:
    if temperature == 0:
        return int(logits_V.argmax())
    # In 64 bits and less than the maximum: a temperature near 0 would overflow otherwise.
    below_best_V = (logits_V - logits_V.max()).double()
    return int(torch.multinomial((below_best_V / temperature).softmax(dim=0), 1))
