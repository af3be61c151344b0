"""A text that looks like a script and is not read as one: the user is told how to write cues."""

import signal
import textwrap

import pytest

from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.near_scripts import near_script_warning
from lorelm.corpus.plain_text import read_plain_text
from lorelm.corpus.readers import read_documents
from lorelm.corpus.structure import describe, warnings_of

TURNS = [
    ("Anna", "Did you lock the door before we left the house?"),
    ("Old Tom", "I did."),
    ("Anna", "Then who is that at the window, and why is the lamp lit?"),
    ("Old Tom", "Nobody lives here but us."),
    ("Anna", "Listen."),
    ("Old Tom", "It is the wind, as you very well know."),
    ("Anna", "The wind does not laugh."),
    ("Old Tom", "Some winds do."),
]
PROSE = "The wind went round the house all night, and nobody who lived there slept for long."


MARKS = ("_", "*", " ", "\t", ".", " -", "…")


def said(form: str, between: str = "\n") -> str:
    return between.join(form.format(name=name, speech=speech) for name, speech in TURNS)


def warnings(text: str, **options: str) -> list[str]:
    return list(read_plain_text(text, source="a.txt", unit=options.get("unit")).warnings)


@pytest.mark.parametrize(
    "form",
    [
        "{name} – {speech}",
        "{name} — {speech}",
        "{name}—{speech}",
        "{name} - {speech}",
        "{name} (softly) – {speech}",
        "{name}. {speech}",
        "{name}\t{speech}",
        "{name} | {speech}",
        "{name}> {speech}",
        "<{name}> {speech}",
        "[{name}] {speech}",
        "**{name}** {speech}",
        "**{name}:** {speech}",
        "- {name}: {speech}",
        "12. {name}: {speech}",
        "[00:12] {name}: {speech}",
        "2024.03.02 9:10 {name}: {speech}",
        "{name}:{speech}",
        "{name}\n{speech}",
        "{name}\n\n{speech}",
        "**{name}**\n\n{speech}",
        "### {name}\n\n{speech}",
        "> {name}: {speech}",
        "[{name}]: {speech}",
        "<{name}>: {speech}",
        "{name}- {speech}",
        "_{name}_: {speech}",
        "_{name}_. {speech}",
        "_{name}._ {speech}",
    ],
)
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_cues_in_another_form_are_shown_in_the_known_one(form: str, between: str) -> None:
    text = said(form, between)
    [warning] = warnings(text)
    assert "No speakers are recognised in a.txt, although " in warning
    assert "If Anna and Old Tom speak there, write each cue as 'Anna: Did you lock" in warning
    as_told = read_plain_text(said("{name}: {speech}", between), source="a.txt", unit=None)
    assert (as_told.kind, list(as_told.warnings)) == ("script", [])


def test_names_in_small_letters_are_shown_with_a_capital() -> None:
    text = said("{name}: {speech}").replace("Anna", "anna").replace("Old Tom", "tom")
    [warning] = warnings(text)
    assert "If anna and tom speak there, write each cue as 'Anna: Did you lock" in warning


def test_of_small_names_as_of_settings_more_are_needed() -> None:
    cues = [f"{name}: {speech}" for name, speech in TURNS]
    text = "\n\n".join([*cues, *[PROSE] * 60])
    assert len(warnings(text)) == 1
    assert warnings(text.replace("Anna:", "budget:").replace("Old Tom:", "reserve:")) == []


@pytest.mark.parametrize(
    "form", ["1. {name}: {speech}", "12 {name} – {speech}", "9:10 {name}: {speech}"]
)
def test_a_number_before_a_name_leaves_its_letters(form: str) -> None:
    text = said(form).replace("Anna", "Tina").replace("Old Tom", "Amy")
    [warning] = warnings(text)
    assert "If Tina and Amy speak there, write each cue as 'Tina: Did you lock" in warning


