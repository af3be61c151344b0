"""Mailboxes (mbox): what people wrote, without what they quoted and their signatures."""

import email
import email.policy
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.text import check_no_columns
from lorelm.corpus.structure import Content, Turn
from lorelm.errors import CorpusError, LoreLMError

_SEPARATOR: Final = re.compile(rb"^From \S.*\d{4}\s*\r?\n(?=[\w-]+:)", re.M)
_REPLY: Final = re.compile(r"^(?:(?:re|fwd?|aw|wg|sv|tr|rv|antw)(?:\[\d+\])?:\s*)+", re.I)
_SIGNATURE: Final = re.compile(r"^-- ?$", re.M)
_QUOTED_BELOW: Final = re.compile(
    r"^(?:-{2,}\s*(?:Original|Ursprüngliche|Forwarded|Weitergeleitete|Mensaje|Message|Messaggio)"
    r".*-{2,}|_{20,}|(?:From|Von|De|Da|Van): .+\n(?:Sent|Gesendet|Date|Datum|Envoyé|Enviado"
    r"|Inviato|Verzonden): .*)$",
    re.M | re.I,
)
_ATTRIBUTION: Final = re.compile(
    r"^(?:On|Am|Le|El|Il|Op|Em)\s[^\n]{5,200}(?:\n(?!>)[^\n]{1,100})?:[ \t]*\n+(?=>)", re.M
)
_QUOTE: Final = re.compile(r"^>.*\n?", re.M)


# What the standard library raises where a message breaks its rules. A SyntaxError comes from the
# codec of the package future-typing, which answers to any name of a charset.
_MALFORMED: Final = (LookupError, ValueError, AttributeError, TypeError, SyntaxError)


def is_mailbox(content: bytes) -> bool:
    """Return whether a file begins as a mailbox does."""
    return _SEPARATOR.match(content) is not None


def read(path: Path, content: bytes, options: ReadingOptions) -> Content:
    """Read the messages of a mailbox; a thread is a scene, and a message a turn.

    Raises:
        CorpusError: no message holds a text.
    """
    check_no_columns(path, options)
    threads: dict[str, list[tuple[datetime, Turn]]] = {}
    num_messages = 0
    for message in _messages(content):
        num_messages += 1
        text = own_words(_body(path, message))
        if any(map(str.isalnum, text)):
            subject = _REPLY.sub("", _header(message, "Subject"))
            threads.setdefault(subject, []).append((_time(message), Turn(text, _sender(message))))
    if not threads:
        raise CorpusError(
            f"{path} holds no message with a text of its own among {num_messages:,}: is it the "
            "right file?",
            code="corpus.no_words",
        )
    for thread in threads.values():
        thread.sort(key=lambda timed: timed[0])
    scenes = sorted(threads.values(), key=lambda thread: thread[0][0])
    notes = ["Quoted replies, signatures and attachments of the messages are left out."]
    num_left = num_messages - sum(map(len, scenes))
    if num_left:
        notes.append(f"{num_left:,} messages without words of their own are left out.")
    works = [[[turn for _, turn in thread] for thread in scenes]]
    return Content(kind="chat", works=works, source=path.name, notes=notes)


def own_words(text: str) -> str:
    """Return what the sender wrote: no quoted message, no signature."""
    text = text.replace("\r\n", "\n")
    for ending in (_QUOTED_BELOW, _SIGNATURE):
        text = ending.split(text, maxsplit=1)[0]
    text = _QUOTE.sub("", _ATTRIBUTION.sub("", text))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _messages(content: bytes) -> Iterator[EmailMessage]:
    for raw in _SEPARATOR.split(content)[1:]:
        # Lines of a text that begin with "From " are stored behind ">".
        unescaped = re.sub(rb"^>(>*From )", rb"\1", raw, flags=re.M)
        yield email.message_from_bytes(unescaped, policy=email.policy.default)


def _body(path: Path, message: EmailMessage) -> str:
    """Return the text of a message, of its HTML if it has no plain one; "" if it has none."""
    try:
        part = message.get_body(("plain", "html"))
        text = part.get_content() if part is not None else ""
    except _MALFORMED:
        return ""  # an unknown charset, or parts that are not what they say
    if not isinstance(text, str):
        return ""
    if part is not None and part.get_content_subtype() == "html":
        return _html_text(path, text)
    return _flowed(text)


def _html_text(path: Path, text: str) -> str:
    from lorelm.corpus.formats.html import paragraphs_of
    from lorelm.corpus.formats.xml import parse_html

    text = re.sub(r"<blockquote\b.*</blockquote>", "", text, flags=re.S | re.I)
    try:
        return "\n".join(paragraphs_of(parse_html(path, text)))
    except LoreLMError:
        return ""


def _flowed(text: str) -> str:
    """Join lines that end in a space, as of ``format=flowed`` (RFC 3676)."""
    return re.sub(r"(?<!^--)(?<=\S) \r?\n(?![>\s])", " ", text, flags=re.M)


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except _MALFORMED:
        return ""  # a header that the standard library cannot parse


def _sender(message: EmailMessage) -> str:
    name, bracket, address = _header(message, "From").partition("<")
    name = name.strip(" \"'")
    return (name or address.strip("> ")).replace(":", " ") if bracket or name else ""


def _time(message: EmailMessage) -> datetime:
    try:
        found = parsedate_to_datetime(_header(message, "Date"))
    except (ValueError, TypeError, IndexError):
        return datetime(1970, 1, 1, tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
