import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.corpus.tokenizer import EOS, UNK
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary
from lorelm.corpus.windows import columns, encode_stream, windows
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
    inputs_TB, targets_TB = columns(np.array([5, 6, 7, 8, 9, 4, 3]), batch_size=3)
    assert targets_TB.tolist() == [[5, 7, 9], [6, 8, 4]]
    assert inputs_TB.tolist() == [[EOS_ID, 6, 8], [5, 7, 9]]


@given(streams, st.integers(1, 12), st.integers(1, 12))
def test_windows_put_together_again_give_the_stream(stream, batch_size, bptt):
    batch_size = min(batch_size, len(stream))
    cut = list(windows(*columns(stream, batch_size=batch_size), bptt=bptt))
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
        for inputs_TB, targets_TB in windows(*columns(stream, batch_size=batch_size), bptt=bptt)
        if inputs_TB.shape == targets_TB.shape == (len(inputs_TB), batch_size)
    ]
    assert sum(lengths) == len(stream) // batch_size
    assert set(lengths[:-1]) <= {bptt}
    assert 1 <= lengths[-1] <= bptt


@given(streams, st.integers(1, 20))
def test_a_stream_too_short_is_refused_with_a_batch_size_that_works(stream, more):
    with pytest.raises(CorpusError, match="--batch-size") as caught:
        columns(stream, batch_size=len(stream) + more)
    advised = int(re.findall(r"--batch-size (\d+)", str(caught.value))[0])
    inputs_TB, _ = columns(stream, batch_size=advised)
    assert inputs_TB.size > 0
