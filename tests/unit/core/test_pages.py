"""Pages of lists: what is asked for, and the cursor that leads on."""

from uuid import UUID, uuid4

import pytest

from layers.core import pages
from layers.core.errors import Invalid
from layers.core.models import ExplorePage, GridPage, Page, RepliesPage, Viewer
from layers.core.pages import FIRST_ID, HIGHEST_FIRST, LAST_ID, NEWEST_FIRST, Row, Window

ROWS = [Row(keys=(number, UUID(int=number)), item=f"row {number}") for number in range(5, 0, -1)]


def _window(query: Page, *, viewer: Viewer | None = None, name: str = "things") -> Window[tuple[int, UUID]]:
    return pages.window(query, name, viewer=viewer, start=HIGHEST_FIRST)


def _viewer() -> Viewer:
    return Viewer(id=uuid4(), username="ada", role="user", session_id="s")


@pytest.mark.rule("R-F2")
def test_the_last_page_has_no_cursor_also_when_it_is_full() -> None:
    assert _window(Page(limit=5)).page(ROWS) == ([row.item for row in ROWS], None)
    shown, cursor = _window(Page(limit=4)).page(ROWS)
    assert (len(shown), cursor is None) == (4, False)
    assert _window(Page()).page([]) == ([], None)


def test_a_cursor_leads_on_after_the_last_row_shown() -> None:
    _, cursor = _window(Page(limit=2)).page(ROWS)

    assert _window(Page(cursor=cursor)).after == (4, UUID(int=4))
    assert _window(Page()).after == HIGHEST_FIRST


@pytest.mark.rule("R-F6")
def test_a_cursor_of_another_list_viewer_or_order_is_refused() -> None:
    viewer = _viewer()
    _, cursor = _window(Page(limit=2), viewer=viewer).page(ROWS)
    query = Page(cursor=cursor)

    assert _window(query, viewer=viewer).after == (4, UUID(int=4))
    for refused in (
        lambda: _window(query),
        lambda: _window(query, viewer=_viewer()),
        lambda: _window(query, viewer=viewer, name="others"),
        lambda: pages.window(query, "things", viewer=viewer, start=LAST_ID),
    ):
        with pytest.raises(Invalid):
            refused()


@pytest.mark.parametrize("start", [NEWEST_FIRST, LAST_ID, FIRST_ID, HIGHEST_FIRST])
def test_every_order_can_be_paged(start: tuple[object, ...]) -> None:
    window = pages.window(Page(limit=1), "things", viewer=None, start=start)
    _, cursor = window.page([Row(keys=start, item="a"), Row(keys=start, item="b")])

    assert pages.window(Page(cursor=cursor), "things", viewer=None, start=start).after == start


def test_sizes_are_the_contracts() -> None:
    assert [kind().size for kind in (Page, GridPage, ExplorePage, RepliesPage)] == [20, 12, 24, 10]
    assert [Page(limit=limit).size for limit in (1, 100, 101, 10**9)] == [1, 100, 100, 100]
    assert _window(Page(limit=100)).at_most == 101
