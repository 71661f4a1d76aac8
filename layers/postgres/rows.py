"""psycopg's row factories, by the names that they have there.

psycopg is loaded when rows are read: its import takes a tenth of a second, and what Valkey answers alone needs none.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Cursor

type Factory[Row] = Callable[["Cursor[Any]"], Callable[[Sequence[Any]], Row]]


def class_row[Row](kind: type[Row]) -> Factory[Row]:
    """Rows as objects of the class, made with the columns' names."""

    def make(cursor: "Cursor[Any]") -> Callable[[Sequence[Any]], Row]:
        from psycopg import rows  # noqa: PLC0415

        return rows.class_row(kind)(cursor)

    return make


def args_row[Row](function: Callable[..., Row]) -> Factory[Row]:
    """Rows as results of the function, called with the columns in order."""

    def make(cursor: "Cursor[Any]") -> Callable[[Sequence[Any]], Row]:
        from psycopg import rows  # noqa: PLC0415

        return rows.args_row(function)(cursor)

    return make
