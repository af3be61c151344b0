"""What a history is like, without changing it: :func:`read_state`."""

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from lorelm.history.database import (
    engine_of,
    parse_address,
    place_of,
    read_revision,
    wrap_database_errors,
)
from lorelm.history.statistics import size_bytes
from lorelm.history.tables import RECORDS, REVISIONS


class HistoryState(NamedTuple):
    """A history as it is.

    Attributes:
        place: its path, or its URL without password.
        revision: the last migration of its tables; None: there is no history yet.
        newest_revision: the one that this version of LoreLM makes of it.
        num_bytes: of the database.
    """

    place: str
    revision: str | None
    newest_revision: str
    num_records: int
    num_bytes: int


def read_state(address: str | None) -> HistoryState:
    """Read what a history is like; neither the file nor its tables are made or upgraded.

    Args:
        address: see :func:`open_database`.

    Raises:
        HistoryURLError: the address is invalid.
        HistoryError: it cannot be read, or is of a later version of LoreLM.
        MissingExtraError: the driver for PostgreSQL is not installed.
    """
    url = parse_address(address)
    place = place_of(url)
    nothing = HistoryState(place, None, REVISIONS[-1], 0, 0)
    if url.get_backend_name() == "sqlite" and not Path(place).exists():
        return nothing
    engine = engine_of(url)
    count = select(func.count()).select_from(RECORDS)
    try:
        with (
            wrap_database_errors(f"the history in {place} cannot be read"),
            engine.begin() as connection,
        ):
            revision = read_revision(connection, place)
            if revision is None:
                return nothing
            return nothing._replace(
                revision=revision,
                num_records=connection.execute(count).scalar_one(),
                num_bytes=size_bytes(connection),
            )
    finally:
        engine.dispose()
