"""Cursors: opaque, signed, bound to viewer and query."""

import re
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.core import cursors
from layers.core.errors import Invalid

VIEWER = UUID(int=7)


@pytest.mark.rule("R-F3")
@given(st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(), st.binary()))
def test_what_was_written_is_read_and_needs_no_escaping(keys: tuple[int, str, bytes]) -> None:
    cursor = cursors.encode("list", VIEWER, keys)

    assert re.fullmatch(r"[A-Za-z0-9._~:-]+", cursor)
    assert cursors.decode(cursor, "list", VIEWER, tuple[int, str, bytes]) == keys


def test_a_cursor_is_bound_to_its_viewer_and_query() -> None:
    cursor = cursors.encode("list", VIEWER, (1,))

    for query, viewer in (("other", VIEWER), ("list", uuid4()), ("list", None)):
        with pytest.raises(Invalid):
            cursors.decode(cursor, query, viewer, tuple[int])


def test_every_altered_character_is_noticed() -> None:
    cursor = cursors.encode("list", None, (1, "a"))
    for place, character in enumerate(cursor):
        for letter in set("ABCDEFGHIJKLMNOPQRSTUVWXYZ") - {character}:
            with pytest.raises(Invalid):
                cursors.decode(cursor[:place] + letter + cursor[place + 1 :], "list", None, tuple[int, str])


@pytest.mark.rule("R-F6")
@pytest.mark.parametrize(
    "cursor", ["", "x", "=", "====", "é", "a b", "../..", "A" * 5000, "\0", "2026-01-25T19:45:54Z"]
)
def test_anything_else_is_invalid(cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        cursors.decode(cursor, "list", VIEWER, tuple[int])

    assert refused.value.errors[0].field == "cursor"


def test_keys_of_another_shape_are_invalid() -> None:
    cursor = cursors.encode("list", VIEWER, ("text",))

    with pytest.raises(Invalid):
        cursors.decode(cursor, "list", VIEWER, tuple[int])
