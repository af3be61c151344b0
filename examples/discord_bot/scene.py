"""What a chat room says, as lines of a scene, and the model's next line. Knows no Discord."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import aiohttp

MAX_LINES = 12
"""How many lines of the room the model reads; what was said long ago counts little."""

MAX_TOKENS = 80

_NOT_SPOKEN = re.compile(
    r"```.*?```"  # code
    r"|<(?:@[!&]?|#|a?:\w+:|t:)[\d:\w]+>"  # mentions, channels, emoji, times
    r"|https?://\S+",
    re.DOTALL,
)
_NAMED = re.compile(r"\*\*(?P<speaker>[^*\n]+):\*\*(?P<text>.*)", re.DOTALL)
_MARKDOWN = re.compile(r"[*_~`|\\]")


class Line(NamedTuple):
    """A line of a scene."""

    speaker: str
    text: str


class ModelError(Exception):
    """The model gave no line. The message is for the room."""


def line_of(author: str, content: str) -> Line:
    """Return a message as a line; its text may be empty, where nothing was said in words.

    ``**SAM:** Hello`` is a line of Sam's, whoever sent it. So the model's lines are written.
    """
    if named := _NAMED.match(content):
        author, content = named["speaker"], named["text"]
    spoken = _MARKDOWN.sub("", _NOT_SPOKEN.sub(" ", content))
    return Line(_MARKDOWN.sub("", author), " ".join(spoken.split()))


def written(line: Line) -> str:
    """Return a line of the model as a message, which shows its stars and underscores."""
    return f"**{line.speaker}:** {_MARKDOWN.sub(lambda mark: chr(92) + mark[0], line.text)}"


def split(message: str, limit: int = 2000) -> list[str]:
    """Cut a message into parts that are no longer than a room allows, between words if possible."""
    parts = []
    while len(message) > limit:
        end = message.rfind(" ", 1, limit + 1)
        end = limit if end == -1 else end
        parts.append(message[:end])
        message = message[end:].lstrip()
    return [*parts, message] if message else parts


class LoreLMServer:
    """Asks a ``lorelm serve`` for the next line of a scene."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url.rstrip("/")

    async def next_line(self, lines: Sequence[Line], speaker: str | None = None) -> Line:
        """Return what `speaker` says next; None: the speaker that the model knows best.

        Raises:
            ModelError: the server is away, busy, or refuses the request.
        """
        said = [line for line in lines if line.text][-MAX_LINES:] or [Line("", "")]
        request = {
            "model": (await self._answer("GET", "/v1/models"))["data"][0]["id"],
            "messages": [
                {"role": "user", "name": each.speaker[:100] or None, "content": each.text}
                for each in said
            ],
            "speaker": speaker,
            "max_tokens": MAX_TOKENS,
        }
        answer = await self._answer("POST", "/v1/chat/completions", json=request)
        message = answer["choices"][0]["message"]
        return Line(message["name"] or "Model", message["content"].strip())

    async def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            async with self.session.request(method, self.url + path, **request) as response:
                answer: dict[str, Any] = await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ModelError("The model's server does not answer.") from error
        if response.status == 429:
            raise ModelError("Too many people write at the moment. Ask again in a minute.")
        if not response.ok:
            reason = answer.get("error", {}).get("message", f"status {response.status}")
            raise ModelError(f"The model's server refuses: {reason}")
        return answer
