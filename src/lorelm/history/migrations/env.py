"""Run the migrations in the transaction of the caller; Alembic executes this file.

A new migration is a file in ``versions/`` and an entry in ``tables.REVISIONS``.
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
