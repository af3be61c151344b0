import mailbox
from email.message import EmailMessage
from pathlib import Path

from tests.errors import raises_code

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.mail import own_words
from lorelm.corpus.formats.sources import read_sources
from lorelm.errors import CorpusError


def message(sender: str, subject: str, day: int, text: str, **more: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = sender
    mail["Subject"] = subject
    mail["Date"] = f"{day:02} Jan 2023 12:00:00 +0100"
    if text:
        mail.set_content(text)
    if "html" in more:
        mail.set_content(more["html"], subtype="html")
    return mail


def test_threads_are_scenes_and_quotes_are_left_out(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "mail.mbox")
    box.add(message("Ben <ben@mill.example>", "The wheel", 2, "It turned.\n\nBen\n\n-- \nBen M\n"))
    box.add(message("Clara <c@mill.example>", "Bread", 3, "", html="<p>Two <b>loaves</b></p>"))
    reply = (
        "Did it?\n\nAm 02.01.2023 um 12:00 schrieb Ben:\n> It turned.\n> Ben\n\nFrom now on, yes.\n"
    )
    box.add(message('"Miller, Anna" <anna@mill.example>', "Re: The wheel", 4, reply))
    box.add(message("Anna <anna@mill.example>", "Photo", 5, "> all quoted\n"))
    box.close()
    content = read_sources([str(tmp_path / "mail.mbox")], ReadingOptions())
    (work,) = content.works
    assert [[str(turn) for turn in scene] for scene in work] == [
        ["Ben: It turned.\n\nBen", "Miller, Anna: Did it?\n\nFrom now on, yes."],
        ["Clara: Two loaves"],
    ]
    assert "1 messages without words of their own are left out." in content.notes


def test_what_was_forwarded_or_quoted_below_is_left_out() -> None:
    assert own_words("Yes.\n\n-----Original Message-----\nFrom: x\nNo.") == "Yes."
    assert own_words("Yes.\n\nFrom: Ben\nSent: Monday\nNo.") == "Yes."
    assert own_words("Yes.\r\nOn Monday, Ben\r\n<b@c.d> wrote:\r\n> No.\r\n") == "Yes."


def test_a_mailbox_without_words_is_refused(read) -> None:
    with raises_code(CorpusError, "corpus.no_words"):
        read("a.mbox", "From a Mon Jan  2 12:00:00 2023\nSubject: x\n\n> quoted\n")


def test_a_hostile_mailbox_is_read(read) -> None:
    text = (
        "From a Mon Jan  2 12:00:00 2023\nFrom: =?x?q?=FF?= <\nDate: never\n"
        "Content-Type: text/plain; charset=nothing\nSubject: =?utf-8?b?!!?=\n\nwords\n"
        "From a Mon Jan  2 12:00:00 2023\nContent-Type: multipart/mixed; boundary=b\n\nno parts\n"
        "From a Mon Jan  2 12:00:00 2023\nFrom: Ben <b@c>\n\nHello you\n"
    )
    assert "Hello you" in "\n".join(read("a.mbox", text).texts)
