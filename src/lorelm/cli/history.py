"""``lorelm history``: the generated texts, and the drafts and links of writers."""

import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lorelm.cli.history_backup import backup, restore, upgrade
from lorelm.cli.options import AGE, history_option
from lorelm.errors import InputError
from lorelm.history.export import FORMATS
from lorelm.table import aligned

if TYPE_CHECKING:
    from lorelm.history.browsers import BrowserTexts
    from lorelm.history.statistics import HistoryStats
    from lorelm.history.store import HistoryStore

_SHOWN_CHARACTERS: Final = 500


def _count(at_least: int) -> click.IntRange:
    """Number of records, within the range of a database's integers."""
    return click.IntRange(at_least, 10**9)


@click.group()
def history() -> None:
    """List, export, back up and delete texts; list drafts; list and revoke links.

    lorelm serve keeps each prompt and its continuations, for its client and for the operator.
    """


history.add_command(backup)
history.add_command(restore)
history.add_command(upgrade)


def _search(command: Any) -> Any:
    """Add the options that select records."""
    command = click.option("--model", metavar="NAME", help="Only records of this model.")(command)
    command = click.option("--browser", metavar="ID", help="Only records of this browser.")(command)
    text = "Only records with this text in prompt or continuation."
    return click.option("--search", metavar="TEXT", help=text)(command)


@history.command("list")
@history_option
@_search
@click.option(
    "--limit", type=_count(1), default=20, show_default=True, help="Maximum number of records."
)
def list_records(*, history: str | None, limit: int, **wanted: Any) -> None:
    """Print the newest records, the newest first.

    Each has its time, browser, model, prompt and text. A browser has a random id; programs have
    none, which is shown as "-".
    """
    with _existing(history) as store:
        records = store.find(limit=limit, **wanted)
        if not records:
            click.echo(f"nothing was found in {store.place}", err=True)
            return
    for record in records:
        browser = "-" if record.browser is None else record.browser
        columns = (_minute(record.created_at), *map(_shown, (browser, record.model, record.prompt)))
        click.echo("  ".join(columns))
        click.echo(textwrap.indent(_shown(record.text), "    "))


@history.command()
@history_option
@_search
@click.option(
    "--format",
    "format_",
    type=click.Choice([*FORMATS]),
    default="json",
    show_default=True,
    help="json is exact; csv is for spreadsheets.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write to this file instead of stdout."
)
def export(*, history: str | None, format_: str, out: Path | None, **wanted: Any) -> None:
    """Write records with all that is needed to generate them again, the newest first."""
    from lorelm.evaluation.report.files import check_file, write_file

    if out is not None:
        check_file(out, what="export")  # before the database is opened
    with _existing(history) as store:
        # As bytes, which do not depend on the terminal's encoding.
        chunks = (chunk.encode() for chunk in FORMATS[format_](store.iterate(**wanted)))
        if out is not None:
            write_file(out, chunks, what="export")
        else:
            sys.stdout.buffer.writelines(chunks)
            sys.stdout.buffer.flush()


@history.command()
@history_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(*, history: str | None, as_json: bool) -> None:
    """Print the number of records by model, source and day."""
    with _existing(history) as store:
        found = store.stats()
    if as_json:
        # The only values that are not JSON are times.
        values = asdict(found) | {"by_day": {f"{day}": n for day, n in found.by_day.items()}}
        click.echo(json.dumps(values, indent=2, default=datetime.isoformat))
        return
    click.echo("\n".join([store.place, *_overview(found)]))
    for lines in _counts(found):
        click.echo("\n".join(["", *lines]))


