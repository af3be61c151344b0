from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from tests.errors import raises_code

from lorelm.corpus import encoding, id_store, preparation, splits, text_files
from lorelm.corpus.documents import CorpusParts, Documents, fingerprint_of
from lorelm.corpus.id_store import IdStore
from lorelm.corpus.preparation import Corpus, prepare_corpus, split_test_part
from lorelm.corpus.readers import read_documents
from lorelm.corpus.special_tokens import EOS, UNK
from lorelm.corpus.splits import words_of
from lorelm.corpus.text_files import TextFile
from lorelm.corpus.tokenizer import TOKENIZER_STYLES, make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary, VocabularyRules
from lorelm.corpus.windows import TokenBatcher
from lorelm.errors import CorpusError

# Every fourth line has the words of the line before it; line 5 has none.
LINES = [
    form.format(n % 211, n % 89 % 13, n * n % 97)
    for n in range(900)
    for form in (
        "The fox{0} sat, by the mill{1} of oak{2}!",
        "--",
        "“Who's there?” said owl{2}\tto <unk> fox{0}.",
        "who's THERE... said owl{2} to unk (fox{0})",
    )
]


ODD = "ΟΔΟΣ\u2003ΑΣ. <unk>x ￭ a\x1fb İ 'tis –– नमस्ते"
MANY_LINES = "Speak,\r\n friend  \n\n and<br />enter. <br /> \r It's\tdone\n"


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "LARGE_FILE_BYTES", 100)
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 1_000)
    monkeypatch.setattr(encoding, "FLUSHED_IDS", 500)
    monkeypatch.setattr(encoding, "MAX_CACHED", 50)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tales.txt"
    path.write_text("\n".join(LINES), encoding="utf-8")
    return path


def prepare(
    path: Path,
    *,
    style: str = "words",
    min_frequency: int = 2,
    store: Path | None = None,
    is_main_process: bool = True,
    **parts: Documents,
) -> Corpus:
    return prepare_corpus(
        CorpusParts(documents=read_documents(path), **parts),
        tokenizer=make_tokenizer(style),
        vocabulary=VocabularyRules(min_frequency=min_frequency),
        split_seed=0,
        store=None if store is None else IdStore(folder=store, is_main_process=is_main_process),
    )


@pytest.mark.parametrize("style", ["words", "classic"])
def test_the_stream_decodes_to_the_tokens_of_each_document(path: Path, style: str) -> None:
    corpus = prepare(path, style=style, store=path.parent / "store")
    known = set(corpus.vocabulary.words)
    for part in (corpus.train, corpus.valid, corpus.test):
        expected = [
            token if token in known else UNK
            for tokens in part.documents
            for token in (*tokens, EOS)
        ]
        assert corpus.vocabulary.decode(part.stream) == expected
        assert part.num_documents == expected.count(EOS) > 0
    assert isinstance(corpus.train.stream, np.memmap)
    assert corpus.fingerprint == fingerprint_of(read_documents(path).texts)


@pytest.mark.parametrize("style", ["words", "classic"])
def test_the_vocabulary_is_that_of_the_training_part(path: Path, style: str) -> None:
    corpus = prepare(path, style=style)
    counts = Counter(chain.from_iterable(corpus.train.documents))
    assert corpus.vocabulary == Vocabulary.from_counts(counts, VocabularyRules(min_frequency=2))


