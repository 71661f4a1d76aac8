"""Every route about a conversation, asked by every kind of viewer about a group, answers what the table says."""

import pytest

from tests.integration.visibility.asking import SUCCESSES, ask, check
from tests.integration.visibility.group_table import GROUP, ROWS_OF_GROUPS, VIEWERS
from tests.integration.visibility.world import Owned, make_group
from tests.support.people import Person

CELLS = [(name, viewer) for name in ROWS_OF_GROUPS for viewer in VIEWERS]


@pytest.fixture(scope="module")
def shared() -> tuple[Owned, dict[str, Person]]:
    """A group for all cells that use up nothing."""
    return make_group()


@pytest.mark.rule("R-P7", "R-G3", "R-G5", "R-G6")
@pytest.mark.parametrize(("name", "viewer"), CELLS, ids=str)
def test_each_cell_of_the_table(shared: tuple[Owned, dict[str, Person]], name: str, viewer: str) -> None:
    row = ROWS_OF_GROUPS[name]
    is_fresh = row.uses_up and row.cells[GROUP][viewer] in SUCCESSES
    owned, viewers = make_group() if is_fresh else shared
    person = viewers.get(viewer)
    asked = ask(name, owned, person, row=row, prepare=is_fresh)

    check(name, GROUP, viewer, asked, owned, row=row)
    if asked.reply.status == 404:
        assert asked.reply.body == ask(name, owned, person, row=row, unknown=True).reply.body
