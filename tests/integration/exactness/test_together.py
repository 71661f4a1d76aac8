"""Exact under concurrency: what is done at once counts as what is done one after the other."""

import random
import secrets
from collections import Counter
from collections.abc import Callable
from uuid import UUID, uuid4

import msgspec
import pytest

from functions.auth import register
from functions.comments import create_comment, delete_comment, like_comment, list_comments, unlike_comment
from functions.posts import delete_post, like_post, list_likes, save_post, unlike_post, unsave_post
from functions.stories import delete_story, list_viewers, view_story
from functions.users import (
    accept_follow_request,
    decline_follow_request,
    follow_user,
    get_profile,
    list_followers,
    unfollow_user,
    update_profile,
)
from layers.postgres.connection import transaction
from layers.valkey import connection as valkey_connection
from tests.integration.exactness.counters import wrong_counters
from tests.support.calls import Reply, call
from tests.support.feed_posts import publish_post
from tests.support.people import Person, new_person
from tests.support.stories import new_story
from tests.support.together import together

AT_ONCE = 20
WORKERS, TURNS = 8, 30

type Act = Callable[[Person], Reply]


@pytest.fixture(autouse=True)
def _unlimited(unlimited: None) -> None:
    """These tests are not about limits."""


class Place(msgspec.Struct, frozen=True):
    """What people act upon."""

    owner: Person
    post_id: UUID
    comment_id: UUID
    story_id: UUID


def _act(module: object, **path: object) -> Act:
    def act(person: Person) -> Reply:
        return call(module, session_id=person.session_id, path=path)  # type: ignore[arg-type]

    return act


def _comment(person: Person, post_id: UUID, *, parent: object = None, key: str | None = None) -> Reply:
    body = {"content": "said", "parentCommentId": parent}
    headers = {"idempotency-key": key} if key else None
    return call(create_comment, session_id=person.session_id, path={"post_id": post_id}, body=body, headers=headers)


@pytest.fixture
def place(ada: Person) -> Place:
    """A post with a comment, and a story."""
    post_id = publish_post(ada)
    return Place(ada, post_id, UUID(_comment(ada, post_id).json["comment"]["id"]), new_story(ada))


ADDING: dict[str, Callable[[Place], Act]] = {
    "like": lambda place: _act(like_post, post_id=place.post_id),
    "save": lambda place: _act(save_post, post_id=place.post_id),
    "follow": lambda place: _act(follow_user, user=place.owner.id),
    "like a comment": lambda place: _act(like_comment, comment_id=place.comment_id),
    "view a story": lambda place: _act(view_story, story_id=place.story_id),
}
TAKING_BACK: dict[str, Callable[[Place], Act]] = {
    "like": lambda place: _act(unlike_post, post_id=place.post_id),
    "save": lambda place: _act(unsave_post, post_id=place.post_id),
    "follow": lambda place: _act(unfollow_user, user=place.owner.id),
    "like a comment": lambda place: _act(unlike_comment, comment_id=place.comment_id),
}


def _at_once(act: Act, people: list[Person]) -> int:
    """How many of them changed something; all must have been answered with 200."""
    replies = together(act, people)
    assert [reply.status for reply in replies] == [200] * len(people)
    return sum(not reply.json["idempotent"] for reply in replies)


@pytest.mark.rule("R-I1")
@pytest.mark.parametrize("what", ADDING)
def test_twenty_at_once_by_one_user_count_once(what: str, place: Place, grace: Person) -> None:
    act = ADDING[what](place)

    assert _at_once(act, [grace] * AT_ONCE) == 1
    assert _counted(what, place) == 1
    assert wrong_counters([place.owner.id, grace.id]) == []


@pytest.mark.rule("R-I1")
@pytest.mark.parametrize("what", TAKING_BACK)
def test_twenty_removals_at_once_count_once(what: str, place: Place, grace: Person, admin: Person) -> None:
    ADDING[what](place)(grace)
    ADDING[what](place)(admin)

    assert _at_once(TAKING_BACK[what](place), [grace] * AT_ONCE) == 1
    assert _counted(what, place) == 1
    assert wrong_counters([place.owner.id, grace.id]) == []


@pytest.mark.rule("R-I1")
@pytest.mark.parametrize("what", ADDING)
def test_twenty_users_at_once_count_twenty(what: str, place: Place) -> None:
    people = [new_person("many") for _ in range(AT_ONCE)]

    assert _at_once(ADDING[what](place), people) == AT_ONCE
    assert _counted(what, place) == AT_ONCE
    assert wrong_counters([place.owner.id, *(person.id for person in people)]) == []