@history.command()
@history_option
@click.option("--older-than", type=AGE, help="Delete older records, such as 12h or 30d.")
@click.option("--keep", type=_count(0), help="Delete all but this many of the newest records.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def prune(*, history: str | None, older_than: float | None, keep: int | None, yes: bool) -> None:
    """Delete the records that --older-than or --keep selects."""
    if older_than is None and keep is None:
        raise click.UsageError("Say what to delete: --older-than, --keep or both.")
    before = _moment_before(older_than)
    with _existing(history) as store:
        if not yes:
            num_records = store.num_to_prune(before, keep)
            click.confirm(
                f"Delete {num_records:,} records in {store.place} for good?", abort=True, err=True
            )
        num_deleted = store.prune(before, keep)
        click.echo(f"deleted {num_deleted:,} records", err=True)
        if num_deleted:
            store.shrink()


@history.command()
@history_option
@click.option("--browser", metavar="ID", required=True, help="As history list shows it.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(*, history: str | None, browser: str, yes: bool) -> None:
    """Delete all generations, drafts and links of one browser."""
    from lorelm.history.browsers import count_texts, delete_texts

    with _existing(history) as store:
        found = count_texts(store, browser)
        if not any(found):
            raise InputError(
                f"there is nothing of a browser {_shown(browser)!r} in {store.place}: "
                "lorelm history list and drafts show the ids of browsers",
                code="history.no_browser",
            )
        if not yes:
            click.confirm(
                f"Delete {_texts(found)} in {store.place} for good?", abort=True, err=True
            )
        click.echo(f"deleted {_texts(delete_texts(store, browser))}", err=True)
        store.shrink()


@history.command()
@history_option
@click.option("--search", metavar="TEXT", help="Only drafts with this text or name.")
@click.option("--browser", metavar="ID", help="Only drafts of this browser.")
@click.option(
    "--limit", type=_count(1), default=20, show_default=True, help="Maximum number of drafts."
)
def drafts(*, history: str | None, search: str | None, browser: str | None, limit: int) -> None:
    """Print the drafts that writers keep, starred ones first, then by their last change."""
    from lorelm.history.drafts import DraftStore

    with _existing(history) as store:
        found = DraftStore(store).find(browser, search=search or "", limit=limit)
        if not found:
            click.echo(f"no drafts were found in {store.place}", err=True)
            return
    rows = [("changed at", "browser", "name", "text")]
    for draft in found:
        owner, name, excerpt = map(_shown, (draft.browser, draft.name, draft.excerpt))
        rows.append((_minute(draft.changed_at), owner, name, excerpt))
    click.echo("\n".join(aligned(rows)))


@history.command()
@history_option
@click.option("--revoke", "link_id", metavar="ID", help="Revoke the link with this id.")
def links(*, history: str | None, link_id: str | None) -> None:
    """Print the links by which writers share texts, the newest first, or revoke one."""
    from lorelm.history.links import LinkStore

    with _existing(history) as store:
        if link_id is not None:
            LinkStore(store).revoke(None, link_id)
            click.echo("the link is revoked: it leads nowhere now", err=True)
            return
        found = LinkStore(store).find(None)
        if not found:
            click.echo(f"there are no links in {store.place}", err=True)
            return
    rows = [("made at", "id", "browser", "name", "text")]
    for link in found:
        browser, name, excerpt = map(_shown, (link.browser, link.name, link.excerpt))
        rows.append((_minute(link.created_at), link.id, browser, name, excerpt))
    click.echo("\n".join(aligned(rows)))


def _existing(url: str | None) -> "HistoryStore":
    from lorelm.history.store import HistoryStore

    return HistoryStore(url, create=False)


def _texts(found: "BrowserTexts") -> str:
    kinds = zip(found, ("generation", "draft", "link"), strict=True)
    *first, last = (f"{number:,} {kind}{'s' * (number != 1)}" for number, kind in kinds)
    return f"{', '.join(first)} and {last}"


def _moment_before(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.now(UTC) - timedelta(seconds=seconds)
    except OverflowError as error:
        raise click.UsageError("--older-than: no date is that long ago.") from error


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _shown(text: str) -> str:
    """Shorten a text and replace control characters: anybody may have written it."""
    words = " ".join(text.split())
    shown = words[:_SHOWN_CHARACTERS] + ("…" if len(words) > _SHOWN_CHARACTERS else "")
    return "".join(one if one.isprintable() else "\ufffd" for one in shown)


def _overview(found: "HistoryStats") -> list[str]:
    rows = [("records", f"{found.num_records:,}"), ("tokens", f"{found.num_tokens:,}")]
    if found.first_at is not None and found.last_at is not None:
        rows += [
            ("first", _minute(found.first_at)),
            ("last", _minute(found.last_at)),
            ("mean duration", f"{found.mean_duration_seconds:.3f} s"),
        ]
    rows.append(("size", f"{found.size_bytes / 1e6:,.1f} MB"))
    return aligned(rows, right=[1])


def _counts(found: "HistoryStats") -> Iterator[list[str]]:
    """Yield tables of the number of records by model, source, end and day."""
    models = {f"{one.model} {one.fingerprint}": one.num_records for one in found.by_model}
    days = {f"{day}": count for day, count in found.by_day.items() if count}
    for name, counts in (
        ("model", models),
        ("source", found.by_source),
        ("finish reason", found.by_finish_reason),
        ("day (UTC, of the last 30)", days),
    ):
        if counts:
            rows = [(_shown(key), f"{count:,}") for key, count in counts.items()]
            yield aligned([(name, "records"), *rows], right=[1])
