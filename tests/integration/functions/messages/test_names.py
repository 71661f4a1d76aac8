"""Names and pictures in the list follow the profile, by its event."""

from uuid import UUID

import pytest

from functions.users import copy_profile
from layers.core import media_links
from layers.core.clock import now
from layers.core.events import ProfileUpdated
from tests.support.deliveries import deliver
from tests.support.messages import create_group, entry
from tests.support.people import Person, new_person


def _changed(person: Person, name: str, picture: str | None = None) -> None:
    event = ProfileUpdated(
        user_id=person.id, username=name, display_name=name, profile_picture_url=picture, updated_at=now()
    )
    deliver(copy_profile, event)


@pytest.mark.rule("R-DM5")
def test_the_list_shows_the_name_and_picture_of_the_latest_event(ada: Person, grace: Person, talk: UUID) -> None:
    _changed(grace, "grace_new", f"{media_links.AVATAR_MARK}avatars/{grace.id}.jpg?v=1")
    listed = entry(ada, talk)

    assert listed["otherUsername"] == "grace_new"
    assert listed["otherProfilePicture"].endswith(f"/{grace.id}.jpg?v=1")
    _changed(grace, "grace_newer")
    listed = entry(ada, talk)
    assert (listed["otherUsername"], listed["otherProfilePicture"]) == ("grace_newer", None)


@pytest.mark.rule("R-DM5")
def test_members_of_a_group_too(ada: Person, grace: Person) -> None:
    group = create_group(ada, grace, new_person("linus"))
    _changed(grace, "grace_new")

    assert "grace_new" in {member["username"] for member in entry(ada, group)["members"]}