def test_the_vocabulary_holds_the_most_frequent_words(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepare(path)
    monkeypatch.setattr(encoding, "MAX_WORDS", 20)
    capped = prepare(path)
    assert capped.vocabulary.words == whole.vocabulary.words[:22]
    assert "The vocabulary is the 20 most frequent words." in capped.notes


def test_memory_is_bounded_by_forgetting_rare_words(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "MAX_COUNTED", 150)
    whole_corpus = prepare(path, min_frequency=1)
    frequent = Counter(chain.from_iterable(whole_corpus.train.documents)).most_common(8)
    assert set(whole_corpus.vocabulary.words) >= {word for word, _ in frequent} - {UNK}
    assert any("were forgotten" in note for note in whole_corpus.notes)


@pytest.mark.parametrize("limit", [10_000, 40])
def test_no_document_has_its_words_in_two_parts(
    path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(splits, "HELD_OUT_LIMIT", limit)
    corpus = prepare(path, style="words")
    train, valid, test = (
        {words_of(corpus.tokenizer.detokenize(tokens)) for tokens in part.documents}
        for part in (corpus.train, corpus.valid, corpus.test)
    )
    assert not train & valid
    assert not train & test
    assert not valid & test
    assert corpus.test.num_documents <= limit


def test_every_tokenizer_has_the_same_test_part(path: Path) -> None:
    texts = split_test_part(read_documents(path), split_seed=0).texts
    for style in ("words", "classic"):
        tokenizer = make_tokenizer(style)
        assert prepare(path, style=style).test.documents == [tokenizer.tokenize(t) for t in texts]


def test_chunks_have_the_tokens_and_words_of_the_text() -> None:
    for style in TOKENIZER_STYLES:
        tokenizer = make_tokenizer(style)
        for text in (
            *LINES[:40],
            "ΟΔΟΣ\u2003ΑΣ. <unk>x ￭ a\x1fb İ 'tis –– नमस्ते",
            "a\x0bb\x85c",
            MANY_LINES,
        ):
            chunks = tokenizer.chunks(text)
            cut = [token for chunk in chunks for token in tokenizer.tokenize(chunk)]
            assert cut == tokenizer.tokenize(text)
            assert " ".join(filter(None, map(words_of, chunks))) == words_of(text)


def test_windows_read_a_mapped_stream(path: Path) -> None:
    stream = prepare(path, store=path.parent / "store").train.stream
    inputs_TB, targets_TB = next(TokenBatcher(stream, batch_size=4).windows(bptt=8))
    assert inputs_TB.dtype == targets_TB.dtype == np.int64
    assert targets_TB[:, 0].tolist() == stream[:8].tolist()


def test_given_parts_are_taken_as_they_are(path: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out.txt"
    held_out.write_text("The fox1 sat.\nAn owl.\n")
    valid = test = read_documents(held_out)
    corpus = prepare(path, valid=valid, test=test)
    assert corpus.train.num_documents == sum(line != "--" for line in LINES)
    assert corpus.valid.num_documents == corpus.test.num_documents == 2
    texts = [*read_documents(path).texts, *valid.texts, *test.texts]
    assert corpus.fingerprint == fingerprint_of(texts)


@pytest.mark.parametrize("name", ["valid", "test"])
def test_a_part_that_is_not_given_is_split_off(path: Path, tmp_path: Path, name: str) -> None:
    given = tmp_path / "held-out.txt"
    given.write_text("The fox1 sat.\nAn owl.\n" * 30)
    whole, corpus = prepare(path), prepare(path, **{name: read_documents(given)})
    other = {"valid": "test", "test": "valid"}[name]
    assert getattr(corpus, other).documents == getattr(whole, other).documents
    assert getattr(corpus, name).num_documents == 60
    assert corpus.train.num_documents == whole.train.num_documents + (
        getattr(whole, name).num_documents
    )


def test_stored_ids_are_used_again(path: Path) -> None:
    store = path.parent / "store"
    first = prepare(path, store=store)
    names = sorted(file.name for file in store.iterdir())
    assert [name.split(".")[2:] for name in names] == [["words", "bin"], ["words", "json"]]
    again = prepare(path, store=store, is_main_process=False)
    assert again.train.stream.tolist() == first.train.stream.tolist()
    assert again.test.documents == first.test.documents
    assert (again.vocabulary, again.fingerprint) == (first.vocabulary, first.fingerprint)


@pytest.mark.parametrize("damage", ["cut", "no record", "half a record", "other settings"])
def test_a_store_that_is_not_whole_is_not_used(path: Path, damage: str) -> None:
    store = path.parent / "store"
    whole = prepare(path, store=store).train.stream.tolist()
    ids, record = sorted(store.iterdir())
    if damage == "cut":
        ids.write_bytes(ids.read_bytes()[:-4])
    elif damage == "no record":
        record.unlink()
        ids.write_bytes(b"\0" * 400)
    elif damage == "half a record":
        record.write_bytes(record.read_bytes()[:100])
    else:
        prepare(path, store=store, min_frequency=99)
    assert prepare(path, store=store).train.stream.tolist() == whole
    assert len(list(store.iterdir())) == 2


def test_a_reader_of_ids_that_another_process_should_have_written_writes_none(path: Path) -> None:
    store = path.parent / "store"
    with raises_code(CorpusError, "corpus.ids_missing"):
        prepare(path, store=store, is_main_process=False)
    assert not store.exists()
    whole = prepare(path, store=store).train.stream.tolist()
    assert prepare(path, store=store, is_main_process=False).train.stream.tolist() == whole


@pytest.mark.parametrize("num_renames", [0, 1])
def test_after_a_kill_ids_are_never_taken_with_the_record_of_others(
    path: Path, monkeypatch: pytest.MonkeyPatch, num_renames: int
) -> None:
    """Killed before, or between, the two renames that put other ids in place."""
    store = path.parent / "store"
    whole = prepare(path, store=store).train.stream.tolist()
    renamed = []

    def rename(source: Path, target: Path) -> None:
        if len(renamed) == num_renames:
            raise KeyboardInterrupt
        renamed.append(target)
        source.replace(target)

    with monkeypatch.context() as patch:
        patch.setattr(id_store, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            prepare(path, store=store, min_frequency=99)
    assert prepare(path, store=store).train.stream.tolist() == whole


def test_documents_at_a_place(path: Path) -> None:
    documents = prepare(path).train.documents
    whole = list(documents)
    assert [documents[0], documents[7], documents[-1]] == [whole[0], whole[7], whole[-1]]
    assert documents[5:9] == whole[5:9]
    assert documents[9:5:-2] == whole[9:5:-2]
    for beyond in (len(documents), -len(documents) - 1):
        with pytest.raises(IndexError):
            documents[beyond]


def test_documents_of_a_file_that_has_become_shorter_end_with_an_index_error(path: Path) -> None:
    documents = prepare(path).train.documents
    path.write_text("\n".join(LINES[:40]), encoding="utf-8")
    with pytest.raises(IndexError):
        documents[len(documents) - 1]


def test_a_changed_file_has_other_ids(path: Path) -> None:
    store = path.parent / "store"
    prepare(path, store=store)
    path.write_text("\n".join(LINES[::-1]), encoding="utf-8")
    assert prepare(path, store=store).fingerprint == fingerprint_of(TextFile(path))


def test_a_corpus_without_a_word_for_the_tokenizer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tales.txt"
    path.write_text("Привет, мир\n" * 50, encoding="utf-8")
    with raises_code(CorpusError, "corpus.no_words"):
        prepare(path, style="classic", store=tmp_path / "store")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("is_split", [True, False])
def test_progress_is_reported_in_shares_of_the_corpus(
    path: Path, monkeypatch: pytest.MonkeyPatch, is_split: bool
) -> None:
    monkeypatch.setattr(encoding, "DOCUMENTS_PER_REPORT", 500)
    shares: list[float] = []
    parts = {} if is_split else {"valid": read_documents(path), "test": read_documents(path)}
    prepare_corpus(
        CorpusParts(documents=read_documents(path), **parts),
        tokenizer=make_tokenizer("words"),
        vocabulary=VocabularyRules(min_frequency=2),
        split_seed=0,
        store=IdStore(folder=path.parent / "store", on_progress=shares.append),
    )
    num_documents = sum(line != "--" for line in LINES)
    assert shares == pytest.approx([n / num_documents for n in range(500, 2700, 500)], rel=0.05)


def test_a_note_says_that_there_are_too_many_tokens_to_count(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prepare(path).is_countable
    monkeypatch.setattr(preparation, "MAX_COUNTED_TOKENS", 100)
    corpus = prepare(path)
    assert not corpus.is_countable
    assert any("no n-gram model" in note for note in corpus.notes)
