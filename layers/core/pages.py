"""Paging through lists by keyset (R-F1): a cursor holds the sort keys of the last row shown.

So no row is repeated or missed when other rows are added or removed.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from layers.core import cursors
from layers.core.models import Page, Viewer

NEWEST_FIRST: Final = ("infinity", UUID(int=0))
"""Sorts before all rows of a list by time descending, then id ascending; times are in PostgreSQL's text format."""
LAST_ID: Final = (UUID(int=2**128 - 1),)
"""Sorts before all rows of a list by id descending."""
FIRST_ID: Final = (UUID(int=0),)
"""Sorts before all rows of a list by id ascending."""
HIGHEST_FIRST: Final = (2**62, UUID(int=2**128 - 1))
"""Sorts before all rows of a list by a number descending, then id descending."""

_KEYS: Final[dict[tuple[type, ...], type]] = {
    (str, UUID): tuple[str, UUID],
    (UUID,): tuple[UUID],
    (int, UUID): tuple[int, UUID],
}


class Row[Item](msgspec.Struct, frozen=True):
    """A row of a list: its sort keys and the item to show."""

    keys: tuple[object, ...]
    item: Item


class Window[Keys: tuple[object, ...]](msgspec.Struct, frozen=True):
    """The part of a list to read for one page."""

    after: Keys
    """The sort keys of the last row of the previous page."""
    size: int
    list_name: str
    viewer_id: UUID | None

    @property
    def at_most(self) -> int:
        """The number of rows to read: one more than the page shows, to find out whether there is a next page."""
        return self.size + 1

    def page[Item](self, rows: Sequence[Row[Item]]) -> tuple[list[Item], str | None]:
        """The items of the page, and the cursor of the next page; None on the last page (R-F2)."""
        shown = rows[: self.size]
        is_last = len(rows) <= self.size
        cursor = None if is_last else cursors.encode(self.list_name, self.viewer_id, shown[-1].keys)
        return [row.item for row in shown], cursor


def window[Keys: tuple[object, ...]](
    query: Page, list_name: str, *, viewer: Viewer | None, start: Keys
) -> Window[Keys]:
    """The window for a query; raises `Invalid` for a cursor of another list or viewer (R-F6).

    `start` is `NEWEST_FIRST` or another of the constants above, by the order of the list. `list_name` must be unique to
    the list: if the list belongs to an account or a post, it contains that id.
    """
    viewer_id = viewer.id if viewer else None
    after = start
    if query.cursor is not None:
        kind = _KEYS[tuple(type(key) for key in start)]
        after = cursors.decode(query.cursor, list_name, viewer_id, kind)
    return Window(after=after, size=query.size, list_name=list_name, viewer_id=viewer_id)
