"""Texts that browsers keep: :class:`DraftStore`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)

from lorelm.errors import DraftConflictError, DraftError, UnknownDraftError
from lorelm.history.content import Content, decode_content, encode_content, excerpt_of, text_of
from lorelm.history.record import microseconds_of, moment_of, new_id
from lorelm.history.store import HistoryStore
from lorelm.history.tables import DRAFTS, decode_text, encode_text, search_text

MAX_DRAFTS: Final = 20_000
"""Of one browser."""

_LONG_COLUMNS: Final = ("content", "searched")
_SHORT: Final = [column for column in DRAFTS.columns if column.name not in _LONG_COLUMNS]
_ORDER: Final = (DRAFTS.c.is_starred, DRAFTS.c.changed_at, DRAFTS.c.id)
_TEXTS: Final = ("id", "browser", "name", "model", "excerpt")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A text that a browser keeps under a name.

    Attributes:
        browser: id of the browser that keeps it.
        version: counts how often the text has changed; a save names the one that it replaces.
        changed_at: time of the last change of the text.
        model: name of the model that wrote parts of it; may be empty.
        excerpt: the beginning of the text.
        content: None in lists.
    """

    id: str
    browser: str
    name: str
    is_starred: bool
    version: int
    created_at: datetime
    changed_at: datetime
    model: str
    excerpt: str
    content: Content | None = None


class DraftStore:
    """The drafts in the database of a history.

    Every method raises a :class:`HistoryError` if the database fails. Those that take an id raise
    an :class:`UnknownDraftError` if the browser has no such draft.
    """

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    def add(
        self,
        browser: str,
        *,
        name: str,
        content: Content,
        model: str = "",
        is_starred: bool = False,
    ) -> Draft:
        """Keep a new draft.

        Raises:
            DraftError: the browser has too many.
        """
        now = datetime.now(UTC)
        draft_id, moment = new_id(now), microseconds_of(now)
        row = {
            "id": draft_id,
            "browser": encode_text(browser),
            "created_at": moment,
            "is_starred": is_starred,
            "version": 1,
            "name": encode_text(name),
            **_text_columns(name, content, model, moment),
        }
        count = select(func.count()).where(DRAFTS.c.browser == row["browser"])
        with self._store.writing() as connection:
            if connection.execute(count).scalar_one() >= MAX_DRAFTS:
                raise DraftError(
                    f"this browser keeps {MAX_DRAFTS:,} drafts already: delete some",
                    code="draft.too_many",
                )
            connection.execute(insert(DRAFTS), [row])
            return _find(connection, browser, draft_id)

    def find(
        self, browser: str | None, *, search: str = "", after: str | None = None, limit: int = 20
    ) -> list[Draft]:
        """Return drafts without content: starred ones first, then by the last change.

        Args:
            browser: only of this browser; None: of all.
            search: only those whose name and text contain this, regardless of case.
            after: only those behind the draft with this :func:`place_of`, for the next page.

        Raises:
            DraftError: `after` is no such place.
        """
        query = select(*_SHORT)
        if browser is not None:
            query = query.where(DRAFTS.c.browser == encode_text(browser))
        if search:
            query = query.where(self._store.contains(DRAFTS.c.searched, search))
        if after is not None:
            query = query.where(tuple_(*_ORDER) < tuple_(*map(literal, _parse_place(after))))
        query = query.order_by(*(column.desc() for column in _ORDER)).limit(limit)
        with self._store.reading() as connection:
            return [_draft_of(row) for row in connection.execute(query).mappings()]

    def get(self, browser: str, draft_id: str) -> Draft:
        """Return a draft with its content."""
        with self._store.reading() as connection:
            return _find(connection, browser, draft_id, with_content=True)

    def save(
        self, browser: str, draft_id: str, *, version: int, content: Content, model: str
    ) -> Draft:
        """Replace a version of the text; a text that is kept already is not saved again.

        Raises:
            DraftConflictError: the text has another version now, and is another one.
        """
        moment = microseconds_of(datetime.now(UTC))
        with self._store.writing() as connection:
            kept = _find(connection, browser, draft_id, with_content=True, for_update=True)
            # A reply that got lost is no conflict.
            if kept.content == content:
                return kept
            if kept.version != version:
                raise DraftConflictError(
                    f"{kept.name!r} was saved in another tab or window meanwhile: version "
                    f"{kept.version} is kept, not {version}"
                )
            columns = _text_columns(kept.name, content, model, moment)
            connection.execute(
                update(DRAFTS).where(_is_draft(browser, draft_id)),
                columns | {"version": version + 1},
            )
            return _find(connection, browser, draft_id)

    def change(
        self,
        browser: str,
        draft_id: str,
        *,
        name: str | None = None,
        is_starred: bool | None = None,
    ) -> Draft:
        """Rename a draft, or add or remove its star; its text and version stay."""
        columns: dict[str, Any] = {}
        with self._store.writing() as connection:
            kept = _find(connection, browser, draft_id, with_content=True, for_update=True)
            if name is not None:
                columns["name"] = encode_text(name)
                columns["searched"] = _searched(name, kept.content or ())
            if is_starred is not None:
                columns["is_starred"] = is_starred
            if columns:
                connection.execute(update(DRAFTS).where(_is_draft(browser, draft_id)), columns)
            return _find(connection, browser, draft_id)

    def delete(self, browser: str, draft_id: str) -> Draft:
        """Delete a draft and return it, so that a person can take that back."""
        with self._store.writing() as connection:
            draft = _find(connection, browser, draft_id, with_content=True)
            connection.execute(delete(DRAFTS).where(_is_draft(browser, draft_id)))
        self._store.truncate_log()
        return draft


