"""The Discord bot: discord.py as it is, a `lorelm serve`, and Discord's side on this machine."""

import asyncio
import subprocess
import sys
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # audioop, in Python 3.12
    pytest.importorskip("discord", reason="no discord.py: pip install 'lorelm[examples]'")

import discord
from tests.examples.discord_stand_in import BEN, CELLAR, Discord
from tests.examples.folders import EXAMPLES, imported

FOLDER = EXAMPLES / "discord_bot"
scene = imported(FOLDER / "scene.py")
bot = imported(FOLDER / "bot.py")

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("<@1> Who  goes\nthere?", ("Ann", "Who goes there?")),
        ("<@!1> look <#20> <:owl:5> <a:owl:5> <t:1700000000:R> now", ("Ann", "look now")),
        ("see https://example.org/a?b=c and ```x\n= 1``` this", ("Ann", "see and this")),
        ("**OWL:** Who is \\*there\\*?", ("OWL", "Who is there?")),
        ("*really* __so__", ("Ann", "really so")),
        ("<@1>", ("Ann", "")),
        ("a < b and c > d", ("Ann", "a < b and c > d")),
    ],
)
def test_a_message_becomes_a_line(content: str, line: tuple[str, str]) -> None:
    assert scene.line_of("Ann", content) == line


def test_what_the_model_writes_comes_back_as_the_same_line() -> None:
    line = scene.Line("OLD MOLE", "2 * 3 * 4 is not `_so_`")
    assert scene.line_of("Lorebot", scene.written(line)) == ("OLD MOLE", "2 3 4 is not so")
    assert "*3" not in scene.written(line).replace("\\*", "")


@pytest.mark.parametrize("text", ["", "short", "word " * 900, "x" * 4500, "a" + " b" * 1000])
def test_a_long_message_is_cut_between_words(text: str) -> None:
    parts = scene.split(text)
    assert all(0 < len(part) <= 2000 for part in parts)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    if " " in text:
        assert not any(part.endswith("wor") for part in parts)


def talk(
    conversation: Callable[[Discord], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    token: str = "the-token",
    refuses_intents: bool = False,
) -> Discord:
    """Run the bot until a conversation with it is over."""

    async def run() -> Discord:
        there = Discord()
        there.refuses_intents = refuses_intents
        await there.start(monkeypatch)
        running = asyncio.create_task(bot.run(token))
        try:
            arrived = asyncio.create_task(there.is_there.wait())
            await asyncio.wait({arrived, running}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
            arrived.cancel()
            if running.done():
                running.result()
            await conversation(there)
        finally:
            running.cancel()
            await asyncio.wait({running})
            await there.stop()
        return there

    return asyncio.run(run())


@pytest.fixture(scope="module")
def scenes_url(start_server: Callable[..., str], scene_bundle: Path) -> str:
    return start_server(str(scene_bundle), "--no-history")


def test_it_answers_who_mentions_it(scenes_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORELM_URL", scenes_url)

    async def conversation(there: Discord) -> None:
        await there.say("Nothing is said to the bot.")
        await there.say("@Lorebot where is the mill?")
        await there.answer()

    there = talk(conversation, monkeypatch)
    assert there.intents.message_content
    [post] = there.posts
    assert post["content"].startswith("**OWL:** ")
    assert len(post["content"]) > len("**OWL:** ")
    assert post["message_reference"]["channel_id"] == 20
    assert post["allowed_mentions"] == {"parse": [], "replied_user": False}


def test_the_scene_is_what_the_channel_says(
    scenes_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bot's own lines, and without other rooms and commands."""
    monkeypatch.setenv("LORELM_URL", scenes_url)
    asked: list[list[tuple[str, str]]] = []
    next_line = scene.LoreLMServer.next_line

    async def noted(self: object, lines: list[tuple[str, str]], speaker: str | None) -> object:
        asked.append([tuple(line) for line in lines])
        return await next_line(self, lines, speaker)

    monkeypatch.setattr(bot.LoreLMServer, "next_line", noted)

    async def conversation(there: Discord) -> None:
        await there.say("A secret", room=CELLAR)
        await there.say("Good morning.", author=BEN)
        await there.say("!as old mole")
        await there.answer()
        await there.say("@Lorebot And you?")
        await there.answer()

    there = talk(conversation, monkeypatch)
    mole = there.posts[0]["content"]
    assert mole.startswith("**OLD MOLE:** ")
    greeting = ("Ben_the_*bold*".replace("_", "").replace("*", ""), "Good morning.")
    assert asked == [[greeting], [greeting, scene.line_of("", mole), ("Ann", "And you?")]]


def test_a_channel_has_so_many_answers(scenes_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORELM_URL", scenes_url)

    async def conversation(there: Discord) -> None:
        for _ in range(bot.ANSWERS + 1):
            await there.say("!as HARE")
            await there.answer()
        await there.say("!as HARE", room=CELLAR)
        await there.answer()

    *answers, late, elsewhere = [post["content"] for post in talk(conversation, monkeypatch).posts]
    assert all(answer.startswith("**HARE:** ") for answer in [*answers, elsewhere])
    assert late.startswith("Too many answers here. Ask again in ")


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("!as", "Who speaks? For example: !as FRODO"),
        ("@Lorebot hello", "The model's server does not answer."),
    ],
)
def test_it_says_why_it_cannot_answer(
    message: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORELM_URL", "http://127.0.0.1:9")

    async def conversation(there: Discord) -> None:
        await there.say("!roll 3d6")  # another bot's command
        await there.say(message)
        await there.answer()

    [post] = talk(conversation, monkeypatch).posts
    assert post["content"] == answer


def test_a_server_that_refuses_says_why(
    start_server: Callable[..., str], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORELM_URL", start_server(str(tiny_bundle), "--api-key", "friend"))

    async def conversation(there: Discord) -> None:
        await there.say("@Lorebot hello")
        await there.answer()

    [post] = talk(conversation, monkeypatch).posts
    assert post["content"].startswith("The model's server refuses: ")
    monkeypatch.setenv("LORELM_API_KEY", "friend")
    [post] = talk(conversation, monkeypatch).posts
    assert post["content"].startswith("**Model:** ")


async def nothing(there: Discord) -> None:
    await there.is_there.wait()


def test_a_wrong_token_and_missing_rights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(discord.LoginFailure):
        talk(nothing, monkeypatch, token="wrong")
    with pytest.raises(discord.PrivilegedIntentsRequired):
        talk(nothing, monkeypatch, refuses_intents=True)


def test_without_a_token_it_says_where_it_comes_from() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "bot.py"],
        cwd=FOLDER,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("DISCORD_TOKEN is not set: ")
    assert len(ended.stderr.splitlines()) == 1
