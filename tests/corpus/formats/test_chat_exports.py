import json

import pytest

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.sources import read_sources


def works_of(path) -> list[list[list[str]]]:
    works = read_sources([str(path)], ReadingOptions()).works
    return [[[str(turn) for turn in scene] for scene in work] for work in works]


TELEGRAM = {
    "name": "Ben",
    "type": "personal_chat",
    "id": 1,
    "messages": [
        {"id": 1, "type": "service", "date": "2021-01-01T10:00:00", "actor": "Anna", "text": ""},
        {"id": 2, "type": "message", "date": "2021-01-01T10:00:00", "from": "Anna",
         "text": ["See ", {"type": "link", "text": "the mill"}, "!"]},
        {"id": 3, "type": "message", "date": "2021-01-01T10:01:00", "from": "Ben", "text": "Yes."},
        {"id": 4, "type": "message", "date": "2021-01-01T10:02:00", "from": "Ben", "text": "",
         "photo": "a.jpg"},
        {"id": 5, "type": "message", "date": "2021-01-01T10:03:00", "from": "Ben",
         "forwarded_from": "News", "text": "Sale"},
        {"id": 6, "type": "message", "date": "2021-01-02T10:03:00", "from": "Ben", "text": "Up?"},
    ],
}  # fmt: skip


def test_a_chat_of_telegram(write) -> None:
    path = write("result.json", json.dumps(TELEGRAM))
    assert works_of(path) == [[["Anna: See the mill!", "Ben: Yes."], ["Ben: Up?"]]]
    notes = read_sources([str(path)], ReadingOptions()).notes
    assert notes == ["3 messages without words of a person are left out."]


def test_one_message_that_is_left_out(write) -> None:
    messages = [each for each in TELEGRAM["messages"] if each["id"] in (2, 3, 4)]
    path = write("result.json", json.dumps(TELEGRAM | {"messages": messages}))
    notes = read_sources([str(path)], ReadingOptions()).notes
    assert notes == ["1 message without words of a person is left out."]


def test_all_chats_of_telegram_are_works(write) -> None:
    everything = {"about": "…", "chats": {"about": "…", "list": [TELEGRAM, TELEGRAM]}}
    assert len(works_of(write("result.json", json.dumps(everything)))) == 2


def test_a_channel_of_discord(write) -> None:
    def message(name: str, content: str, minute: int, **more: object) -> dict[str, object]:
        author = {"id": "1", "name": name, "nickname": more.pop("nickname", None), "isBot": False}
        author |= {"isBot": more.pop("is_bot", False)}
        time = f"2023-01-01T12:{minute:02}:56.1234567+00:00"
        return {"id": "1", "type": "Default", "timestamp": time, "content": content,
                "author": author, **more}  # fmt: skip

    messages = [
        message("anna_1", "Hello", 1, nickname="Anna"),
        message("bot", "Beep", 2, is_bot=True),
        message("ben", "", 3, type="GuildMemberJoin"),
        message("ben", "Hello yourself", 4, type="Reply"),
    ]
    content = {"guild": {"name": "Mill"}, "channel": {"name": "general"}, "messages": messages}
    path = write("Mill - general.json", "\ufeff" + json.dumps(content))
    assert works_of(path) == [[["Anna: Hello", "ben: Hello yourself"]]]


def test_a_table_of_discord(write) -> None:
    rows = (
        "AuthorID,Author,Date,Content,Attachments,Reactions\n"
        '"1","anna","2023-01-01T12:34:56.0000000+00:00","Hello, you","",""\n'
        '"2","ben","2023-01-01T12:35:56.0000000+00:00","","a.jpg",""\n'
        '"2","ben","2023-01-02T12:35:56.0000000+00:00","Hi\nthere","",""\n'
    )
    assert works_of(write("a.csv", rows)) == [[["anna: Hello, you"], ["ben: Hi\nthere"]]]


SIGNAL = [
    {"version": 1, "backupTimeMs": "1700000000000"},
    {"account": {"givenName": "Anna"}},
    {"recipient": {"id": "1", "self": {}}},
    {"recipient": {"id": "2", "contact": {"profileGivenName": "Ben", "profileFamilyName": "M"}}},
    {"chat": {"id": "7", "recipientId": "2"}},
    {"chatItem": {"chatId": "7", "authorId": "1", "dateSent": "1700000000000",
                  "standardMessage": {"text": {"body": "Hello"}}}},
    {"chatItem": {"chatId": "7", "authorId": "2", "dateSent": "1700000001000",
                  "standardMessage": {"text": {"body": "Hi"}}}},
    {"chatItem": {"chatId": "7", "authorId": "2", "dateSent": "1700000002000",
                  "updateMessage": {}}},
]  # fmt: skip


