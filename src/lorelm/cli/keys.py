"""``lorelm keys``: the API keys of ``lorelm serve --keys``."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from lorelm.cli.options import EXPIRY, KEYS_VARIABLE
from lorelm.cli.terminal import printable
from lorelm.machine.folders import data_folder
from lorelm.server.keys.key import Key, now
from lorelm.server.keys.key_file import KeyFile
from lorelm.server.keys.rate_limit import parse_rate_limit
from lorelm.table import aligned

_UNSET: Final = ("none", "never")

_file_option = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=KEYS_VARIABLE,
    show_envvar=True,
    help="The file of keys.  [default: keys.json, in your data folder]",
)


class _RateLimit(click.ParamType[str]):
    """A limit such as 60/minute, or "none"."""

    name = "limit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value != "none":
            parse_rate_limit(value)
        return value


class _Tokens(click.ParamType[str]):
    """A number of tokens, or "none"."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value != "none" and not re.fullmatch(r"[1-9]\d{0,14}", value):
            self.fail(f"{value!r} is neither a number above 0 nor none")
        return value


class _Moment(click.ParamType[str]):
    """When a key expires: after a time such as 90d, at the end of a day, or "never"."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "never":
            return value
        try:
            if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
                moment = datetime.fromisoformat(value).replace(tzinfo=UTC) + timedelta(days=1)
            else:
                moment = now() + timedelta(seconds=EXPIRY.convert(value, param, ctx))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no day: write one such as 2027-06-30")
        if moment <= now():
            self.fail(f"{value} is over already")
        return moment.isoformat()


def _settings(command: Any) -> Any:
    """Add the options that say what a key may."""
    for option in (
        click.option(
            "--expires",
            "expires_at",
            type=_Moment(),
            help="How long it is valid: a time such as 90d, the last day (UTC), or never.",
        ),
        click.option(
            "--tokens-per-day",
            type=_Tokens(),
            help="How many tokens may be generated with it in a day (UTC), or none for any number.",
        ),
        click.option(
            "--rate-limit",
            type=_RateLimit(),
            help="How often it may be used for the model, such as 60/minute; none leaves that to "
            "the server's own --rate-limit.",
        ),
    ):
        command = option(command)
    return command


@click.group()
def keys() -> None:
    """Make, list, change and revoke API keys of `lorelm serve --keys FILE`.

    Changes take effect with the next request: the server looks at the file. The file contains
    no key, only hashes of keys.
    """


@keys.command()
@click.argument("name")
@_file_option
@click.option(
    "--metrics-only",
    is_flag=True,
    help="The key opens /metrics, which other keys of the file do not, and nothing else.",
)
@_settings
def add(*, name: str, file: Path | None, metrics_only: bool, **given: str | None) -> None:
    """Make a key for NAME and print it, this once.

    NAME stands for the key in logs and metrics. The key goes to stdout, so that it can be piped.
    """
    if metrics_only and (given["rate_limit"] or given["tokens_per_day"]):
        raise click.UsageError("A key for --metrics-only uses no model, so it takes no quota.")
    found = _key_file(file)
    click.echo(found.add(name, metrics_only=metrics_only, **_changed(given)))
    where = " for /metrics" if metrics_only else ""
    click.echo(
        f"This is the key {name!r}; it is shown this once. lorelm serve --keys {found.path} takes "
        f"it{where} as a bearer token, or as the password in a browser.",
        err=True,
    )


@keys.command("list")
@_file_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_keys(*, file: Path | None, as_json: bool) -> None:
    """Print the keys and their permissions, the oldest first."""
    found = _key_file(file)
    known = found.read()
    if as_json:
        shown = [key.model_dump(mode="json") | {"is_valid": key.is_valid} for key in known]
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
    elif known:
        click.echo("\n".join(_lines(known)))
    else:
        click.echo(f"there are no keys in {found.path}: lorelm keys add NAME", err=True)


@keys.command()
@click.argument("name")
@_file_option
@_settings
def change(*, name: str, file: Path | None, **given: str | None) -> None:
    """Change the permissions of the key NAME; options that are not given stay as they are."""
    changed = _changed(given)
    if not changed:
        raise click.UsageError("Say what to change: --rate-limit, --tokens-per-day or --expires.")
    key = _key_file(file).change(name, **changed)
    click.echo(f"the key {name!r} is {key.state} and may: {', '.join(_quotas(key))}", err=True)


@keys.command()
@click.argument("name")
@_file_option
def revoke(*, name: str, file: Path | None) -> None:
    """Revoke the key NAME, for good."""
    _key_file(file).change(name, revoked_at=now())
    click.echo(
        f"the key {name!r} is revoked: servers refuse it from their next request on", err=True
    )


def _key_file(path: Path | None) -> KeyFile:
    return KeyFile(data_folder() / "keys.json" if path is None else path)


def _changed(given: dict[str, str | None]) -> dict[str, Any]:
    """Return the settings of a key that options give."""
    changed: dict[str, Any] = {
        name: None if value in _UNSET else value
        for name, value in given.items()
        if value is not None
    }
    if changed.get("tokens_per_day"):
        changed["tokens_per_day"] = int(changed["tokens_per_day"])
    if changed.get("expires_at"):
        changed["expires_at"] = datetime.fromisoformat(changed["expires_at"])
    return changed


def _quotas(key: Key) -> Sequence[str]:
    if key.metrics_only:
        return ("read /metrics only",)
    tokens = "any number of tokens"
    if key.tokens_per_day is not None:
        tokens = f"{key.tokens_per_day:,} tokens a day"
    return f"requests {key.rate_limit or 'as the server allows'}", tokens


def _lines(known: Sequence[Key]) -> list[str]:
    rows = [("name", "key", "made at", "requests", "tokens a day", "expires", "state")]
    for key in known:
        expires = f"{key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "never"
        rows.append(
            (
                printable(key.name),
                f"…{key.hint}",
                f"{key.made_at.astimezone():%Y-%m-%d %H:%M}",
                "/metrics only" if key.metrics_only else key.rate_limit or "",
                "" if key.tokens_per_day is None else f"{key.tokens_per_day:,}",
                expires,
                key.state,
            )
        )
    return aligned(rows, right=[4])