@pytest.mark.parametrize("when", ["2024-03-02T09:10", "9:10 am", "[9:10 p.m.]"])
def test_a_time_before_a_name_is_no_part_of_it(when: str) -> None:
    [warning] = warnings(said(f"{when} {{name}}: {{speech}}"))
    assert "If Anna and Old Tom speak there" in warning


@pytest.mark.parametrize("num_paragraphs", [1, 30])
def test_too_few_cues_are_said_to_be_too_few(num_paragraphs: int) -> None:
    cues = [f"{name}: {speech}" for name, speech in TURNS[: 5 if num_paragraphs == 1 else 8]]
    [warning] = warnings("\n\n".join([*cues, *[PROSE] * num_paragraphs]))
    assert "'Anna: Did you lock the door before we…'. A script has 6 cues or more" in warning
    assert "write each cue" not in warning


NO_SCRIPTS = {
    "prose": "\n\n".join([PROSE] * 20),
    "wrapped prose": "\n".join(textwrap.wrap(PROSE * 30, width=60)),
    "names at the ends of sentences": "The wind went round the house and woke\n"
    + "Anna. Then it went on and woke the others, and so did\nTom. Nobody slept, and so\n" * 9,
    "chapters by name": "\n\n".join([name, *[PROSE] * 9][n] for name, _ in TURNS for n in range(9)),
    "glossary": "\n".join(f"{word} – a word for it" for word in PROSE.title().split()),
    "song": "\n\n".join(f"{part}\nOh, carry me home\nAlong" for part in ["Verse", "Chorus"] * 6),
    "settings": "\n".join(f"{name} = {n}" for n in range(9) for name in ("width", "height")),
    "diary": "\n\n".join(f"{day}\n\n{PROSE}" for day in ["Monday", "Tuesday"] * 6),
    "a changelog": "\n\n".join(["### Added\n\n- a lamp\n- a door", "### Fixed\n\n- the lock"] * 6),
    "letters": "\n\n".join([f"Dear Anna,\n{PROSE}\nYours,\nBen"] * 9),
    "script": said("{name}: {speech}"),
}


@pytest.mark.parametrize("name", NO_SCRIPTS)
def test_other_texts_have_no_warning(name: str) -> None:
    assert warnings(NO_SCRIPTS[name]) == []


def test_long_lines_of_numbers_and_spaces_are_read_quickly() -> None:
    assert warnings("\n".join(["1 2 3 " * 5000, "Anna" + " " * 30_000, "1" + " " * 30_000])) == []


def _give_up(*_: object) -> None:
    raise AssertionError("the patterns take far too long")


def test_many_lines_of_marks_take_no_quadratic_time() -> None:
    """It takes half a second, and over ten where patterns give back what they have matched."""
    rows = [f"{start}{mark * 190}" for start in ("Anna", "Anna:", "1") for mark in MARKS]
    lines = [*rows, *[f"{row[:190]}!" for row in rows]] * (20_000 // (2 * len(rows)))
    previous = signal.signal(signal.SIGVTALRM, _give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, 10)  # of processor time
    try:
        assert near_script_warning(lines, "a.txt") is None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


@pytest.mark.parametrize("unit", ["line", "paragraph", "text"])
def test_who_says_what_a_document_is_is_not_warned(unit: str) -> None:
    text = said("{name} – {speech}")
    assert warnings(text, unit=unit) == []
    assert len(warnings(text, unit="scene")) == 1


def read(path) -> Documents:
    return read_documents(path, ReadingOptions())


def test_the_command_line_and_the_studio_show_it(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(said("{name} – {speech}"), encoding="utf-8")
    documents = read(path)
    [warning] = documents.warnings
    assert warning in warnings_of(documents)
    assert warning in describe(documents)


def test_of_many_files_the_first_is_shown(tmp_path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text(said("{name} – {speech}"), encoding="utf-8")
    first, others = read(tmp_path).warnings
    assert "in a.txt" in first
    assert others == "The same holds for 2 other files."