def test_signals_own_export(write) -> None:
    path = write("main.jsonl", "".join(json.dumps(frame) + "\n" for frame in SIGNAL))
    assert works_of(path) == [[["Me: Hello", "Ben M: Hi"]]]


def test_signal_desktop_as_json(write) -> None:
    def message(sender: str, body: str, **more: object) -> dict[str, object]:
        return {"date": "2023-01-02T12:34:56", "sender": sender, "body": body, "quote": "",
                "sticker": None, "reactions": [], "attachments": [], **more}  # fmt: skip

    messages = [message("Me", "Hello"), message("Ben", "x", deleted=True), message("Ben", "Hi")]
    path = write("data.json", "".join(json.dumps(each) + "\n" for each in messages))
    assert works_of(path) == [[["Me: Hello", "Ben: Hi"]]]


def test_signal_desktop_as_markdown(write) -> None:
    text = (
        "[2023-01-02 12:34:56] Me: Hello: you\nand more\n(- Ben: 👍 -)\n"
        "[2023-01-02 12:35:00] Ben: ![a.jpg](./media/a.jpg)  \n"
        "[2023-01-02 12:36:00] Ben: (This message was deleted)\n"
        "[2023-01-03 12:36:00] Ben: \n> Hello\n\nHi\n"
    )
    assert works_of(write("chat.md", text)) == [[["Me: Hello: you\nand more"], ["Ben: Hi"]]]


def test_signalbackup_tools_as_text(write) -> None:
    text = (
        "[Jan 02, 2023 12:34:56] *** Anna created the group\n"
        "[Jan 02, 2023 12:34:56] <Anna> Hello\nthere\n"
        '[Jan 02, 2023 12:35:00] *** <Ben> sent file "a.jpg"\n'
        "[Feb 03, 2023 12:36:00] <Ben> Hi\n"
    )
    assert works_of(write("Ben (_id1).txt", text)) == [[["Anna: Hello\nthere"], ["Ben: Hi"]]]


def test_conversations_of_chatgpt_follow_the_branch_that_was_shown(write) -> None:
    def node(parent: str | None, role: str, text: str) -> dict[str, object]:
        content = {"content_type": "text", "parts": [text]}
        return {"parent": parent, "message": {"author": {"role": role}, "content": content}}

    mapping = {
        "a": {"parent": None, "message": None},
        "b": node("a", "system", "Be good"),
        "c": node("b", "user", "Hello"),
        "d": node("c", "assistant", "First try"),
        "e": node("c", "assistant", "Second try"),
    }
    data = [{"title": "x", "mapping": mapping, "current_node": "e"}]
    path = write("conversations.json", json.dumps(data))
    assert works_of(path) == [[["user: Hello", "assistant: Second try"]]]


@pytest.mark.parametrize(
    "data",
    [
        {"messages": [{"role": "user", "content": "Hello"}, {"role": "bot", "content": "Hi"}]},
        [
            {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
            {"role": "bot", "content": "Hi"},
        ],
        [{"conversations": [{"from": "user", "value": "Hello"}, {"from": "bot", "value": "Hi"}]}],
    ],
)
def test_conversations_of_other_programs(write, data: object) -> None:
    assert works_of(write("a.json", json.dumps(data))) == [[["user: Hello", "bot: Hi"]]]


def test_conversations_a_line_each_are_works(write) -> None:
    line = json.dumps({"messages": [{"role": "user", "content": "Hello there"}]})
    assert works_of(write("a.jsonl", f"{line}\n{line}\n")) == [[["user: Hello there"]]] * 2


def test_messages_of_messenger_are_put_in_order(write) -> None:
    messages = [
        {"sender_name": "Ben", "timestamp_ms": 1_700_000_001_000, "content": "Hi"},
        {"sender_name": "Anna", "timestamp_ms": 1_700_000_000_000, "content": "Hello"},
    ]
    path = write("message_1.json", json.dumps({"messages": messages}))
    assert works_of(path) == [[["Anna: Hello", "Ben: Hi"]]]
