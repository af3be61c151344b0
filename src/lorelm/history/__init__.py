"""The log of prompts and generations, in SQLite or PostgreSQL.

::

    record.py      Record: one sample, and what it takes to make it again
    database.py    opens a database by its URL, and brings its tables up to date
    tables.py      the tables; migrations/ how they came to be
    rows.py        records to rows and back, whatever characters are in them
    store.py       HistoryStore: add, find, delete, prune, count
    statistics.py  HistoryStats: what there is
    writer.py      HistoryWriter: a thread that writes, so that nobody waits for a database
    export.py      records as JSON and CSV
"""
