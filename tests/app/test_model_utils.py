"""What scripts of courses import."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.app.conftest import NewFolder
from tests.bundle.importing.foreign import WORDS

from lorelm.errors import InputError

pytestmark = pytest.mark.system


@pytest.fixture
def loaded(folder: Path, model_utils: Any) -> Any:
    return model_utils.load_model()


def test_the_vocabulary_has_the_interface_of_torchtext(loaded: Any) -> None:
    _, vocab, _ = loaded
    assert len(vocab) == len(WORDS)
    assert [vocab[word] for word in WORDS] == list(range(len(WORDS)))
    assert vocab["a dragon"] == WORDS.index("<unk>")
    assert vocab(["fox", "dragon"]) == [1, WORDS.index("<unk>")]
    assert vocab.get_itos() == WORDS
    assert vocab.get_stoi()["fox"] == 1
    assert (vocab.itos, vocab.stoi) == (vocab.get_itos(), vocab.get_stoi())
    assert (vocab.get("fox", 0), vocab.get("dragon", 0), vocab.get("dragon")) == (1, 0, None)
    assert vocab.lookup_tokens([1, 0]) == ["fox", "the"]
    assert vocab.get_default_index() == WORDS.index("<unk>")
    assert "fox" in vocab
    assert "dragon" not in vocab


def test_text_is_split_as_in_the_notebook(model_utils: Any) -> None:
    assert model_utils.tokenizer("Don't GO, Mr. Frodo--") == ["don't", "go", "mr", "frodo"]


def test_the_loop_of_the_course_runs(loaded: Any, model_utils: Any) -> None:
    model, vocab, device = loaded
    torch.manual_seed(1)
    indices = [vocab[token] for token in model_utils.tokenizer("the fox")]
    hidden = model.init_hidden(1, device)
    with torch.no_grad():
        for _ in range(5):
            src = torch.LongTensor([indices]).to(device)
            prediction, hidden = model(src, hidden)
            probs = torch.softmax(prediction[:, -1] / 0.8, dim=-1)
            indices.append(int(torch.multinomial(probs, num_samples=1)))
    itos = vocab.get_itos()
    assert [itos[i] for i in indices][:2] == ["the", "fox"]


def test_a_model_is_trained_and_saved_as_in_the_notebook(
    new_folder: NewFolder, model_utils: Any
) -> None:
    folder = Path(model_utils.__file__).parent
    model = model_utils.LSTMLanguageModel(30, 12, 16, 2, 0.65)
    hidden = model.detach_hidden(model.init_hidden(4, "cpu"))
    prediction, _ = model(torch.randint(30, (4, 7)), hidden)
    assert prediction.shape == (4, 7, 30)
    prediction.sum().backward()
    torch.save(model.state_dict(), folder / "lotr_lstm_lm.pt")
    again, _, device = model_utils.load_model()
    model.eval()
    hidden = model.init_hidden(1, "cpu")
    src = torch.arange(30)[None]
    with torch.no_grad():
        expected, _ = model(src, hidden)
        logits, _ = again(src.to(device), again.init_hidden(1, device))
    torch.testing.assert_close(logits.cpu(), expected)


def test_a_text_holds_the_prompt_and_no_special_tokens(loaded: Any, model_utils: Any) -> None:
    torch.manual_seed(2)
    for _ in range(30):
        text = model_utils.generate_text("The fox", *loaded, max_len=30, temperature=5)
        words = text.split()
        assert words[:2] == ["the", "fox"]
        assert 3 <= len(words) <= 32
        assert not {"<unk>", "<eos>", "<pad>"} & set(words)


def test_a_seed_gives_the_same_text_again(loaded: Any, model_utils: Any) -> None:
    texts = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        texts.append(model_utils.generate_text("the", *loaded, temperature=3))
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("temperature", [1e-320, 1e-40, 1e-5])
def test_a_temperature_near_zero_takes_the_likeliest(
    temperature: float, loaded: Any, model_utils: Any
) -> None:
    greedy = model_utils.generate_text("the", *loaded, max_len=9, temperature=0)
    assert model_utils.generate_text("the", *loaded, max_len=9, temperature=temperature) == greedy


def test_an_empty_prompt_begins_a_document(loaded: Any, model_utils: Any) -> None:
    assert model_utils.generate_text("", *loaded, max_len=4).split()


def test_invalid_arguments_are_refused(model_utils: Any, loaded: Any) -> None:
    for temperature in (-1, float("inf"), float("nan")):
        with pytest.raises(InputError, match="temperature is a number, 0 or more"):
            model_utils.generate_text("the", *loaded, temperature=temperature)
    model, _, device = loaded
    with pytest.raises(InputError, match="begin with a word"):
        model_utils.generate_text("", model, model_utils.Vocab(["a", "b"]), device)


def test_a_vocabulary_of_another_size_gives_one_warning(new_folder: NewFolder) -> None:
    folder = new_folder("lotr-lstm_lm.pt", words=WORDS[:10])
    code = (
        "from model_utils import generate_text, load_model\n"
        "model, vocab, device = load_model()\n"
        "print(len(vocab), vocab.get_itos()[12])\n"
        "print(generate_text('the fox', model, vocab, device, temperature=9))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    first, text = ended.stdout.splitlines()
    assert first == "30 <extra_12>"
    assert "<extra_" not in text
    assert ended.stderr.count("The vocabulary has 10 words and the model 30") == 1


def test_without_a_checkpoint_the_error_names_the_files(
    new_folder: NewFolder, model_utils: Any
) -> None:
    folder = Path(model_utils.__file__).parent
    for file in folder.glob("*.pt"):
        file.unlink()
    with pytest.raises(InputError, match=r"lotr-lstm_lm\.pt or best-val-lstm_lm\.pt"):
        model_utils.load_model()
