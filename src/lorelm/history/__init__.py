"""The log of prompts and generations, and what people keep, in SQLite or PostgreSQL.

::

    record.py      Record: one sample, with everything needed to generate it again
    database.py    open a database by its URL and migrate its tables
    tables.py      the tables, and records as their rows; migrations/ create and change them
    store.py       HistoryStore: add, find, delete, prune, count
    statistics.py  HistoryStats: counts of records
    drafts.py      DraftStore: texts that browsers keep
    links.py       LinkStore: texts that anybody with the link can read
    browsers.py    count and delete all that the history has of one browser
    content.py     texts of drafts and links as rows
    writer.py      HistoryWriter: a background thread that writes batches
    export.py      records as JSON and CSV
"""
