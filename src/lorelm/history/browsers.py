"""All that the history has of one browser: :func:`count_texts` and :func:`delete_texts`."""

from typing import Final, NamedTuple

from sqlalchemy import Table, delete, func, select

from lorelm.history.store import HistoryStore
from lorelm.history.tables import DRAFTS, LINKS, RECORDS, encode_text

TABLES: Final[tuple[Table, ...]] = (RECORDS, DRAFTS, LINKS)
"""Those whose rows belong to a browser, in the order of the fields of :class:`BrowserTexts`."""


class BrowserTexts(NamedTuple):
    """How many texts of each kind a browser has."""

    num_records: int
    num_drafts: int
    num_links: int


def count_texts(store: HistoryStore, browser: str) -> BrowserTexts:
    """Count what :func:`delete_texts` would delete now.

    Raises:
        HistoryError: the database fails.
    """
    browser = encode_text(browser)
    with store.reading() as connection:
        return BrowserTexts(
            *(
                connection.execute(
                    select(func.count()).select_from(table).where(table.c.browser == browser)
                ).scalar_one()
                for table in TABLES
            )
        )


def delete_texts(store: HistoryStore, browser: str) -> BrowserTexts:
    """Delete the generations, drafts and links of a browser, all or nothing; return how many.

    Raises:
        HistoryError: the database fails.
    """
    browser = encode_text(browser)
    with store.writing() as connection:
        deleted = BrowserTexts(
            *(
                connection.execute(delete(table).where(table.c.browser == browser)).rowcount
                for table in TABLES
            )
        )
    store.truncate_log()
    return deleted
