"""What Alembic runs: the migrations, in the transaction of the caller.

A new migration is a file in ``versions/`` and a number in ``tables.REVISIONS``; a test compares
what the migrations make with the tables as they are written down.
"""

from alembic import context

from lorelm.history.tables import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
