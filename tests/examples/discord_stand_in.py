"""Discord's side of a bot on this machine: its REST API and its gateway, as far as a bot needs it.

discord.py itself is the real one: it logs in, identifies itself, parses events, and posts.
"""

import asyncio
import json
from typing import Any

import aiohttp
import discord
import pytest
import yarl
from aiohttp import web

BOT, ANN, BEN = 1, 2, 3
GUILD, HALL, CELLAR = 10, 20, 21
USERS = {BOT: "Lorebot", ANN: "Ann", BEN: "Ben_the_*bold*"}


def user(id_: int) -> dict[str, Any]:
    return {
        "id": str(id_),
        "username": USERS[id_].lower(),
        "global_name": USERS[id_],
        "discriminator": "0",
        "avatar": None,
        "bot": id_ == BOT,
    }


def channel(id_: int) -> dict[str, Any]:
    return {"id": str(id_), "type": 0, "name": f"room-{id_}", "position": 0}


def as_json(data: dict[str, Any], *, status: int = 200) -> web.Response:
    """A response as Discord sends it: discord.py reads no JSON that names a charset."""
    headers = {"Content-Type": "application/json"}
    return web.Response(body=json.dumps(data).encode(), status=status, headers=headers)


class Discord:
    """Records what a bot posts, and tells it what people write.

    Attributes:
        posts: the bodies of the bot's messages.
        intents: what the bot has asked to be told.
    """

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.intents = discord.Intents.none()
        self.is_there = asyncio.Event()
        self.refuses_intents = False
        self._posted = asyncio.Queue[dict[str, Any]]()
        self._number = 1000
        self._sockets: list[web.WebSocketResponse] = []

    async def start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Listen on this machine, and let discord.py take this for Discord."""
        app = web.Application()
        app.router.add_get("/api/users/@me", self._me)
        app.router.add_get("/api/oauth2/applications/@me", self._application)
        app.router.add_post("/api/channels/{id}/typing", self._typing)
        app.router.add_post("/api/channels/{id}/messages", self._post)
        app.router.add_get("/gateway/", self._gateway)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host = self._runner.addresses[0][1]
        monkeypatch.setattr(discord.http.Route, "BASE", f"http://127.0.0.1:{host}/api")
        self._url = yarl.URL(f"ws://127.0.0.1:{host}/gateway/")
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", self._url)

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def say(self, content: str, *, author: int = ANN, room: int = HALL) -> dict[str, Any]:
        """Write a message in a room; those that begin with @Lorebot mention the bot."""
        mentions = [user(BOT)] if content.startswith("@Lorebot") else []
        content = content.replace("@Lorebot", f"<@{BOT}>")
        return await self._tell(author=author, room=room, content=content, mentions=mentions)

    async def answer(self) -> dict[str, Any]:
        """Wait for the bot's next message."""
        return await asyncio.wait_for(self._posted.get(), timeout=60)

    async def _tell(self, *, author: int, room: int, **fields: Any) -> dict[str, Any]:
        self._number += 1
        message = {
            "id": str(self._number),
            "channel_id": str(room),
            "guild_id": str(GUILD),
            "author": user(author),
            "timestamp": "2024-05-01T12:00:00+00:00",
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "pinned": False,
            "type": 0,
        } | fields
        await self._send("MESSAGE_CREATE", message)
        return message

    async def _send(self, event: str, data: dict[str, Any]) -> None:
        for socket in self._sockets:
            await socket.send_json({"op": 0, "t": event, "s": self._number, "d": data})

    async def _me(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != "Bot the-token":
            return as_json({"message": "401: Unauthorized", "code": 0}, status=401)
        return as_json(user(BOT))

    async def _application(self, request: web.Request) -> web.Response:
        application = {
            "id": str(BOT),
            "name": "Lorebot",
            "description": "",
            "icon": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "verify_key": "",
            "owner": user(ANN),
            "flags": 0,
        }
        return as_json(application)

    async def _typing(self, request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.posts.append(body)
        self._posted.put_nowait(body)
        room = int(request.match_info["id"])
        message = await self._tell(author=BOT, room=room, content=body["content"], mentions=[])
        return as_json(message)

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 40_000}})
        async for received in socket:
            if received.type != aiohttp.WSMsgType.TEXT:
                break
            message = received.json()
            if message["op"] == 1:
                await socket.send_json({"op": 11})
            elif message["op"] == 2 and self.refuses_intents:
                await socket.close(code=4014, message=b"Disallowed intent(s).")
            elif message["op"] == 2:
                self.intents = discord.Intents._from_value(message["d"]["intents"])
                self._sockets.append(socket)
                await self._welcome()
        return socket

    async def _welcome(self) -> None:
        ready = {
            "v": 10,
            "user": user(BOT),
            "guilds": [{"id": str(GUILD), "unavailable": True}],
            "session_id": "session",
            "resume_gateway_url": str(self._url),
            "application": {"id": str(BOT), "flags": 0},
        }
        await self._send("READY", ready)
        guild = {
            "id": str(GUILD),
            "name": "The Mill",
            "owner_id": str(ANN),
            "channels": [channel(HALL), channel(CELLAR)],
            "members": [],
            "roles": [],
            "emojis": [],
            "member_count": 3,
        }
        await self._send("GUILD_CREATE", guild)
        self.is_there.set()
