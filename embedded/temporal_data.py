"""The embedded server's database: what a start leaves of it that was broken off."""

import sqlite3
from contextlib import closing
from pathlib import Path

# The files of a SQLite database, itself the last: who is killed in between finds it again.
FILES = ("-wal", "-shm", "")


def drop_unfinished(database: Path) -> bool:
    """Remove a database in which no namespace was ever made; whether there was one.

    The server makes tables and then its namespaces before it serves anybody, and makes no tables
    where it finds a file: killed in between, it leaves a file with which it never starts again
    ("no such table: namespaces"). No workflow can be in it. Only for whoever holds the server's
    lock. A file that cannot be read is left alone.
    """
    if not database.is_file():
        return False
    file = database.absolute().as_uri()
    try:
        with closing(sqlite3.connect(f"{file}?mode=ro", uri=True)) as reading:
            tables = reading.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if ("namespaces",) in tables.fetchall():
                rows = reading.execute("SELECT 1 FROM namespaces LIMIT 1")
                if rows.fetchone():
                    return False
    except sqlite3.Error:
        return False
    for suffix in FILES:
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    return True
