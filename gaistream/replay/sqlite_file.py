"""The file of an `SQLiteLog`: its schema, how it is opened, and what its errors mean.

The file tells whose it is (application_id) and which schema it has (user_version). A file of
another program, or with a newer schema, is refused and left as it is.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Final

from ..errors import LogError

APPLICATION: Final = 0x67616973  # "gais"
SCHEMA: Final = 1
_MOST_WAL: Final = 64 * 2**20  # bytes that its file keeps after a checkpoint
_CREATE: Final = """
CREATE TABLE meta (
    version INTEGER NOT NULL, drops INTEGER NOT NULL, last_epoch INTEGER NOT NULL);
INSERT INTO meta VALUES (0, 0, 0);
CREATE TABLE streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL,
    oldest INTEGER NOT NULL, newest INTEGER NOT NULL, bytes INTEGER NOT NULL,
    lease REAL NOT NULL, lease_ends REAL NOT NULL, changed REAL NOT NULL,
    stopping INTEGER NOT NULL, end_kind TEXT, end_message TEXT, version INTEGER NOT NULL);
CREATE INDEX streams_by_version ON streams (version);
CREATE TABLE batches (
    stream INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
    size INTEGER NOT NULL, records BLOB NOT NULL, PRIMARY KEY (stream, first)) WITHOUT ROWID;
CREATE TABLE garbage (stream INTEGER PRIMARY KEY);
CREATE TABLE stops (name TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
"""
_REASONS: Final = {  # by SQLite's primary result code
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
}


def log_error(error: sqlite3.Error, path: str) -> LogError:
    """Return the LogError for an error of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return LogError(f"the log {path}: {error}", _REASONS.get(code, "unavailable"))


def open_file(path: str, *, durable: bool, lock_timeout: float) -> sqlite3.Connection:
    """Open a log, and create it in an empty file. The connection is in autocommit mode.

    Raises:
        LogError: the file is not a log, or has the schema of a newer gaistream.
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(path, timeout=lock_timeout, isolation_level=None)
    try:
        exists = _check_schema(connection, path)
        _use_wal(connection, path, time.monotonic() + lock_timeout)
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute(f"PRAGMA journal_size_limit = {_MOST_WAL}")
        if not exists:
            _create(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection, path: str, until: float) -> None:
    while True:  # a change of the journal mode does not wait for a lock by itself
        try:
            [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise LogError(f"the log {path} cannot use WAL: its journal mode is {mode}")


def _create(connection: sqlite3.Connection, path: str) -> None:
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    try:
        if not _check_schema(connection, path):  # nor has another process created it
            for statement in filter(str.strip, _CREATE.split(";")):
                execute(statement)
            execute(f"PRAGMA application_id = {APPLICATION}")
            execute(f"PRAGMA user_version = {SCHEMA}")
        execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            execute("ROLLBACK")
        raise


def _check_schema(connection: sqlite3.Connection, path: str) -> bool:
    """Return False for an empty file; raise LogError if it is not a log that can be used."""
    execute = connection.execute
    [schema] = execute("PRAGMA user_version").fetchone()
    [application] = execute("PRAGMA application_id").fetchone()
    [tables] = execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not schema and not application and not tables:
        return False
    if application != APPLICATION:
        raise LogError(f"{path} is not a log, but another database", "corrupt")
    if schema > SCHEMA:
        raise LogError(
            f"the log {path} has schema {schema}, written by a newer gaistream: this one reads "
            f"schema {SCHEMA}",
            "newer_schema",
        )
    return True
