"""The filters: their names, and that no stored pixel depends on them. Clients apply them."""

from uuid import UUID

import msgspec
import pytest

from functions.images import resize_photo
from functions.posts import create_post, list_filters
from functions.stories import create_story
from layers.core import story_files
from layers.media import connection
from layers.media import connection as storage
from layers.postgres import posts
from layers.postgres.connection import transaction
from tests import pictures
from tests.support.calls import Upload, call
from tests.support.deliveries import deliver
from tests.support.people import new_person
from tests.support.uploads import Begun

NAMES = (
    *("none", "clarendon", "gingham", "moon", "lark", "reyes"),
    *("juno", "slumber", "crema", "ludwig", "aden", "perpetua"),
)
"""In the order of the contract."""

PHOTO = pictures.phone_photo(400, 300)


def test_the_list_has_the_contracts_names_in_their_order() -> None:
    assert call(list_filters).json == {"filters": list(NAMES)}


@pytest.mark.rule("R-M9")
def test_the_files_of_a_post_are_the_same_for_every_filter() -> None:
    files = {name: _files_of_post(name) for name in NAMES}

    assert [len(stored) for stored in files.values()] == [8] * 12
    assert [name for name in NAMES if files[name] != files["none"]] == []


@pytest.mark.rule("R-M9")
def test_the_files_of_a_story_are_the_same_for_every_filter() -> None:
    files = {name: _files_of_story(name) for name in NAMES}

    assert [len(stored) for stored in files.values()] == [3] * 12
    assert [name for name in NAMES if files[name] != files["none"]] == []


def _files_of_post(filter_: str) -> list[bytes]:
    """The renditions of a new post with this filter."""
    author = new_person("author")
    form = ([Upload(PHOTO)], {"filters": msgspec.json.encode([filter_]).decode()})
    created = call(create_post, session_id=author.session_id, form=form).json["post"]
    assert created["media"][0]["filterApplied"] == filter_
    with transaction() as db:
        keys = posts.read_original_keys(db, post_id=UUID(created["id"]))
    post = Begun(UUID(created["id"]), author, keys)
    deliver(resize_photo, post.event())
    assert post.status == "published"
    stored = [connection.get(key) for key in sorted(post.all_files)]
    return [data for data in stored if data is not None]


def _files_of_story(filter_: str) -> list[bytes]:
    """The picture in both formats and the thumbnail of a new story with this filter."""
    form = ([Upload(PHOTO)], {"filter": filter_})
    story = call(create_story, session_id=new_person("author").session_id, form=form).json["story"]
    assert story["filterApplied"] == filter_
    stored = [storage.get(key) for key in story_files.keys(UUID(story["id"]))]
    return [data for data in stored if data is not None]
