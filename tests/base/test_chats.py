"""Chats for the base model: what is left of the package's conversations."""

import pytest
from tests.errors import raises_code

import chats
from lorelm.errors import CorpusError

ORDINARY = frozenset({"how", "are", "you", "hi", "i", "am", "fine", "is", "here"})


def conversation(*texts: str) -> dict[str, object]:
    return {"messages": [[{"text": text, "sender": "a"}] for text in texts]}


def test_a_message_with_an_address_a_long_number_or_abuse_is_left_out() -> None:
    kept = ["How are you?"] * 8
    left_out = ["see www.example.org", "me@example.org", "call 5551234", "oh SHIT", "?", "aaa", " "]
    chat = chats.filtered({"one": conversation(*kept, *left_out)}, ORDINARY)
    assert chat == {"chat one": kept}


def test_a_short_conversation_is_left_out() -> None:
    assert chats.filtered({"one": conversation(*["How are you?"] * 7)}, ORDINARY) == {}


def test_a_name_in_few_conversations_is_unknown() -> None:
    conversations = {
        str(number): conversation(*["Hi, I am here"] * 7, "Utah’s  Utah\nfine")
        for number in range(20)
    }
    conversations["last"] = conversation(*["Hi"] * 7, "Utah is here, Zoe is here, I am Zoe")
    found = chats.filtered(conversations, ORDINARY)
    assert found["chat 0"][-1] == "Utah's Utah fine"
    assert found["chat last"][-1] == "Utah is here, <unk> is here, I am <unk>"


@pytest.mark.slow
@pytest.mark.system
def test_the_package_has_conversations() -> None:
    found = chats.read_chats(ORDINARY)
    assert len(found) > 2000
    assert all(len(messages) >= 8 for messages in found.values())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chats, "PACKAGE", "no-such-package-of-chats")
    with raises_code(CorpusError, "corpus.no_chats"):
        chats.read_chats(ORDINARY)
