# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL by the driver pg8000, with errors of the kinds that SQLAlchemy's other drivers raise.

The driver has one class for all that the server says, and lets a timeout of its socket through as
it is. Here a broken or silent connection is a *network error*, after which it is not used again,
and the server's code (SQLSTATE) decides whether the statement or the server is at fault.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from pg8000.dbapi import Error, InterfaceError
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.pg8000 import PGDialect_pg8000
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

__all__ = ["Dialect", "postgres_engine"]

_ANSWER_S = 10.0  # for a connection and for each answer
_SETTINGS = {
    "statement_timeout": "9000",  # [ms]
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",  # whoever hangs gives its locks back
}
# Classes of SQLSTATE by which the server, and not the statement, is at fault: connection, rollback
# (deadlock), resources, locks, operator, system.
_AT_FAULT = ("08", "25P03", "40", "53", "55", "57", "58")
_GONE = ("08", "25P03", "57P")  # the connection with it


class Dialect(PGDialect_pg8000):
    """pg8000, but a socket that breaks or times out is an error of the driver."""

    supports_statement_cache = True

    def do_ping(self, dbapi_connection: Any) -> bool:
        with self._network():
            return super().do_ping(dbapi_connection)

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        with self._network():
            super().do_execute(cursor, statement, parameters, context)

    def do_executemany(
        self, cursor: Any, statement: str, parameters: Any, context: Any = None
    ) -> None:
        with self._network():
            super().do_executemany(cursor, statement, parameters, context)

    def do_commit(self, dbapi_connection: Any) -> None:
        with self._network():
            super().do_commit(dbapi_connection)

    def do_rollback(self, dbapi_connection: Any) -> None:
        with self._network():
            super().do_rollback(dbapi_connection)

    def do_close(self, dbapi_connection: Any) -> None:
        with contextlib.suppress(OSError, Error):  # it is closed already, over there
            super().do_close(dbapi_connection)

    @contextlib.contextmanager
    def _network(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InterfaceError(f"network error: {error}") from error


registry.register("postgresql.photocast", __name__, "Dialect")


def postgres_engine(url: URL, pool_size: int, max_overflow: int) -> Engine:
    """Get ready to connect; no server that hangs is waited for longer than some seconds."""
    engine = create_engine(
        url.set(drivername="postgresql+photocast"),
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=_ANSWER_S,
        pool_pre_ping=True,
        connect_args={"timeout": _ANSWER_S, "tcp_keepalive": True, "startup_params": _SETTINGS},
    )
    event.listen(engine, "handle_error", _kind_of_error)
    return engine


def _kind_of_error(context: ExceptionContext) -> BaseException | None:
    known, cause = context.sqlalchemy_exception, context.original_exception
    if not isinstance(known, DBAPIError):
        return None
    facts = cause.args[0] if cause.args and isinstance(cause.args[0], dict) else {"C": "08000"}
    code = str(facts.get("C", ""))
    if code.startswith(_GONE):
        context.is_disconnect = True
    if not code.startswith(("23", *_AT_FAULT)):
        return None
    kind = IntegrityError if code.startswith("23") else OperationalError
    return kind(known.statement, known.params, cause, connection_invalidated=context.is_disconnect)
