"""Scripts are recognised by their cues, whatever their layout."""

import textwrap

import pytest

from lorelm.corpus.scripts import read_script
from lorelm.corpus.structure import Turn

TURNS = [
    Turn("Did you lock the door before we left the house this morning?", "ANNA"),
    Turn("I did.", "OLD MAN"),
    Turn("Then who is that at the window, and why is the lamp lit?", "ANNA"),
    Turn("Nobody lives here but us. Nobody has for years, as you very well know.", "OLD MAN"),
    Turn("Listen.", "ANNA"),
    Turn("It is the wind.", "OLD MAN"),
    Turn("The wind does not laugh.", "ANNA"),
]


def wrapped(text: str, width: int = 44, indent: str = "") -> str:
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent)


LAYOUTS = {
    "name and colon": "\n".join(f"{turn.speaker}: {turn.text}" for turn in TURNS),
    "wrapped": "\n".join(wrapped(f"{turn.speaker}: {turn.text}") for turn in TURNS),
    "blank lines": "\n\n".join(wrapped(f"{turn.speaker}: {turn.text}") for turn in TURNS),
    "speech below": "\n\n".join(f"{turn.speaker}:\n{wrapped(turn.text)}" for turn in TURNS),
    "screenplay": "\n\n".join(
        f"{'':24}{turn.speaker}\n{wrapped(turn.text, 40, '          ')}" for turn in TURNS
    ),
    "fountain": "\n\n".join(f"{turn.speaker}\n{turn.text}" for turn in TURNS),
    "play in print": "\n\n".join(wrapped(f"{turn.speaker}. {turn.text}") for turn in TURNS),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_turns(layout: str) -> None:
    assert read_script(LAYOUTS[layout].split("\n")) == [TURNS]


@pytest.mark.parametrize("title", ["MRS.", "MR.", "DR.", "ST.", "PROF.", "M."])
def test_a_title_before_a_name_is_part_of_it(title: str) -> None:
    said = "\n\n".join(
        f"{title} ROOK. Is this where the ferry stops?\n\nBEN. It was. {title} Rook, it was."
        for _ in range(4)
    )
    [scene] = read_script(said.split("\n")) or []
    assert [turn.speaker for turn in scene] == [f"{title} ROOK", "BEN"] * 4
    assert scene[0].text == "Is this where the ferry stops?"


def test_a_title_alone_is_a_name() -> None:
    text = "DR. I think so. Ask him.\n\nBEN. Very well.\n\n" * 4
    [scene] = read_script(text.split("\n")) or []
    assert scene[0] == Turn("I think so. Ask him.", "DR")


def test_headings_and_transitions_begin_scenes_and_are_left_out() -> None:
    half = "\n\n".join(f"{turn.speaker}\n{turn.text}" for turn in TURNS)
    text = f"INT. KITCHEN - NIGHT\n\n{half}\n\nCUT TO:\n\nEXT. GARDEN - DAY\n\n{half}\n"
    assert read_script(text.split("\n")) == [TURNS, TURNS]


def test_what_nobody_says_stands_in_brackets() -> None:
    lines = LAYOUTS["fountain"].split("\n")
    [scene] = read_script([*lines, "", "The door opens.", "Cold air comes in.", ""]) or []
    assert scene == [*TURNS, Turn("[The door opens. Cold air comes in.]")]


def test_what_is_said_of_a_cue_is_not_its_name() -> None:
    text = (
        LAYOUTS["fountain"]
        .replace("ANNA", "ANNA (V.O.)")
        .replace("OLD MAN\n", "OLD MAN (CONT'D)\n")
    )
    assert read_script(text.split("\n")) == [TURNS]


def test_verse_keeps_its_lines() -> None:
    speeches = [
        (
            "FIRST",
            "Who walks so late along the shore\nWith neither lamp nor cloak tonight?",
        ),
        (
            "SECOND",
            "A man who had a house and has no more,\nAnd goes to look for it by other light.",
        ),
    ] * 4
    text = "\n\n".join(f"{name}:\n{speech}" for name, speech in speeches)
    [scene] = read_script(text.split("\n")) or []
    assert scene == [Turn(speech, name) for name, speech in speeches]


@pytest.mark.parametrize(
    "text",
    [
        "A line of text.\n" * 30,
        "Note: this is one.\nOther things follow in the text.\n" * 3,
        "\n\n".join(f"Word{i}: a definition of it that stands alone." for i in range(40)),
        "CHAPTER ONE\n\nIt was late.\n\nCHAPTER TWO\n\nIt was later.\n",
    ],
)
def test_other_text_is_no_script(text: str) -> None:
    assert read_script(text.split("\n")) is None


def test_a_direction_within_a_speech_is_nobodys_and_the_speech_goes_on() -> None:
    lines = [
        *LAYOUTS["name and colon"].split("\n"),
        "ANNA: Wait.",
        "[She stops",
        "at the door.]",
        "Now.",
    ]
    [scene] = read_script(lines) or []
    assert scene[len(TURNS) :] == [
        Turn("Wait.", "ANNA"),
        Turn("[She stops at the door.]"),
        Turn("Now.", "ANNA"),
    ]


def test_dialogue_that_is_narrower_than_action_is_joined() -> None:
    action = "The lamp goes out and for a while nothing can be heard in the whole house but rain."
    text = "\n\n".join(
        f"{'':30}{turn.speaker}\n{wrapped(turn.text * 3, 35, ' ' * 9)}\n\n{wrapped(action, 60)}"
        for turn in TURNS
    )
    [scene] = read_script(text.split("\n")) or []
    assert [turn for turn in scene if turn.speaker] == [
        Turn(" ".join(wrapped(turn.text * 3, 35).split()), turn.speaker) for turn in TURNS
    ]


def test_brackets_within_a_direction_stay() -> None:
    lines = [*LAYOUTS["fountain"].split("\n"), "", "Anna leaves the room (slowly)", ""]
    [scene] = read_script(lines) or []
    assert scene[-1] == Turn("[Anna leaves the room (slowly)]")
