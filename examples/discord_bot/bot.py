"""A Discord bot that speaks in a channel as the characters of your model.

    DISCORD_TOKEN=... python bot.py

LORELM_URL is the address of `lorelm serve`, LORELM_API_KEY its key if it has one, and
LORELM_SPEAKER the name of who answers.
"""

import asyncio
import math
import os
import sys

try:
    import discord
    from discord.ext import commands
except ImportError:
    sys.exit("The bot needs discord.py: pip install discord.py")

import aiohttp

from scene import Line, LoreLMServer, ModelError, line_of, split, written

PREFIX = "!"
ANSWERS, SECONDS = 4, 30
"""How many answers a channel gets in how many seconds."""


class Scenes(commands.Cog):
    """Answers messages that mention the bot; ``!as FRODO`` lets Frodo speak."""

    def __init__(self, bot: commands.Bot, server: LoreLMServer, speaker: str | None) -> None:
        self.bot = bot
        self.server = server
        self.speaker = speaker
        self.cooldowns = commands.CooldownMapping.from_cooldown(
            ANSWERS, SECONDS, commands.BucketType.channel
        )

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        if self.bot.user in message.mentions and not message.author.bot:
            await self.answer(message, self.speaker)

    @commands.command(name="as")
    async def answer_as(self, context: commands.Context[commands.Bot], *, speaker: str) -> None:
        await self.answer(context.message, speaker)

    @commands.Cog.listener()
    async def on_command_error(
        self, context: commands.Context[commands.Bot], error: Exception
    ) -> None:
        if isinstance(error, commands.MissingRequiredArgument):
            await reply(context.message, f"Who speaks? For example: {PREFIX}as FRODO")
        elif not isinstance(error, commands.CommandNotFound):  # which is another bot's
            raise error

    async def answer(self, message: discord.Message, speaker: str | None) -> None:
        """Reply to a message with the next line of its channel."""
        bucket = self.cooldowns.get_bucket(message)
        if wait := bucket and bucket.update_rate_limit():
            await reply(message, f"Too many answers here. Ask again in {math.ceil(wait)} s.")
            return
        try:
            async with message.channel.typing():
                line = await self.server.next_line(self.scene(message.channel), speaker)
        except ModelError as error:
            await reply(message, str(error))
            return
        await reply(message, written(line))

    def scene(self, channel: discord.abc.Messageable) -> list[Line]:
        """Return what the channel has said since the bot came.

        discord.py keeps the last 1,000 messages, and follows those that are edited or deleted.
        """
        return [
            line_of(each.author.display_name, each.content)
            for each in self.bot.cached_messages
            if each.channel == channel
            and (each.author == self.bot.user or not each.author.bot)
            and not each.content.startswith(PREFIX)
        ]


async def reply(message: discord.Message, text: str) -> None:
    for part in split(text):
        await message.reply(part, mention_author=False)


async def run(token: str) -> None:
    """Run the bot until it is stopped."""
    intents = discord.Intents.default()
    intents.message_content = True  # what is said, which has to be allowed in Discord's portal
    bot = commands.Bot(
        PREFIX,
        intents=intents,
        help_command=None,
        allowed_mentions=discord.AllowedMentions.none(),  # a model may write @everyone
    )
    key = os.environ.get("LORELM_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session, bot:
        server = LoreLMServer(session, os.environ.get("LORELM_URL", "http://127.0.0.1:5000"))
        await bot.add_cog(Scenes(bot, server, os.environ.get("LORELM_SPEAKER")))
        await bot.start(token)


def main() -> None:
    token = os.environ.get("DISCORD_TOKEN")
    if not token:
        sys.exit("DISCORD_TOKEN is not set: it is the bot's token from Discord's developer portal.")
    discord.utils.setup_logging()
    try:
        asyncio.run(run(token))
    except discord.LoginFailure:
        sys.exit("Discord does not know the DISCORD_TOKEN: copy it again from the portal.")
    except discord.PrivilegedIntentsRequired:
        sys.exit("Allow the bot to read messages: Discord's portal, Bot, Message Content Intent.")
    except KeyboardInterrupt:
        print("The bot has stopped.", file=sys.stderr)


if __name__ == "__main__":
    main()
