"""Paging through any list yields each row once, whatever comes and goes; cursors are opaque, signed and bound."""

import re
import string
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.admin import list_all_users
from layers.core.models import Admin, Page
from tests.integration.exactness.lists import LISTS, OF_MESSAGES, Listed, listed, paged_functions
from tests.support.soak import EXAMPLES, bounded

each_list = pytest.mark.parametrize("name", LISTS)

CURSOR = re.compile(r"[A-Za-z0-9._~:-]+")
ALPHABET = string.ascii_letters + string.digits + "-_"
MOST = 100
BAD_CURSORS = ["", "x", "AAAA", "A" * 40, "%00", "\x00", "é", "null", "A" * 5000, "20", "2026-13-01T00:00:00Z", "A="]

NEW_YEAR = "2026-01-01T00:00:00Z"
FILTERS = [
    (name, field.encode_name)
    for name, kind in LISTS.items()
    for field in msgspec.structs.fields(kind.module.handler.signature.query)
    if field.name not in Page.__struct_fields__
]

slots = st.integers(0, 3)
"""Few, so that many rows have equal timestamps."""
changes = st.lists(st.tuples(slots, st.one_of(st.none(), st.integers(0, 8))), max_size=3)
"""Between two pages: a row arrives in a slot, or the one at some place leaves."""


@pytest.fixture(autouse=True)
def _unlimited(unlimited: None) -> None:
    """These tests are not about limits."""


@pytest.fixture
def rows(name: str) -> Iterator[Listed]:
    """A list without rows; they are gone at the end."""
    found = listed(name)
    found.clear()
    yield found
    found.clear()


def test_every_list_is_in_this_suite() -> None:
    assert set(LISTS) == paged_functions() - OF_MESSAGES


