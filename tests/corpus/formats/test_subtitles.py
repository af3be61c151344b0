import pytest
from tests.errors import raises_code

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.sources import read_sources
from lorelm.errors import CorpusError

SRT = """1
00:00:01,000 --> 00:00:03,000
The mill stood empty
for eleven winters,

2
00:00:03,100 --> 00:00:05,000
and <i>nobody</i> asked.

3
00:00:05,200 --> 00:00:07,000
- Who waits?
- I do, since Tuesday.

4
00:00:20,000 --> 00:00:22,000
[wheel turning]

5
00:00:23,000 --> 00:00:25,000
ANNA: You came back.

6
00:00:25,500 --> 00:00:27,000
It is late.
"""

VTT = """WEBVTT

NOTE made by hand

1
00:00:01.000 --> 00:00:02.000 align:start
<v Anna>You came &amp; went.

00:00:02.500 --> 00:00:04.000
<v.loud Anna>Twice.</v>

00:00:04.500 --> 00:00:06.000
<v Ben>Not the key.</v>
"""

ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:04.00,0:00:05.00,Default,Ben,0,0,0,,Not\\Nthe key.
Dialogue: 0,0:00:01.00,0:00:03.00,Default,Anna,0,0,0,,{\\i1}You came back.{\\i0}
Comment: 0,0:00:01.00,0:00:03.00,Default,Anna,0,0,0,,a comment
"""


def scenes_of(path) -> list[list[str]]:
    (work,) = read_sources([str(path)], ReadingOptions()).works
    return [[str(turn) for turn in scene] for scene in work]


def test_cues_of_one_sentence_are_joined_and_a_pause_begins_a_scene(write) -> None:
    assert scenes_of(write("a.srt", SRT)) == [
        [
            "The mill stood empty for eleven winters, and nobody asked.",
            "Who waits?",
            "I do, since Tuesday.",
        ],
        ["ANNA: You came back.", "It is late."],
    ]


def test_sounds_are_left_out_and_counted(read) -> None:
    assert "1 descriptions of sounds are left out." in read("a.srt", SRT).notes


@pytest.mark.parametrize("name", ["a.vtt", "a.txt"])
def test_voices_of_webvtt(write, name: str) -> None:
    scenes = scenes_of(write(name, VTT))
    assert scenes == [["Anna: You came & went. Twice.", "Ben: Not the key."]]


def test_names_of_ass_in_the_order_of_time(write) -> None:
    assert scenes_of(write("a.ass", ASS)) == [["Anna: You came back.", "Ben: Not the key."]]


def test_subtitles_of_windows(write) -> None:
    path = write("a.srt", SRT.replace("nobody", "niño").replace("\n", "\r\n").encode("cp1252"))
    assert scenes_of(path)[0][0].endswith("and niño asked.")


@pytest.mark.parametrize("content", ["no cues at all", "1\n00:00:xx --> nothing\nhello\n"])
def test_what_are_no_subtitles_is_refused(write, refusal, content: str) -> None:
    refusal(write("a.srt", content))


def test_sounds_alone_are_refused(read) -> None:
    with raises_code(CorpusError, "corpus.no_words"):
        read("a.srt", "1\n00:00:01,000 --> 00:00:03,000\n[music]\n")
