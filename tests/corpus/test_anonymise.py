from lorelm.corpus.anonymise import anonymised
from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.readers import read_documents
from lorelm.corpus.structure import Content, Turn


def content(*turns: Turn, source: str = "chat.txt") -> Content:
    return Content(kind="chat", works=[[list(turns)]], source=source)


def texts_of(found: Content) -> list[str]:
    return [str(turn) for turn in found.works[0][0]]


def test_names_are_replaced_wherever_they_stand() -> None:
    found = anonymised(
        content(
            Turn("Hi Will, it's me, ANNA. Is Annabel there?", "Anna Miller"),
            Turn("Yes @Anna, I will ask, I will. Ms Miller's wheel, anna!", "Will"),
            source="WhatsApp Chat with Will.txt",
        )
    )
    assert texts_of(found) == [
        "PERSON A: Hi PERSON B, it's me, PERSON A. Is Annabel there?",
        "PERSON B: Yes PERSON A, I will ask, I will. Ms PERSON A's wheel, PERSON A!",
    ]
    assert found.source == "WhatsApp Chat with PERSON B.txt"


def test_addresses_numbers_and_links_are_replaced() -> None:
    found = anonymised(
        content(
            Turn("Mail a.b+c@mill.example.org or see https://mill.example/a?b=1, www.x.org"),
            Turn(
                "Call +49 (170) 123-4567, 555-123-4567 or 0170/1234567; "
                "IBAN DE89 3704 0044 0532 0130 00"
            ),
            Turn("In 1939-1945 we had 12,000 loaves at 3.14 each, 24 of them at 10:30."),
        )
    )
    assert texts_of(found) == [
        "Mail EMAIL or see LINK LINK",
        "Call NUMBER, NUMBER or NUMBER; IBAN NUMBER",
        "In 1939-1945 we had 12,000 loaves at 3.14 each, 24 of them at 10:30.",
    ]
    assert "1 e-mail address," in found.notes[0]


def test_a_speaker_who_is_a_number_gets_a_stand_in(tmp_path) -> None:
    at = "31/12/2020, 23:58 - "
    path = tmp_path / "chat.txt"
    path.write_text(f"{at}+49 170 1234567: Hello Ben\n{at}Ben: Who is +49 170 1234567?\n")
    documents = read_documents(path, ReadingOptions(anonymise=True))
    lines = "\n".join(documents.texts).split("\n")
    assert lines == ["PERSON A: Hello PERSON B", "PERSON B: Who is PERSON A?"]
    assert documents.speakers == {"PERSON A": 1, "PERSON B": 1}
    assert documents.file is not None
    again = read_documents(documents.file.paths, documents.file.options)
    assert again.fingerprint == documents.fingerprint


def test_more_people_than_letters() -> None:
    found = anonymised(content(*(Turn("hello", f"Name{chr(97 + n // 26)}{n}") for n in range(28))))
    assert [turn.speaker for turn in found.works[0][0]][25:] == [
        "PERSON Z",
        "PERSON AA",
        "PERSON AB",
    ]