def place_of(draft: Draft) -> str:
    """Return the place of a draft in the order of :meth:`DraftStore.find`."""
    return f"{int(draft.is_starred)}.{microseconds_of(draft.changed_at)}.{draft.id}"


def _parse_place(place: str) -> tuple[bool, int, str]:
    match = re.fullmatch(r"([01])\.([0-9]{1,18})\.([0-9a-f]{32})", place)
    if match is None:
        raise DraftError(
            f"there is no draft at {place!r}: begin with the first", code="draft.place"
        )
    return match[1] == "1", int(match[2]), match[3]


def _find(
    connection: Connection,
    browser: str,
    draft_id: str,
    *,
    with_content: bool = False,
    for_update: bool = False,
) -> Draft:
    """Return a draft; with `for_update`, other transactions that do so wait for this one's end."""
    columns = [*_SHORT, DRAFTS.c.content] if with_content else _SHORT
    query = select(*columns).where(_is_draft(browser, draft_id))
    if for_update:
        query = query.with_for_update()  # in SQLite, a transaction that writes is alone anyway
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise UnknownDraftError("this browser has no such draft: it may have been deleted")
    return _draft_of(row)


def _is_draft(browser: str, draft_id: str) -> ColumnElement[bool]:
    return and_(DRAFTS.c.id == encode_text(draft_id), DRAFTS.c.browser == encode_text(browser))


def _draft_of(row: RowMapping) -> Draft:
    values: dict[str, Any] = dict(row)
    values |= {name: decode_text(values[name]) for name in _TEXTS}
    values |= {name: moment_of(values[name]) for name in ("created_at", "changed_at")}
    if "content" in values:
        values["content"] = decode_content(values["content"])
    return Draft(**values)


def _text_columns(name: str, content: Content, model: str, moment: int) -> dict[str, Any]:
    """Return what changes with the text; the name is searched together with it."""
    return {
        "changed_at": moment,
        "model": encode_text(model),
        "excerpt": encode_text(excerpt_of(content)),
        "content": encode_content(content),
        "searched": _searched(name, content),
    }


def _searched(name: str, content: Content) -> str:
    return search_text(f"{name}\n{text_of(content)}")
