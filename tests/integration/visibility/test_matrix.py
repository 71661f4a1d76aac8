"""Every route, asked by every kind of viewer about every state, answers what the one table says, and shows no more."""

import json
import re
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from layers.core.models import FORMATS, SIZES
from layers.core.settings import settings
from tests.integration.visibility.asking import CANONICAL, READS, SUCCESSES, ask, check
from tests.integration.visibility.table import ROWS, STATES, VIEWERS
from tests.integration.visibility.world import World, make_viewer
from tests.support.calls import Reply
from tests.support.links import expand

SIDES = [side for _, side in SIZES.values()]
CREATE_STORY = "POST /api/v1/stories"
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


@pytest.fixture(scope="module")
def browser() -> Iterator[httpx.Client]:
    """Fetches pictures."""
    with httpx.Client() as client:
        yield client


@pytest.mark.rule("R-P1", "R-P2", "R-P3", "R-P5", "R-P7")
@pytest.mark.parametrize(("name", "state", "viewer"), CELLS, ids=str)
def test_each_cell_of_the_table(world: World, browser: httpx.Client, name: str, state: str, viewer: str) -> None:
    row, owned = ROWS[name], world.owned[state]
    person = world.viewer(viewer, owned)
    is_fresh = row.uses_up and row.cells[state][viewer] in SUCCESSES
    if is_fresh:
        owned, person = make_viewer(viewer, state, has_conversation="/messages/" in name)
    asked = ask(name, owned, person, prepare=is_fresh)

    check(name, state, viewer, asked, owned)
    if asked.reply.status == 404:
        assert _comparable(asked.reply) == _comparable(ask(name, owned, person, unknown=True).reply)
    if row.cells[state][viewer] == "+":
        links = _links(asked.reply, owned.post_id, owned.story_id)
        for link in _links(asked.reply) if name == CREATE_STORY else links:
            _check_picture(browser, link)


@pytest.mark.rule("R-P2")
@pytest.mark.parametrize("viewer", [viewer for viewer in VIEWERS if viewer != "owner"])
@pytest.mark.parametrize("name", READS)
def test_no_answer_holds_anything_that_its_reader_may_not_see(world: World, name: str, viewer: str) -> None:
    for about in world.owned.values():
        reply = ask(name, about, world.viewer(viewer, about)).reply
        text = reply.body.decode() + json.dumps(reply.headers)
        for owned in world.owned.values():
            if viewer != "admin" and ROWS["GET /api/v1/posts/{post_id}"].cells[owned.state][viewer] != "+":
                assert [mark for mark in owned.post_marks if mark in text] == [], owned.state
            if ROWS["GET /api/v1/stories/{story_id}"].cells[owned.state][viewer] != "+":
                assert str(owned.story_id) not in text, owned.state


@pytest.mark.rule("R-P2", "R-M7")
@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["GET /api/v1/posts/{post_id}", "GET /api/v1/stories/{story_id}"])
def test_viewers_get_links_to_the_pictures_that_they_may_see_and_no_others(
    world: World, browser: httpx.Client, name: str, state: str, viewer: str
) -> None:
    owned = world.owned[state]
    links = _links(ask(name, owned, world.viewer(viewer, owned)).reply, owned.post_id, owned.story_id)
    is_rendered = ROWS[name].cells[state][viewer] == "+" and (state != "processing" or "stories" in name)

    assert bool(links) == is_rendered
    for link in links:
        _check_picture(browser, link)
        forged = link.replace(str(owned.post_id), str(world.owned["private"].post_id))
        if forged != link:
            assert browser.get(forged).status_code == 403


def _links(reply: Reply, *ids: UUID) -> list[str]:
    """The links of an answer to pictures, templates expanded; with ids only to those of these posts and stories."""
    found = re.findall(rf'"({re.escape(settings().media_base_url)}[^"]+)"', reply.body.decode())
    links = {expand(link, size, extension) for link in found for size in SIDES for extension in FORMATS}
    return [link for link in sorted(links) if not ids or any(str(id_) in link for id_ in ids)]


def _check_picture(browser: httpx.Client, link: str) -> None:
    answer = browser.get(link)
    assert (answer.status_code, answer.headers["content-type"].partition("/")[0]) == (200, "image"), link


def _comparable(reply: Reply) -> tuple[int, bytes, dict[str, str]]:
    """What may not differ between what is hidden and what does not exist."""
    counted = {"x-trace-id", "ratelimit-remaining", "ratelimit-reset", "set-cookie"}
    return reply.status, reply.body, {name: value for name, value in reply.headers.items() if name not in counted}
