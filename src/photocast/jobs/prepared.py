# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""One query that is asked all the time, on SQLite past SQLAlchemy.

SQLite answers a point query in microseconds; taking a connection from the pool, compiling, and
wrapping the row takes SQLAlchemy ten times as long. So each thread keeps a connection for it.
"""

import threading
from typing import Any

from sqlalchemy import Select

from photocast.jobs.database import Database, told

__all__ = ["Prepared"]


class Prepared:
    """A query of one row of numbers and text, which need no conversion."""

    def __init__(self, database: Database, query: Select[Any]) -> None:
        """Compile a query for a database."""
        self._database, self._query = database, query
        compiled = query.compile(dialect=database.engine.dialect)
        self._text, self._fixed = str(compiled), compiled.params
        self._names = tuple(compiled.positiontup or ())
        self._own = threading.local()

    def row(self, **values: Any) -> tuple[Any, ...] | None:
        """Ask; ``None`` if nothing is found.

        Raises:
            DatabaseDown: The database does not answer.
        """
        if not self._database.is_sqlite:
            with self._database.read() as connection:
                found = connection.execute(self._query, values).first()
            return None if found is None else tuple(found)
        given = [values.get(name, self._fixed[name]) for name in self._names]
        with told():
            row: tuple[Any, ...] | None = self._cursor().execute(self._text, given).fetchone()
        return row

    def _cursor(self) -> Any:
        if not hasattr(self._own, "cursor"):
            self._own.connection = self._database.keep()
            self._own.cursor = self._own.connection.cursor()
        return self._own.cursor
