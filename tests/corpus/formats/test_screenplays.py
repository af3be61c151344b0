import pytest
from tests.errors import raises_code

from lorelm.errors import CorpusError

FOUNTAIN = """Title: The Mill
Credit: written by
Author: Nobody

# Act one

= They meet.

INT. MILL - NIGHT

Rain. [[How much?]] ANNA waits.

ANNA
(softly)
You came *back*, then.

BEN (O.S.)
I came for the key.

/* ANNA
Cut this. */

.ON THE ROOF

@McClara
There is always another door.

CUT TO:

EXT. RIVER - DAY

ANNA ^
Then we look together.

> THE END <
"""

FDX = """<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<FinalDraft DocumentType="Script" Version="5"><Content>
<Paragraph Type="Scene Heading"><Text>INT. MILL - NIGHT</Text></Paragraph>
<Paragraph Type="Action"><Text>Rain. </Text><Text Style="Bold">Much.</Text></Paragraph>
<Paragraph Type="Character"><Text>ANNA (CONT'D)</Text></Paragraph>
<Paragraph Type="Parenthetical"><Text>(softly)</Text></Paragraph>
<Paragraph Type="Dialogue"><ScriptNote><Paragraph><Text>?</Text></Paragraph></ScriptNote>
<Text>You came back.</Text></Paragraph>
<Paragraph Type="Scene Heading"><Text>EXT. RIVER</Text></Paragraph>
<Paragraph><DualDialogue>
<Paragraph Type="Character"><Text>BEN</Text></Paragraph>
<Paragraph Type="Dialogue"><Text>Not the key.</Text></Paragraph>
</DualDialogue></Paragraph></Content>
<TitlePage><Content><Paragraph><Text>THE MILL</Text></Paragraph></Content></TitlePage>
</FinalDraft>"""


def test_a_short_screenplay_in_fountain(read) -> None:
    documents = read("a.fountain", FOUNTAIN)
    assert documents.kind == "script"
    assert documents.speakers == {"ANNA": 2, "BEN": 1, "MCCLARA": 1}
    lines = [line for text in documents.texts for line in text.split("\n")]
    assert "ANNA: (softly) You came back, then." in lines
    assert "BEN: I came for the key." in lines
    assert not any(word in "\n".join(lines) for word in ("Nobody", "Cut this", "How much", "meet"))


@pytest.mark.parametrize("name", ["a.fdx", "a.xml"])
def test_a_final_draft(read, name: str) -> None:
    documents = read(name, FDX)
    lines = "\n".join(documents.texts).split("\n")
    assert lines[:2] == ["[Rain. Much.]", "ANNA: (softly) You came back."]
    assert documents.speakers == {"ANNA": 1, "BEN": 1}


def test_a_damaged_final_draft_is_refused_with_its_line(refusal, write) -> None:
    assert "is damaged in line 4" in refusal(write("a.fdx", "\n".join(FDX.split("\n")[:4])))


def test_a_final_draft_without_paragraphs_is_refused(read) -> None:
    with raises_code(CorpusError, "corpus.no_words"):
        read("a.fdx", "<FinalDraft><Content/></FinalDraft>")
