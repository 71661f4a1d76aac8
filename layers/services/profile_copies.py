"""Copies of the public data of accounts, which conversations show."""

from layers.cassandra import profiles
from layers.core.events import ProfileUpdated
from layers.core.models import Person
from layers.valkey import persons
from layers.valkey.persons import VersionedPerson


def save(profile: ProfileUpdated) -> None:
    """Store the copy of an account, unless there is a newer one; Valkey has its name and picture too."""
    profiles.save(profile)
    person = Person(id=profile.user_id, username=profile.username, profile_picture=profile.profile_picture_url)
    persons.store([VersionedPerson(person, profiles.version_of(profile))])
