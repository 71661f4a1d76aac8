"""Every route, asked by every kind of viewer about every state, answers what the one table says, and shows no more."""

import json
import re

import httpx
import pytest

from layers.core.settings import settings
from tests.integration.visibility.asking import CANONICAL, READS, SUCCESSES, ask, check
from tests.integration.visibility.table import ROWS, STATES, VIEWERS
from tests.integration.visibility.world import World, viewer_named
from tests.support.calls import Reply

CELLS = [
    (name, state, viewer)
    for name, row in ROWS.items()
    if name in CANONICAL  # the architecture test says which are missing
    for state in STATES
    for viewer in VIEWERS
    if row.cells[state][viewer] != "."
]


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.mark.parametrize(("name", "state", "viewer"), CELLS, ids=str)
def test_r_p2_r_p1_r_p3_r_p5_each_cell_of_the_table(world: World, name: str, state: str, viewer: str) -> None:
    row, owned = ROWS[name], world.owned[state]
    person = world.viewer(viewer, owned)
    if row.uses_up and row.cells[state][viewer] in SUCCESSES:
        owned, person = viewer_named(viewer, state)
    reply = ask(name, owned, person)

    check(name, state, viewer, reply, owned)
    if reply.status == 404:
        assert _told(reply) == _told(ask(name, owned, person, unknown=True))


@pytest.mark.parametrize("viewer", [viewer for viewer in VIEWERS if viewer != "owner"])
@pytest.mark.parametrize("name", READS)
def test_r_p2_no_answer_holds_anything_of_what_its_reader_may_not_see(world: World, name: str, viewer: str) -> None:
    for asked in world.owned.values():
        reply = ask(name, asked, world.viewer(viewer, asked))
        text = reply.body.decode() + json.dumps(reply.headers)
        for owned in world.owned.values():
            if viewer != "admin" and ROWS["GET /api/v1/posts/{post_id}"].cells[owned.state][viewer] != "+":
                assert [mark for mark in owned.post_marks if mark in text] == [], owned.state
            if ROWS["GET /api/v1/stories/{story_id}"].cells[owned.state][viewer] != "+":
                assert str(owned.story_id) not in text, owned.state


@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["GET /api/v1/posts/{post_id}", "GET /api/v1/stories/{story_id}"])
def test_r_p2_r_m7_pictures_come_to_who_may_see_them_and_others_get_no_link(
    world: World, name: str, state: str, viewer: str
) -> None:
    owned = world.owned[state]
    reply = ask(name, owned, world.viewer(viewer, owned))
    links = re.findall(rf'"({re.escape(settings().media_base_url)}[^"]+)"', reply.body.decode())
    links = [link for link in links if "/avatars/" not in link]
    is_rendered = ROWS[name].cells[state][viewer] == "+" and (state != "processing" or "stories" in name)

    assert bool(links) == is_rendered
    for link in links:
        answer = httpx.get(link)
        assert (answer.status_code, answer.headers["content-type"].partition("/")[0]) == (200, "image"), link
        forged = link.replace(str(owned.post_id), str(world.owned["private"].post_id))
        if forged != link:
            assert httpx.get(forged).status_code == 403


def _told(reply: Reply) -> tuple[int, bytes, dict[str, str]]:
    """What may not differ between what is hidden and what is not there."""
    counted = {"x-trace-id", "ratelimit-remaining", "ratelimit-reset", "set-cookie"}
    return reply.status, reply.body, {name: value for name, value in reply.headers.items() if name not in counted}
