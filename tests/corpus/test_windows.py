import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.errors import raises_code

from lorelm.corpus.special_tokens import EOS, UNK
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary
from lorelm.corpus.windows import DocumentPermutation, TokenBatcher, encode_stream
from lorelm.errors import CorpusError

streams = st.lists(st.integers(0, 9), min_size=1, max_size=80).map(np.array)


def test_documents_stand_end_to_end_with_eos_after_each():
    vocabulary = Vocabulary([UNK, EOS, "a", "b"])
    stream = encode_stream([["a", "b"], [], ["elf", "a"]], vocabulary)
    assert stream.tolist() == [2, 3, EOS_ID, EOS_ID, UNK_ID, 2, EOS_ID]
    assert stream.dtype == np.int64


def test_no_documents_make_an_empty_stream():
    assert encode_stream([], Vocabulary([UNK, EOS, "a"])).shape == (0,)


def test_columns_are_cut_as_worked_by_hand():
    batcher = TokenBatcher(np.array([5, 6, 7, 8, 9, 4, 3]), batch_size=3)
    ((inputs_TB, targets_TB),) = batcher.windows(bptt=9)
    assert targets_TB.tolist() == [[5, 7, 9], [6, 8, 4]]
    assert inputs_TB.tolist() == [[EOS_ID, 6, 8], [5, 7, 9]]


@given(streams, st.integers(1, 12), st.integers(1, 12))
def test_windows_put_together_again_give_the_stream(stream, batch_size, bptt):
    batch_size = min(batch_size, len(stream))
    cut = list(TokenBatcher(stream, batch_size=batch_size).windows(bptt=bptt))
    targets_TB = np.concatenate([targets for _, targets in cut])
    inputs_TB = np.concatenate([inputs for inputs, _ in cut])
    used = len(stream) - len(stream) % batch_size
    assert targets_TB.T.ravel().tolist() == stream[:used].tolist()
    assert inputs_TB.T.ravel().tolist() == [EOS_ID, *stream[: used - 1].tolist()]


@given(streams, st.integers(1, 12), st.integers(1, 12))
def test_windows_have_bptt_steps_but_for_a_shorter_last_one(stream, batch_size, bptt):
    batch_size = min(batch_size, len(stream))
    lengths = [
        len(inputs_TB)
        for inputs_TB, targets_TB in TokenBatcher(stream, batch_size=batch_size).windows(bptt=bptt)
        if inputs_TB.shape == targets_TB.shape == (len(inputs_TB), batch_size)
    ]
    assert sum(lengths) == len(stream) // batch_size
    assert set(lengths[:-1]) <= {bptt}
    assert 1 <= lengths[-1] <= bptt


@given(streams, st.integers(1, 20))
def test_a_stream_too_short_is_refused_with_a_batch_size_that_works(stream, more):
    with raises_code(CorpusError, "corpus.too_few_tokens") as caught:
        TokenBatcher(stream, batch_size=len(stream) + more)
    advised = int(re.findall(r"\(--batch-size\) of (\d+)", str(caught.value))[0])
    assert TokenBatcher(stream, batch_size=advised).num_steps > 0


@given(streams, st.integers(1, 6), st.integers(1, 6), st.integers(0, 5))
def test_batches_from_a_later_window_are_those_of_a_whole_pass(stream, batch_size, bptt, first):
    batcher = TokenBatcher(stream, batch_size=min(batch_size, len(stream)))
    whole, later = list(batcher.windows(bptt=bptt)), list(batcher.windows(bptt=bptt, first=first))
    assert len(later) == max(len(whole) - first, 0)
    for (inputs_TB, targets_TB), (expected_inputs_TB, expected_TB) in zip(
        later, whole[first:], strict=True
    ):
        np.testing.assert_array_equal(inputs_TB, expected_inputs_TB)
        np.testing.assert_array_equal(targets_TB, expected_TB)


@given(streams, st.integers(1, 6), st.integers(1, 6), st.data())
def test_some_columns_are_those_of_the_whole_batch(stream, batch_size, bptt, data):
    batch_size = min(batch_size, len(stream))
    some = slice(data.draw(st.integers(0, batch_size - 1)), batch_size)
    whole = TokenBatcher(stream, batch_size=batch_size).windows(bptt=bptt)
    part = TokenBatcher(stream, batch_size=batch_size, columns=some).windows(bptt=bptt)
    for (inputs_TB, targets_TB), (whole_inputs_TB, whole_TB) in zip(part, whole, strict=True):
        np.testing.assert_array_equal(inputs_TB, whole_inputs_TB[:, some])
        np.testing.assert_array_equal(targets_TB, whole_TB[:, some])


documents = st.lists(st.lists(st.integers(2, 9), max_size=5), min_size=1, max_size=20)


@given(documents, st.integers(0, 99))
def test_shuffling_moves_whole_documents(documents, seed):
    stream = np.array([id_ for document in documents for id_ in [*document, EOS_ID]])
    permutation = DocumentPermutation(stream).shuffled(np.random.default_rng(seed))
    ((inputs_TB, targets_TB),) = TokenBatcher(
        stream, batch_size=1, permutation=permutation
    ).windows(bptt=1000)
    read = targets_TB[:, 0].tolist()
    assert inputs_TB[:, 0].tolist() == [EOS_ID, *read[:-1]]
    found, document = [], []
    for id_ in read:
        if id_ == EOS_ID:
            found.append(document)
            document = []
        else:
            document.append(id_)
    assert document == []
    assert sorted(found) == sorted(documents)


def test_another_generator_gives_another_permutation():
    stream = np.array([id_ for i in range(2, 50) for id_ in (i, EOS_ID)])
    one, again, other = (
        DocumentPermutation(stream)
        .shuffled(np.random.default_rng(seed))
        .places(np.arange(96))
        .tolist()
        for seed in (1, 1, 2)
    )
    assert one == again != other
    assert DocumentPermutation(stream).places(np.arange(96)).tolist() == list(range(96))


def test_of_very_many_documents_runs_of_neighbours_stay_together(monkeypatch):
    monkeypatch.setattr("lorelm.corpus.windows.MAX_RUNS", 4)
    monkeypatch.setattr("lorelm.corpus.windows._SCANNED_IDS", 3)
    stream = np.array([id_ for i in range(2, 12) for id_ in (i, EOS_ID)])
    permutation = DocumentPermutation(stream).shuffled(np.random.default_rng(0))
    read = stream[permutation.places(np.arange(len(stream)))][::2].reshape(-1).tolist()
    runs = {(2, 3, 4), (5, 6, 7), (8, 9, 10), (11,)}
    assert sorted(read) == list(range(2, 12))
    for run in runs:
        start = read.index(run[0])
        assert tuple(read[start : start + len(run)]) == run
    assert read != sorted(read)