@pytest.mark.rule("R-F1", "R-F2", "R-F3")
@each_list
@pytest.mark.timeout(2 * EXAMPLES)
@bounded(EXAMPLES * 2 // 3)
@given(first=st.lists(slots, max_size=9), limit=st.integers(1, 4), between=st.lists(changes, max_size=4))
def test_each_row_once_in_order_whatever_comes_and_goes(
    name: str, first: list[int], limit: int, between: list[list[tuple[int, int | None]]]
) -> None:
    rows = listed(name)
    rows.clear()
    rows.add(*first)
    coming = iter(between)
    after: tuple[int, ...] | None = None
    cursor: str | None = None
    while True:
        page, cursor = rows.page(limit=limit, cursor=cursor)
        shown, rest = rows.own(page), rows.expected(after=after)
        assert shown == rest[: len(shown)]
        assert rows.kind.is_shared or (len(page), cursor is None) == (min(limit, len(rest)), len(rest) <= limit)
        if shown == rest:
            break
        assert cursor
        assert CURSOR.fullmatch(cursor)
        after = rows.place(page[-1])
        for slot, leaving in next(coming, []):
            if leaving is None:
                rows.add(slot)
            elif leaving < len(rows.rows):
                rows.remove(rows.expected()[leaving])
    rows.clear()


@pytest.mark.rule("R-F1")
@each_list
def test_without_a_limit_a_page_has_as_many_as_the_contract_says_and_above_100_is_100(rows: Listed) -> None:
    rows.add(*range(MOST + 3))
    expected = rows.expected()

    for limit, size in ((None, rows.kind.default), (MOST, MOST), (MOST + 1, MOST), (10**6, MOST), (10**30, MOST)):
        page, cursor = rows.page(limit=limit)
        shown = rows.own(page)
        assert len(page) == size
        assert shown == expected[: len(shown)]
    last, end = rows.page(limit=10**30, cursor=cursor)
    assert rows.own(last) == expected[len(shown) :][: len(rows.own(last))]
    assert rows.kind.is_shared or (len(last), end) == (3, None)


@pytest.mark.rule("R-F6")
@each_list
@pytest.mark.parametrize(
    "limit", ["0", "-1", "x", "1.5", "15e-1", "", "null", "0x10", "١٢", "-" + "9" * 40, "1 OR 1=1"]
)
def test_a_limit_that_is_no_positive_integer_is_400(rows: Listed, limit: str) -> None:
    reply = rows.ask(limit=limit)

    assert reply.status == 400, limit
    assert reply.json["error"]


@pytest.mark.rule("R-F6")
@each_list
@pytest.mark.parametrize("cursor", BAD_CURSORS)
def test_a_cursor_that_cannot_be_read_is_400(rows: Listed, cursor: str) -> None:
    assert rows.ask(cursor=cursor).status == 400


@pytest.mark.rule("R-F6")
@each_list
def test_an_altered_cursor_is_400_wherever_it_is_altered(rows: Listed) -> None:
    rows.add(0, 0, 1)
    cursor = rows.page(limit=1)[1]
    assert cursor
    altered = [cursor[:place] + _other(cursor[place]) + cursor[place + 1 :] for place in range(len(cursor))]
    altered += [cursor[:-1] + letter for letter in ALPHABET if letter != cursor[-1]]
    altered += [cursor[:-1], cursor[1:], cursor + "A", cursor * 2, cursor + "=", cursor.swapcase()]

    assert {rows.ask(cursor=each, limit=1).status for each in altered} == {400}
    assert rows.ask(cursor=cursor, limit=1).status == 200


@pytest.mark.rule("R-F6")
@each_list
def test_anothers_cursor_is_400(rows: Listed) -> None:
    rows.add(0, 0, 1)
    cursor = rows.page(limit=1)[1]

    assert rows.ask(reader=rows.ground.other, cursor=cursor).status == 400
    assert rows.ask(reader=rows.ground.other).status == 200


@pytest.mark.rule("R-F6")
@each_list
def test_another_lists_cursor_is_400(rows: Listed) -> None:
    rows.add(0, 0, 1)
    cursor = rows.page(limit=1)[1]
    others = [listed(other) for other in LISTS if other != rows_name(rows)]
    for other in others:
        status = 403 if _is_closed(other, rows) else 400
        assert other.ask(reader=rows.ground.reader, cursor=cursor).status == status, other.kind.module


@pytest.mark.rule("R-F6")
@pytest.mark.parametrize("name", [name for name, kind in LISTS.items() if kind.module.handler.signature.path])
def test_a_cursor_of_the_same_list_of_another_account_or_post_is_400(rows: Listed) -> None:
    rows.add(0, 0, 1)
    cursor = rows.page(limit=1)[1]
    elsewhere = rows.kind.ground()
    admin_or_reader = rows.ground.reader if "story_id" not in elsewhere.path else elsewhere.reader

    assert rows.ask(reader=admin_or_reader, path=elsewhere.path, cursor=cursor).status == 400


@pytest.mark.rule("R-F6")
@pytest.mark.parametrize(("name", "field"), FILTERS)
def test_a_cursor_of_the_same_list_through_another_filter_is_400(rows: Listed, field: str) -> None:
    rows.add(0, 0, 1)
    cursor = rows.page(limit=1)[1]
    status = "banned" if rows.kind.module is list_all_users else "deleted"
    other: Any = {"q": "x", "role": "admin", "status": status, "userId": uuid4(), "from": NEW_YEAR, "to": NEW_YEAR}[
        field
    ]

    assert rows.ask(**{field: other}).status == 200
    assert rows.ask(cursor=cursor, **{field: other}).status == 400


def _is_closed(listed: Listed, to: Listed) -> bool:
    """Whether only admins are answered at all."""
    return listed.kind.module.handler.signature.viewer is Admin and to.ground.reader.role != "admin"


def rows_name(rows: Listed) -> str:
    return next(name for name, kind in LISTS.items() if kind is rows.kind)


def _other(letter: str) -> str:
    return "B" if letter != "B" else "C"
