"""Queue profile-updated: an account is new or has changed; keep the copy that direct messages show."""

from layers.cassandra import profiles
from layers.core.events import ProfileUpdated
from layers.core.queue import on_message


@on_message(ProfileUpdated)
def handler(profile: ProfileUpdated) -> None:
    profiles.put(profile)
