"""Chats in JSON: exports of Telegram, Discord and Signal, and conversations with assistants."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from lorelm.corpus.formats.chats import Message, chat_content, parse_time
from lorelm.corpus.structure import Content

Json = Any

DISCORD_COLUMNS: Final = frozenset(("AuthorID", "Author", "Date", "Content"))
"""Of a table by DiscordChatExporter."""

_ROLES: Final = ("role", "from", "sender", "speaker", "author", "name", "sender_name")
_TEXTS: Final = ("content", "value", "text", "body", "message")
_TIMES: Final = ("timestamp_ms", "timestamp", "date", "time", "create_time", "created_at")
_LISTS: Final = ("messages", "conversations", "conversation", "turns", "dialogue", "dialog")


def read_chat(path: Path, data: Json) -> Content | None:
    """Return the turns of a chat; None if the data are none."""
    for chats_of in (
        _telegram,
        _discord,
        _signal_backup,
        _signal_desktop,
        _chatgpt,
        _conversations,
    ):
        chats = chats_of(data)
        if chats is not None:
            break
    else:
        return None
    kept = [[message for message in chat if message.speaker and message.text] for chat in chats]
    left_out = sum(map(len, chats)) - sum(map(len, kept))
    return chat_content(path, kept, left_out=left_out)


def read_discord_rows(path: Path, rows: Sequence[Mapping[str, Json]]) -> Content:
    """Return the turns of a table by DiscordChatExporter."""
    messages = [
        Message(parse_time(row["Date"]), _string(row["Author"]), _string(row["Content"]))
        for row in rows
    ]
    kept = [message for message in messages if message.text.strip()]
    return chat_content(path, [kept], left_out=len(messages) - len(kept))


Chats = list[list[Message]]
_NOTHING: Final = Message(None, "", "")
"""In place of what is no message of a person, so that it can be counted."""


def _telegram(data: Json) -> Chats | None:
    """Telegram Desktop, "Export chat history" (``result.json``): one chat, or all of them."""
    if not isinstance(data, Mapping):
        return None
    chats = [data]
    if isinstance(data.get("chats"), Mapping):
        chats = _mappings(data["chats"].get("list"))
    if not chats or not all(_are(chat.get("messages"), "type", "date") for chat in chats):
        return None
    return [[_telegram_message(message) for message in _list(chat["messages"])] for chat in chats]


def _telegram_message(message: Mapping[str, Json]) -> Message:
    if message.get("type") != "message" or message.get("forwarded_from"):
        return _NOTHING
    text = message.get("text")
    if isinstance(text, Sequence) and not isinstance(text, str):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in text]
        text = "".join(part for part in parts if isinstance(part, str))
    speaker = _string(message.get("from")) or _string(message.get("from_id"))
    return Message(parse_time(message.get("date")), speaker, _string(text))


def _discord(data: Json) -> Chats | None:
    """DiscordChatExporter, a channel a file."""
    if not isinstance(data, Mapping) or not _are(data.get("messages"), "author", "timestamp"):
        return None
    return [[_discord_message(message) for message in _list(data["messages"])]]


def _discord_message(message: Mapping[str, Json]) -> Message:
    author = message.get("author")
    if message.get("type") not in ("Default", "Reply", None) or not isinstance(author, Mapping):
        return _NOTHING
    if author.get("isBot"):
        return _NOTHING
    name = _string(author.get("nickname")) or _string(author.get("name"))
    return Message(parse_time(message.get("timestamp")), name, _string(message.get("content")))


def _signal_backup(data: Json) -> Chats | None:
    """Signal's own export of chat history (``main.jsonl``): a frame a line."""
    frames = _mappings(data)
    items = [frame["chatItem"] for frame in frames if isinstance(frame.get("chatItem"), Mapping)]
    if not items:
        return None
    names = {
        str(frame["recipient"].get("id")): _signal_name(frame["recipient"])
        for frame in frames
        if isinstance(frame.get("recipient"), Mapping)
    }
    chats: dict[str, list[Message]] = {}
    for item in items:
        author = str(item.get("authorId"))
        text = _at(item, "standardMessage", "text", "body")
        message = Message(
            parse_time(item.get("dateSent")), names.get(author) or f"Person {author}", _string(text)
        )
        chats.setdefault(str(item.get("chatId")), []).append(message)
    return list(chats.values())


