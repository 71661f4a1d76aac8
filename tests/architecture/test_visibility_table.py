"""Who sees what is declared for every route."""

from infra.template_map import routes
from tests.integration.visibility.table import ROWS, STATES, VIEWERS


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert {f"{route.method} {route.path}" for route in routes() if not route.is_alias} == set(ROWS)


def test_every_row_has_every_cell() -> None:
    for name, row in ROWS.items():
        assert list(row.cells) == list(STATES), name
        assert all(list(cells) == list(VIEWERS) for cells in row.cells.values()), name


def test_a_cell_is_one_of_the_few_words() -> None:
    words = {cell for row in ROWS.values() for cells in row.cells.values() for cell in cells.values()}

    assert words == {"+", "-", ".", "400", "401", "403", "404"}
