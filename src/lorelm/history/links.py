"""Texts that anybody with the link can read: :class:`LinkStore`."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select

from lorelm.errors import DraftError, UnknownDraftError
from lorelm.history.content import Content, decode_content, encode_content, excerpt_of
from lorelm.history.record import microseconds_of, moment_of, new_id
from lorelm.history.store import HistoryStore
from lorelm.history.tables import LINKS, decode_text, encode_text

MAX_LINKS: Final = 1_000
"""Of one browser."""

_SECRET_BYTES: Final = 24
"""192 random bits: nobody finds a link by trying."""

_OTHER_COLUMNS: Final = ("secret_hash", "content")
_SHORT: Final = [column for column in LINKS.columns if column.name not in _OTHER_COLUMNS]
_TEXTS: Final = ("id", "browser", "name", "model", "excerpt")


@dataclass(frozen=True, kw_only=True)
class Link:
    """A text as it was when its writer made a link to it.

    Attributes:
        browser: id of the browser that made it.
        model: name of the model that wrote parts of it; may be empty.
        excerpt: the beginning of the text.
        content: None in lists.
    """

    id: str
    browser: str
    name: str
    created_at: datetime
    model: str
    excerpt: str
    content: Content | None = None


class LinkStore:
    """The links in the database of a history, which keeps hashes of their secrets only.

    Every method raises a :class:`HistoryError` if the database fails.
    """

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    def add(
        self, browser: str, *, name: str, content: Content, model: str = ""
    ) -> tuple[Link, str]:
        """Make a link to a text; return it and its secret, which cannot be read again.

        Raises:
            DraftError: the browser has too many.
        """
        now = datetime.now(UTC)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        row = {
            "id": new_id(now),
            "secret_hash": _hash(secret),
            "browser": encode_text(browser),
            "created_at": microseconds_of(now),
            "name": encode_text(name),
            "model": encode_text(model),
            "excerpt": encode_text(excerpt_of(content)),
            "content": encode_content(content),
        }
        count = select(func.count()).where(LINKS.c.browser == row["browser"])
        with self._store.writing() as connection:
            if connection.execute(count).scalar_one() >= MAX_LINKS:
                raise DraftError(
                    f"this browser has {MAX_LINKS:,} links already: revoke some",
                    code="draft.too_many_links",
                )
            connection.execute(insert(LINKS), [row])
            query = select(*_SHORT).where(LINKS.c.id == row["id"])
            made = connection.execute(query).mappings().one()
        return _link_of(made), secret

    def find(self, browser: str | None) -> list[Link]:
        """Return the links of a browser, of all browsers with None: no content, newest first."""
        order = (LINKS.c.created_at.desc(), LINKS.c.id.desc())
        query = select(*_SHORT).where(*_is_of(browser)).order_by(*order)
        with self._store.reading() as connection:
            return [_link_of(row) for row in connection.execute(query).mappings()]

    def read(self, secret: str) -> Link | None:
        """Return the text of a link; None if there is no such link, or no longer."""
        query = select(*_SHORT, LINKS.c.content).where(LINKS.c.secret_hash == _hash(secret))
        with self._store.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _link_of(row)

    def revoke(self, browser: str | None, link_id: str) -> None:
        """Delete a link of a browser, of any with None, and its copy of the text.

        Raises:
            UnknownDraftError: there is no such link.
        """
        query = delete(LINKS).where(LINKS.c.id == encode_text(link_id), *_is_of(browser))
        with self._store.writing() as connection:
            if not connection.execute(query).rowcount:
                raise UnknownDraftError("there is no such link: it may be revoked already")
        self._store.truncate_log()


def _is_of(browser: str | None) -> list[ColumnElement[bool]]:
    return [] if browser is None else [LINKS.c.browser == encode_text(browser)]


def _hash(secret: str) -> str:
    # A secret of 192 random bits needs no slow hash.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _link_of(row: RowMapping) -> Link:
    values: dict[str, Any] = dict(row)
    values |= {name: decode_text(values[name]) for name in _TEXTS}
    values["created_at"] = moment_of(values["created_at"])
    if "content" in values:
        values["content"] = decode_content(values["content"])
    return Link(**values)
