"""Queue profile-updated: store the profile of a new or changed account for direct messages."""

from layers.core.events import ProfileUpdated
from layers.entrypoints.queue import on_message
from layers.services import profile_copies


@on_message(ProfileUpdated)
def handler(profile: ProfileUpdated) -> None:
    profile_copies.save(profile)
