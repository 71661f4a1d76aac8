"""What changes who may see something shows in the very next answer, caches or not."""

from collections.abc import Callable

import msgspec
import pytest

from functions.admin import remove_user, unban_user
from functions.posts import delete_post
from functions.stories import delete_story
from functions.users import accept_follow_request, decline_follow_request, follow_user, unfollow_user, update_profile
from tests.integration.visibility.asking import READS, ask, check
from tests.integration.visibility.table import ROWS
from tests.integration.visibility.world import Owned, make_viewer
from tests.support.calls import call
from tests.support.people import Person, new_person
from tests.support.proxies import Proxies
from tests.support.stores import forget_in_valkey, valkey
from tests.support.stories import HOUR, grow_older


class Change(msgspec.Struct, frozen=True):
    """What happens, and by which cells of the table the viewer is answered before and after."""

    name: str
    before: tuple[str, str]
    """State and viewer."""
    after: tuple[str, str]
    happen: Callable[[Owned, Person | None], None]


def _by(person: Person | None, module: object, status: int = 200, **given: object) -> None:
    assert person
    reply = call(module, session_id=person.session_id, **given)  # type: ignore[arg-type]
    assert reply.status == status, reply.body


def _private(owned: Owned, _: Person | None, *, is_private: bool = True) -> None:
    _by(owned.owner, update_profile, body={"isPrivate": is_private})


def _public(owned: Owned, _: Person | None) -> None:
    _private(owned, None, is_private=False)


def _unfollow(owned: Owned, viewer: Person | None) -> None:
    _by(viewer, unfollow_user, path={"user": owned.owner.id})


def _follow(owned: Owned, viewer: Person | None) -> None:
    _by(viewer, follow_user, path={"user": owned.owner.id})


def _accept(owned: Owned, viewer: Person | None) -> None:
    assert viewer
    _by(owned.owner, accept_follow_request, path={"user": viewer.id})


def _decline(owned: Owned, viewer: Person | None) -> None:
    assert viewer
    _by(owned.owner, decline_follow_request, path={"user": viewer.id})


def _ban(owned: Owned, _: Person | None) -> None:
    _by(new_person("admin", role="admin"), remove_user, path={"user": owned.owner.id})


def _unban(owned: Owned, _: Person | None) -> None:
    _by(new_person("admin", role="admin"), unban_user, path={"user": owned.owner.id})


def _ban_viewer(_: Owned, viewer: Person | None) -> None:
    assert viewer
    _by(new_person("admin", role="admin"), remove_user, path={"user": viewer.id})


def _delete(owned: Owned, _: Person | None) -> None:
    _by(owned.owner, delete_post, path={"post_id": owned.post_id})
    _by(owned.owner, delete_story, path={"story_id": owned.story_id})


def _end(owned: Owned, _: Person | None) -> None:
    grow_older(owned.story_id, seconds=25 * HOUR)


def _for_each(name: str, before: str, after: str, happen: Callable[..., None], *viewers: str) -> list[Change]:
    return [Change(f"{name}, {viewer}", (before, viewer), (after, viewer), happen) for viewer in viewers]


CHANGES = [
    *_for_each("turns private", "public", "private", _private, "anonymous", "stranger", "former", "follower", "admin"),
    *_for_each("turns public", "private", "public", _public, "anonymous", "stranger", "former", "follower"),
    Change("turns public, requested", ("private", "requested"), ("public", "follower"), _public),
    Change("unfollowed", ("private", "follower"), ("private", "former"), _unfollow),
    Change("unfollowed, public", ("public", "follower"), ("public", "former"), _unfollow),
    Change("followed, public", ("public", "stranger"), ("public", "follower"), _follow),
    Change("asked", ("private", "stranger"), ("private", "requested"), _follow),
    Change("withdrawn", ("private", "requested"), ("private", "stranger"), _unfollow),
    Change("accepted", ("private", "requested"), ("private", "follower"), _accept),
    Change("declined", ("private", "requested"), ("private", "stranger"), _decline),
    *_for_each("banned", "private", "owner_banned", _ban, "anonymous", "stranger", "follower", "owner", "admin"),
    Change("banned, public", ("public", "follower"), ("owner_banned", "follower"), _ban),
    *_for_each("unbanned", "owner_banned", "private", _unban, "anonymous", "stranger", "follower", "admin"),
    Change("the viewer is banned", ("private", "follower"), ("private", "banned"), _ban_viewer),
    *_for_each("deleted", "private", "deleted", _delete, "anonymous", "stranger", "follower", "owner", "admin"),
    *_for_each("the story ends", "private", "expired", _end, "stranger", "follower", "owner", "admin"),
]


@pytest.mark.rule("R-P4", "R-P6", "R-I5")
@pytest.mark.parametrize("meanwhile", ["warm", "without valkey", "valkey lost all"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_the_next_answer_obeys(change: Change, meanwhile: str, proxies: Proxies) -> None:
    state, viewer = change.before
    owned, person = make_viewer(viewer, state)
    for _ in range(2):  # the second time from whatever was kept
        for name in READS:
            check(name, state, viewer, ask(name, owned, person), owned)
    if meanwhile == "without valkey":
        proxies.valkey.close()
    change.happen(owned, person)
    if meanwhile == "without valkey":
        proxies.valkey.open()
    if meanwhile == "valkey lost all":
        _lose_valkey(change, owned, person)

    state, viewer = change.after
    for name in READS:
        check(name, state, viewer, ask(name, owned, person), owned)


def _lose_valkey(change: Change, owned: Owned, person: Person | None) -> None:
    """Take from Valkey all that it keeps of them: the answers before the change have left something to take."""
    gone = forget_in_valkey(owned.owner.id, owned.post_id, *([person.id] if person else []))
    state, viewer = change.before
    assert gone
    if person is not None:
        assert b"following:" + person.id.bytes in gone
        valkey().delete(f"session:{person.session_id}")
    if ROWS["GET /api/v1/feed"].cells[state][viewer] == "+":
        assert b"post:" + owned.post_id.bytes in gone
