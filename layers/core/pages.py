"""Pages of lists by keyset: a cursor holds the sort keys of the last row shown, so that nothing is shown twice or
skipped when rows come and go.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from layers.core import cursors
from layers.core.models import Page, Viewer

NEWEST_FIRST: Final = ("infinity", UUID(int=0))
"""Before the first row of a list by time descending, then id ascending; the times are PostgreSQL's words."""
LAST_ID: Final = (UUID(int=2**128 - 1),)
"""Before the first row of a list by id descending."""
FIRST_ID: Final = (UUID(int=0),)
"""Before the first row of a list by id ascending."""
HIGHEST_FIRST: Final = (2**62, UUID(int=2**128 - 1))
"""Before the first row of a list by a number descending, then id descending."""

_KEYS: Final[dict[tuple[type, ...], type]] = {
    (str, UUID): tuple[str, UUID],
    (UUID,): tuple[UUID],
    (int, UUID): tuple[int, UUID],
}


class Row[Item](msgspec.Struct, frozen=True):
    """A row of a list: its sort keys, and what is shown of it."""

    keys: tuple[object, ...]
    shown: Item


class Window[Keys: tuple[object, ...]](msgspec.Struct, frozen=True):
    """What of a list is asked for."""

    after: Keys
    """Sort keys of the last row of the page before."""
    size: int
    list_name: str
    viewer_id: UUID | None

    @property
    def at_most(self) -> int:
        """Rows to read: one more than is shown tells whether there are more."""
        return self.size + 1

    def page[Item](self, rows: Sequence[Row[Item]]) -> tuple[list[Item], str | None]:
        """What is shown of the rows, and the cursor that leads on; None on the last page."""
        shown = rows[: self.size]
        is_last = len(rows) <= self.size
        cursor = None if is_last else cursors.written(self.list_name, self.viewer_id, shown[-1].keys)
        return [row.shown for row in shown], cursor


def window[Keys: tuple[object, ...]](
    query: Page, list_name: str, *, viewer: Viewer | None, start: Keys
) -> Window[Keys]:
    """The window that a query asks for; raises `Invalid` for a cursor that is not one of this list and viewer's.

    `start` says the order: `NEWEST_FIRST` and its like. The list's name tells it from every other one, that of another
    account or post too.
    """
    viewer_id = viewer.id if viewer else None
    after = start
    if query.cursor is not None:
        kind = _KEYS[tuple(type(key) for key in start)]
        after = cursors.read(query.cursor, list_name, viewer_id, kind)
    return Window(after=after, size=query.size, list_name=list_name, viewer_id=viewer_id)