def _signal_name(recipient: Mapping[str, Json]) -> str:
    if "self" in recipient:
        return "Me"
    contact = recipient.get("contact")
    contact = contact if isinstance(contact, Mapping) else {}
    names = [
        " ".join(filter(None, (_string(contact.get(given)), _string(contact.get(family)))))
        for given, family in (
            ("systemGivenName", "systemFamilyName"),
            ("profileGivenName", "profileFamilyName"),
        )
    ]
    return next(filter(None, names), "") or str(contact.get("e164") or "")


def _signal_desktop(data: Json) -> Chats | None:
    """The tool signal-export for Signal Desktop (``data.json``): a message a line."""
    if not _are(data, "date", "sender", "body", "reactions"):
        return None
    return [
        [
            _NOTHING
            if message.get("deleted") or message.get("call")
            else Message(
                parse_time(message["date"]), _string(message["sender"]), _string(message["body"])
            )
            for message in _list(data)
        ]
    ]


def _chatgpt(data: Json) -> Chats | None:
    """ChatGPT, "Export data" (``conversations.json``): the branch that was shown last."""
    conversations = _mappings(data)
    if not conversations or not all(
        isinstance(each.get("mapping"), Mapping) for each in conversations
    ):
        return None
    return [list(_last_branch(each)) for each in conversations]


def _last_branch(conversation: Mapping[str, Json]) -> Iterator[Message]:
    nodes = conversation["mapping"]
    branch: list[Json] = []
    name = conversation.get("current_node") or next(reversed(nodes), None)
    while isinstance(nodes.get(name), Mapping) and len(branch) < len(nodes):
        branch.append(nodes[name].get("message"))
        name = nodes[name].get("parent")
    for message in reversed(branch):
        role = _string(_at(message, "author", "role"))
        parts = _at(message, "content", "parts")
        text = "\n".join(part for part in _list(parts) if isinstance(part, str))
        if role in ("user", "assistant"):
            yield Message(parse_time(_at(message, "create_time")), role, text)


def _conversations(data: Json) -> Chats | None:
    """Lists of messages with who says what, as for OpenAI and ShareGPT; one, or many."""
    conversations = [data] if isinstance(data, Mapping) else _list(data)
    found = [_messages_in(each) for each in conversations]
    if found and all(messages is not None for messages in found):
        return [_plain_messages(messages) for messages in found if messages is not None]
    messages = _messages_in({"messages": data})
    # Objects with a name and a text alone may be a table too: turns have a role, or a time.
    if messages is None or not any(key in messages[0] for key in ("role", *_TIMES)):
        return None
    return [_plain_messages(messages)]


def _messages_in(conversation: Json) -> list[Mapping[str, Json]] | None:
    if isinstance(conversation, Mapping):
        lists = [conversation[name] for name in _LISTS if name in conversation]
        conversation = lists[0] if len(lists) == 1 else None
    messages = _mappings(conversation)
    are_messages = messages and all(_key(m, _ROLES) and _key(m, _TEXTS) for m in messages)
    return messages if are_messages else None


def _plain_messages(messages: Iterable[Mapping[str, Json]]) -> list[Message]:
    found = []
    for message in messages:
        time = parse_time(message.get(_key(message, _TIMES)))
        text = message[_key(message, _TEXTS)]
        if isinstance(text, list):  # of parts, as in OpenAI's API
            text = "\n".join(_string(_at(part, "text")) for part in text)
        found.append(Message(time, _string(message[_key(message, _ROLES)]), _string(text)))
    if all(message.time for message in found):
        # Messenger writes the latest message first.
        found.sort(key=lambda message: message.time or datetime.min)
    return found


def _key(message: Mapping[str, Json], names: Sequence[str]) -> str:
    return next((name for name in names if name in message), "")


def _are(data: Json, *keys: str) -> bool:
    """Return whether the data are a list of objects that have these keys."""
    return (
        isinstance(data, list)
        and bool(data)
        and all(isinstance(each, Mapping) and all(key in each for key in keys) for each in data)
    )


def _mappings(data: Json) -> list[Mapping[str, Json]]:
    """Return a list of objects; an empty one if the data are none."""
    return data if _are(data) else []


def _list(data: Json) -> list[Json]:
    return data if isinstance(data, list) else []


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _at(data: Json, *keys: str) -> Json:
    """Return what stands at a path of keys; None if there is nothing."""
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data