@pytest.mark.rule("R-I2")
@pytest.mark.parametrize("what", ADDING)
def test_adding_and_removing_at_once_ends_with_counters_equal_to_rows(what: str, place: Place) -> None:
    people = [new_person("many") for _ in range(4)]
    acts = [ADDING[what](place), TAKING_BACK.get(what, ADDING[what])(place)]
    turns = [(acts[number % 2], person) for number in range(5) for person in people]

    assert {reply.status for reply in together(lambda turn: turn[0](turn[1]), turns)} == {200}
    assert wrong_counters([place.owner.id, *(person.id for person in people)]) == []
    for person in people:
        acts[0](person)
    assert _counted(what, place) == len(people)


@pytest.mark.rule("R-I1")
def test_twenty_requests_to_follow_and_their_acceptance_count_once(grace: Person) -> None:
    shy = new_person("shy", private=True)
    assert _at_once(_act(follow_user, user=shy.id), [grace] * AT_ONCE) == 1
    assert _at_once(_act(accept_follow_request, user=grace.id), [shy] * AT_ONCE) == 1

    assert call(get_profile, path={"user": shy.username}).json["user"]["followerCount"] == 1
    assert _at_once(_act(unfollow_user, user=shy.id), [grace] * AT_ONCE) == 1
    assert wrong_counters([shy.id, grace.id]) == []


@pytest.mark.rule("R-I1")
def test_a_request_is_accepted_or_declined_or_withdrawn_but_once(grace: Person) -> None:
    shy = new_person("shy", private=True)
    for _ in range(4):
        _act(follow_user, user=shy.id)(grace)
        turns = [
            (_act(accept_follow_request, user=grace.id), shy),
            (_act(decline_follow_request, user=grace.id), shy),
            (_act(unfollow_user, user=shy.id), grace),
        ] * 4
        replies = together(lambda turn: turn[0](turn[1]), turns)

        assert {reply.status for reply in replies} <= {200, 404}
        assert wrong_counters([shy.id, grace.id]) == []
        _act(unfollow_user, user=shy.id)(grace)
        _act(decline_follow_request, user=grace.id)(shy)


def test_turning_public_during_requests_leaves_no_request_pending() -> None:
    shy, people = new_person("shy", private=True), [new_person("asks") for _ in range(12)]

    def turn(person: Person | None) -> int:
        if person is None:
            return call(update_profile, session_id=shy.session_id, body={"isPrivate": False}).status
        return _act(follow_user, user=shy.id)(person).status

    assert set(together(turn, [*people[:6], None, *people[6:]])) == {200}
    shown = call(list_followers, session_id=shy.session_id, path={"user": shy.username}).json["followers"]

    assert {card["id"] for card in shown} == {str(person.id) for person in people}
    assert wrong_counters([shy.id, *(person.id for person in people)]) == []


def test_twenty_comments_at_once_with_one_key_are_one(place: Place, grace: Person) -> None:
    replies = together(lambda _: _comment(grace, place.post_id, key="once"), range(AT_ONCE))
    made = {reply.json["comment"]["id"] for reply in replies if reply.status == 201}

    assert {reply.status for reply in replies} <= {201, 409}
    assert len(made) == 1
    assert call(list_comments, path={"post_id": place.post_id}).json["comments"][0]["id"] in made
    assert wrong_counters([place.owner.id]) == []


def test_of_several_registrations_of_one_name_at_once_one_succeeds() -> None:
    name = f"taken_{secrets.token_hex(4)}"
    bodies = [{"username": name, "email": f"{n}{name}@example.org", "password": "a good one"} for n in range(4)]

    assert Counter(together(lambda body: call(register, body=body).status, bodies)) == {201: 1, 409: 3}


# Many accounts act on the same things at once.


def _storm(seed: int, acts: list[Callable[[random.Random], Reply]]) -> Counter[int]:
    """Workers do acts by chance; the statuses of their answers."""

    def work(number: int) -> Counter[int]:
        chance = random.Random(f"{seed}-{number}")
        try:
            return Counter(chance.choice(acts)(chance).status for _ in range(TURNS))
        finally:
            valkey_connection.close()

    return sum(together(work, range(WORKERS)), Counter())


