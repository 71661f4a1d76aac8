"""Queue profile-updated: store the profile of a new or changed account for direct messages."""

from layers.cassandra import profiles
from layers.core.events import ProfileUpdated
from layers.entrypoints.queue import on_message


@on_message(ProfileUpdated)
def handler(profile: ProfileUpdated) -> None:
    profiles.save(profile)
