"""Who sees and does what is declared for every route."""

import pytest

from infra.template_map import routes
from tests.integration.visibility import group_table, table
from tests.integration.visibility.effects import BEFORE, EFFECTS
from tests.integration.visibility.table import Row

CANONICAL = {f"{route.method} {route.path}" for route in routes() if not route.is_alias}
ALL_ROWS = [*table.ROWS.items(), *group_table.ROWS_OF_GROUPS.items()]


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert set(table.ROWS) == CANONICAL


def test_every_route_about_a_conversation_has_a_row_about_groups() -> None:
    lists = {name for name, row in group_table.ROWS_OF_GROUPS.items() if row.cells is group_table.LISTED}

    assert {name for name in CANONICAL if "{conversation_id}" in name} == set(group_table.ROWS_OF_GROUPS) - lists


@pytest.mark.parametrize(
    ("rows", "states", "viewers"),
    [
        (table.ROWS, table.STATES, table.VIEWERS),
        (group_table.ROWS_OF_GROUPS, (group_table.GROUP,), group_table.VIEWERS),
    ],
    ids=["accounts", "groups"],
)
def test_every_row_has_every_cell(rows: dict[str, Row], states: tuple[str, ...], viewers: tuple[str, ...]) -> None:
    for name, row in rows.items():
        assert list(row.cells) == list(states), name
        assert all(list(cells) == list(viewers) for cells in row.cells.values()), name


def test_a_cell_is_one_of_the_known_values() -> None:
    words = {cell for _, row in ALL_ROWS for cells in row.cells.values() for cell in cells.values()}

    assert words == {"+", "-", ".", "400", "401", "403", "404"}


@pytest.mark.parametrize(("name", "row"), ALL_ROWS, ids=lambda each: each if isinstance(each, str) else "")
def test_a_row_with_a_plus_states_what_it_shows_or_does(name: str, row: Row) -> None:
    has_plus = any(cell == "+" for cells in row.cells.values() for cell in cells.values())

    assert has_plus == bool(row.shows or row.does)
    assert bool(row.does) >= (not name.startswith("GET") and has_plus and name != "POST /api/v1/auth/login")
    assert row.does in {"", *EFFECTS}
    assert row.before in BEFORE