@pytest.mark.rule("R-I3")
@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_likes_comments_and_deletes_leaves_counters_equal_to_rows(seed: int) -> None:
    people = [new_person("storm") for _ in range(4)]
    posts = [publish_post(people[number % 2]) for number in range(4)]
    comments = [UUID(_comment(people[0], post).json["comment"]["id"]) for post in posts for _ in range(2)]

    def comment(chance: random.Random) -> Reply:
        parent = chance.choice([None, *comments])
        reply = _comment(chance.choice(people), chance.choice(posts), parent=parent)
        if reply.status == 201:
            comments.append(UUID(reply.json["comment"]["id"]))
        return reply

    def on_post(module: object) -> Callable[[random.Random], Reply]:
        return lambda chance: _act(module, post_id=chance.choice(posts))(chance.choice(people))

    def on_comment(module: object) -> Callable[[random.Random], Reply]:
        return lambda chance: _act(module, comment_id=chance.choice(comments))(chance.choice(people))

    def delete(chance: random.Random) -> Reply:
        gone = posts[-1] if chance.random() < 0.2 else uuid4()
        return _act(delete_post, post_id=gone)(people[1])

    acts = [comment, comment, delete, on_comment(delete_comment)]
    acts += [on_post(module) for module in (like_post, like_post, unlike_post, save_post, unsave_post)]
    acts += [on_comment(module) for module in (like_comment, like_comment, unlike_comment)]
    statuses = _storm(seed, acts)

    assert not [status for status in statuses if status >= 500], statuses
    assert wrong_counters(person.id for person in people) == []
    for post in posts[:-1]:
        likes = call(list_likes, path={"post_id": post}, query={"limit": 100}).json["likes"]
        assert len(likes) == len({card["id"] for card in likes})


@pytest.mark.rule("R-I3")
@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_follows_requests_and_turning_leaves_counters_equal_to_rows(seed: int) -> None:
    people = [new_person("storm", private=number % 2 == 0) for number in range(5)]

    def on_user(module: object) -> Callable[[random.Random], Reply]:
        def act(chance: random.Random) -> Reply:
            who, whom = chance.sample(people, 2)
            return _act(module, user=whom.id)(who)

        return act

    def turn(chance: random.Random) -> Reply:
        person = chance.choice(people)
        return call(update_profile, session_id=person.session_id, body={"isPrivate": chance.random() < 0.6})

    acts = [on_user(module) for module in (follow_user, follow_user, unfollow_user)]
    acts += [on_user(accept_follow_request), on_user(decline_follow_request), turn]
    statuses = _storm(seed, acts)

    assert not [status for status in statuses if status >= 500], statuses
    assert wrong_counters(person.id for person in people) == []


@pytest.mark.rule("R-S4")
def test_a_storm_of_views_while_stories_are_deleted_leaves_counters_equal_to_rows() -> None:
    people = [new_person("storm") for _ in range(4)]
    stories = [new_story(people[number % 4]) for number in range(8)]

    def view(chance: random.Random) -> Reply:
        return _act(view_story, story_id=chance.choice(stories))(chance.choice(people))

    def delete(chance: random.Random) -> Reply:
        return _act(delete_story, story_id=chance.choice(stories[:4]))(chance.choice(people))

    statuses = _storm(0, [view, view, view, delete])

    assert not [status for status in statuses if status >= 500], statuses
    assert wrong_counters(person.id for person in people) == []
    for number, story in enumerate(stories[4:]):
        viewers = call(list_viewers, session_id=people[number].session_id, path={"story_id": story}).json["viewers"]
        assert str(people[number].id) not in {viewer["id"] for viewer in viewers}


def _counted(what: str, place: Place) -> int:
    """How many the rows' list shows."""
    owner = place.owner.session_id
    if what == "save":
        with transaction() as db:
            row = db.execute("SELECT count(*) FROM saves WHERE post_id = %s", [place.post_id]).fetchone()
        assert row
        return int(row[0])
    if what == "like":
        return len(call(list_likes, path={"post_id": place.post_id}, query={"limit": 100}).json["likes"])
    if what == "follow":
        return int(call(get_profile, path={"user": place.owner.username}).json["user"]["followerCount"])
    if what == "like a comment":
        return int(call(list_comments, path={"post_id": place.post_id}).json["comments"][0]["likeCount"])
    reply = call(list_viewers, session_id=owner, path={"story_id": place.story_id}, query={"limit": 100})
    return len(reply.json["viewers"])
