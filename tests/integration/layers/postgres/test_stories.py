"""The life of a story's rows. Time passes by moving them, not by waiting."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from layers.core import story_files
from layers.core.errors import NotAllowed, StoryNotFound, UserNotFound
from layers.core.ids import new_id
from layers.core.models import Story
from layers.postgres import stories
from layers.postgres.connection import transaction
from tests.support.links import sign
from tests.support.people import Person, follow, new_person
from tests.support.stories import HOUR, grow_older, new_story
from tests.support.together import together
from tests.support.waiting import until


def _begin(author: Person) -> UUID:
    story_id = new_id()
    with transaction() as db:
        stories.begin(db, story_id=story_id, user_id=author.id, filter_="moon")
    return story_id


def _view(story_id: UUID, viewer: Person) -> tuple[bool, bool]:
    with transaction() as db:
        viewed = stories.record_view(db, story_id=story_id, viewer=viewer.viewer)
    return viewed.is_new, viewed.is_own


def _stories_of(user: Person, viewer: Person) -> list[Story]:
    with transaction() as db:
        return stories.list_of_user(db, user_id=user.id, viewer=viewer.viewer).stories


def _tray(viewer: Person) -> list[tuple[UUID, bool]]:
    with transaction() as db:
        return [(user.id, user.has_seen) for user in stories.read_tray(db, viewer=viewer.viewer)]


def _view_rows(story_id: UUID) -> list[UUID]:
    with transaction() as db:
        return [row[0] for row in db.execute("SELECT viewer_id FROM story_views WHERE story_id = %s", [story_id])]


def _is_there(story_id: UUID) -> bool:
    with transaction() as db:
        return db.execute("SELECT FROM stories WHERE id = %s", [story_id]).fetchone() is not None


def _delete_expired() -> list[UUID]:
    with transaction() as db:
        return stories.delete_expired(db, older_than_seconds=HOUR, at_most=10_000)


@pytest.mark.rule("R-S1")
def test_a_story_expires_after_24_hours_to_the_millisecond(ada: Person) -> None:
    story_id = _begin(ada)
    with transaction() as db:
        story = stories.publish(db, story_id=story_id)

    life = datetime.fromisoformat(story.expires_at) - datetime.fromisoformat(story.created_at)
    assert life == timedelta(hours=24)
    assert (story.filter_applied, story.view_count, story.has_viewed) == ("moon", 0, True)
    assert _stories_of(ada, ada) == [story]


@pytest.mark.rule("R-S1")
def test_links_to_a_storys_files_never_outlive_it(ada: Person) -> None:
    new_story(ada, age_seconds=23.5 * HOUR)
    [story] = _stories_of(ada, ada)
    assert story.thumbnail_url

    for url, key in (
        (story.media_url, story_files.picture_key(story.id, "jpg")),
        (story.thumbnail_url, story_files.thumbnail_key(story.id)),
    ):
        expiry, linked = sign(url).partition("/media/")[2].split("/", 2)[1:]
        assert int(expiry) == int(datetime.fromisoformat(story.expires_at).timestamp())
        assert linked == key


def test_a_story_whose_files_are_not_stored_yet_is_visible_to_no_account(ada: Person, admin: Person) -> None:
    story_id = _begin(ada)

    for viewer in (ada, admin):
        assert _stories_of(ada, viewer) == []
        assert _tray(viewer) == []
        with pytest.raises(StoryNotFound):
            _view(story_id, viewer)


def test_publishing_a_story_again_keeps_its_time_and_does_not_revive_an_expired_one(ada: Person) -> None:
    story_id = new_story(ada, age_seconds=HOUR)
    [before] = _stories_of(ada, ada)

    for _ in range(2):
        with transaction() as db:
            stories.begin(db, story_id=story_id, user_id=ada.id, filter_="moon")
            assert stories.publish(db, story_id=story_id) == before
    grow_older(story_id, seconds=24 * HOUR)
    with transaction() as db:
        stories.begin(db, story_id=story_id, user_id=ada.id, filter_="moon")
        with pytest.raises(StoryNotFound):
            stories.publish(db, story_id=story_id)


@pytest.mark.rule("R-S1")
@pytest.mark.parametrize("age_seconds", [24 * HOUR, 24 * HOUR + 1, 30 * HOUR])
def test_an_expired_story_is_visible_to_no_account(ada: Person, admin: Person, age_seconds: float) -> None:
    follow(admin, ada)
    story_id = new_story(ada, age_seconds=age_seconds)

    for viewer in (ada, admin):
        assert _stories_of(ada, viewer) == []
        assert _tray(viewer) == []
        with pytest.raises(StoryNotFound):
            _view(story_id, viewer)


@pytest.mark.rule("R-S1")
def test_until_its_end_a_story_is_there(ada: Person, grace: Person) -> None:
    story_id = new_story(ada, age_seconds=24 * HOUR - 30)

    assert [story.id for story in _stories_of(ada, grace)] == [story_id]
    assert _view(story_id, grace) == (True, False)


@pytest.mark.rule("R-S2")
def test_rows_go_an_hour_after_the_end_and_not_before(ada: Person, grace: Person) -> None:
    living, ended, gone = (new_story(ada, age_seconds=age * HOUR) for age in (1, 24.5, 25.5))
    begun = _begin(ada)
    with transaction() as db:
        db.execute("INSERT INTO story_views (story_id, viewer_id) VALUES (%s, %s)", [gone, grace.id])
    removed = _delete_expired()

    assert gone in removed
    assert not {living, ended, begun} & set(removed)
    assert [_is_there(story) for story in (living, ended, gone, begun)] == [True, True, False, True]
    assert _view_rows(gone) == []


@pytest.mark.rule("R-S2")
def test_two_cleanups_never_take_the_same_story(ada: Person) -> None:
    mine = {new_story(ada, age_seconds=26 * HOUR) for _ in range(20)}

    def clean(_: int) -> list[UUID]:
        with transaction() as db:
            return stories.delete_expired(db, older_than_seconds=HOUR, at_most=4)

    taken = [story for _ in range(3) for batch in together(clean, range(4)) for story in batch]
    assert len(taken) == len(set(taken))
    taken += _delete_expired()
    assert mine <= set(taken)


@pytest.mark.rule("R-S2")
def test_a_cleanup_does_not_wait_for_another(ada: Person) -> None:
    mine = {new_story(ada, age_seconds=26 * HOUR) for _ in range(2)}

    def clean(_: int) -> list[UUID]:
        return _delete_expired()

    with transaction() as db:
        [first] = stories.delete_expired(db, older_than_seconds=HOUR, at_most=1)
        [others] = together(clean, range(1))

    assert first not in others
    assert mine <= {first, *others}


@pytest.mark.rule("R-S3")
def test_ten_parallel_views_count_once(ada: Person, grace: Person) -> None:
    story_id = new_story(ada)
    views = together(lambda _: _view(story_id, grace), range(10))

    assert sorted(views) == [(False, False)] * 9 + [(True, False)]
    assert _stories_of(ada, grace)[0].view_count == 1


@pytest.mark.rule("R-S3")
def test_the_owners_own_view_is_not_counted(ada: Person) -> None:
    story_id = new_story(ada)

    assert [_view(story_id, ada), _view(story_id, ada)] == [(False, True)] * 2
    assert (_stories_of(ada, ada)[0].view_count, _view_rows(story_id)) == (0, [])


@pytest.mark.rule("R-S4")
def test_the_count_equals_the_rows_after_many_at_once(ada: Person) -> None:
    story_id = new_story(ada)
    people = [new_person() for _ in range(8)]
    together(lambda person: _view(story_id, person), [*people, *people, ada])

    assert set(_view_rows(story_id)) == {person.id for person in people}
    assert _stories_of(ada, ada)[0].view_count == 8


def test_a_view_of_a_story_that_is_being_removed_finds_nothing(ada: Person, grace: Person) -> None:
    story_id = new_story(ada)

    def view(_: int) -> None:
        with pytest.raises(StoryNotFound):
            _view(story_id, grace)

    def is_waiting() -> bool:
        with transaction() as db:
            waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%story_views%'"
            return db.execute(waiting).fetchone() is not None

    def remove(_: int) -> None:
        with transaction() as db:
            db.execute("DELETE FROM stories WHERE id = %s", [story_id])
            removed.set()
            assert looked.wait(10)

    removed, looked = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        removing = pool.submit(together, remove, range(1))
        assert removed.wait(10)
        viewing = pool.submit(together, view, range(1))
        until(is_waiting)
        looked.set()
        removing.result()
        viewing.result()


@pytest.mark.rule("R-S6")
def test_a_view_shows_in_the_next_list_and_the_owner_has_always_viewed(ada: Person, grace: Person) -> None:
    first, second = new_story(ada, age_seconds=60), new_story(ada)
    _view(second, grace)

    assert [(story.id, story.has_viewed) for story in _stories_of(ada, grace)] == [(first, False), (second, True)]
    assert all(story.has_viewed for story in _stories_of(ada, ada))


def test_the_tray_has_the_caller_first_then_unseen_then_the_latest(ada: Person) -> None:
    people = [new_person(f"p{number}") for number in range(5)]
    seen_late, seen_early, unseen_late, unseen_early, without = people
    stranger = new_person("stranger")
    for person in people:
        follow(ada, person)
    new_story(ada, age_seconds=7 * HOUR)
    new_story(stranger)
    for person, age in ((unseen_early, 6), (unseen_late, 5), (seen_early, 4), (seen_late, 3)):
        story_id = new_story(person, age_seconds=age * HOUR)
        if person in (seen_early, seen_late):
            _view(story_id, ada)

    expected = [ada, unseen_late, unseen_early, seen_late, seen_early]
    assert [user for user, _ in _tray(ada)] == [person.id for person in expected]
    assert [has_seen for _, has_seen in _tray(ada)] == [True, False, False, True, True]
    assert without.id not in dict(_tray(ada))


def test_a_user_is_seen_in_the_tray_when_all_of_the_stories_are(ada: Person, grace: Person) -> None:
    follow(ada, grace)
    first, second = new_story(grace, age_seconds=HOUR), new_story(grace)
    _view(second, ada)
    assert dict(_tray(ada)) == {grace.id: False}
    _view(first, ada)

    assert dict(_tray(ada)) == {grace.id: True}
    new_story(grace)
    assert dict(_tray(ada)) == {grace.id: False}
    with transaction() as db:
        [user] = stories.read_tray(db, viewer=ada.viewer)
    assert (user.username, user.story_count) == (grace.username, 3)


def test_an_ended_story_left_unseen_does_not_keep_its_user_unseen(ada: Person, grace: Person) -> None:
    follow(ada, grace)
    new_story(grace, age_seconds=25 * HOUR)
    _view(new_story(grace), ada)

    assert dict(_tray(ada)) == {grace.id: True}


def test_stories_are_listed_oldest_first_whatever_their_ids(ada: Person) -> None:
    ages = [3, 9, 1, 5]
    made = {age: new_story(ada, age_seconds=age * HOUR) for age in ages}
    listed = _stories_of(ada, ada)

    assert [story.id for story in listed] == [made[age] for age in sorted(ages, reverse=True)]
    assert all(earlier.created_at < later.created_at for earlier, later in pairwise(listed))


@pytest.mark.rule("R-P1", "R-S7")
def test_a_private_accounts_stories_are_its_followers_and_admins(ada: Person, grace: Person, admin: Person) -> None:
    shy = new_person("shy", private=True)
    follow(grace, shy)
    story_id = new_story(shy)

    for viewer in (shy, grace, admin):
        assert [story.id for story in _stories_of(shy, viewer)] == [story_id]
    assert [_view(story_id, viewer) for viewer in (grace, admin)] == [(True, False)] * 2
    assert dict(_tray(grace)) == {shy.id: True}
    with pytest.raises(NotAllowed):
        _stories_of(shy, ada)
    with pytest.raises(StoryNotFound):
        _view(story_id, ada)
    assert _tray(ada) == []


@pytest.mark.rule("R-P4")
def test_a_request_is_not_a_follow(ada: Person) -> None:
    shy = new_person("shy", private=True)
    story_id = new_story(shy)
    with transaction() as db:
        db.execute("INSERT INTO follow_requests (requester_id, target_id) VALUES (%s, %s)", [ada.id, shy.id])

    assert _tray(ada) == []
    with pytest.raises(NotAllowed):
        _stories_of(shy, ada)
    with pytest.raises(StoryNotFound):
        _view(story_id, ada)


@pytest.mark.rule("R-P6")
def test_turning_private_closes_stories_at_once(ada: Person, grace: Person) -> None:
    story_id = new_story(grace)
    _view(story_id, ada)
    with transaction() as db:
        db.execute("UPDATE users SET is_private = true WHERE id = %s", [grace.id])

    with pytest.raises(NotAllowed):
        _stories_of(grace, ada)
    with pytest.raises(StoryNotFound):
        _view(story_id, ada)


@pytest.mark.rule("R-P1")
def test_a_banned_account_is_visible_to_admins_alone(ada: Person, grace: Person, admin: Person) -> None:
    follow(ada, grace)
    story_id = new_story(grace)
    with transaction() as db:
        db.execute("UPDATE users SET banned_at = now() WHERE id = %s", [grace.id])

    assert _tray(ada) == []
    with pytest.raises(UserNotFound):
        _stories_of(grace, ada)
    with pytest.raises(StoryNotFound):
        _view(story_id, ada)
    assert len(_stories_of(grace, admin)) == 1


def test_an_unknown_user_or_story_is_not_there(ada: Person) -> None:
    with transaction() as db:
        with pytest.raises(UserNotFound):
            stories.list_of_user(db, user_id=uuid4(), viewer=ada.viewer)
        with pytest.raises(StoryNotFound):
            stories.record_view(db, story_id=uuid4(), viewer=ada.viewer)
