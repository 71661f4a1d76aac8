"""PUT /api/v1/users/me: change the caller's name, bio, picture, or who may see the account."""

from typing import Annotated

from layers.core import limits, pictures
from layers.core.endpoint import endpoint
from layers.core.errors import Invalid, SignInRequired, UserNotFound
from layers.core.events import ProfileUpdated
from layers.core.models import Bio, DisplayName, Shape, UserSelf, Viewer
from layers.core.multipart import File, Parts
from layers.core.text import bounded
from layers.media import avatars, renditions
from layers.media.renditions import Photo
from layers.postgres import follows, outbox, users
from layers.postgres.connection import transaction
from layers.rabbitmq import publishing
from layers.valkey import timelines


class ProfileChange(Shape, frozen=True, kw_only=True):
    """At least one of these; an empty name becomes the username, an empty bio clears it."""

    display_name: DisplayName | None = None
    bio: Bio | None = None
    is_private: bool | None = None


class ProfileForm(ProfileChange, frozen=True, kw_only=True):
    """The same as a form, with a file named `profilePicture`."""

    files: Annotated[tuple[File, ...], Parts(names=("profilePicture",))] = ()


class Updated(Shape, frozen=True, kw_only=True):
    """The account as it is now."""

    user: UserSelf


@endpoint
def handler(form: ProfileForm | None, body: ProfileChange | None, viewer: Viewer) -> Updated:
    avatar = _avatar(form.files if form else ())
    change = _change(form or body or ProfileChange(), avatar)
    try:
        with transaction() as db:
            if change.is_private is False:
                follows.lock_with_requesters(db, user_id=viewer.id)
            user = users.update(db, user_id=viewer.id, change=change)
            accepted = [] if user.is_private else follows.accept_all(db, user_id=viewer.id)
            if accepted:
                user = users.read_self(db, user_id=viewer.id)
            note = outbox.add(db, ProfileUpdated.of(user))
            if avatar:  # last, with the row locked: the file that stays is the one that the row tells of
                avatars.put(viewer.id, avatar)
    except UserNotFound:
        raise SignInRequired from None
    timelines.followed_by_all(accepted, viewer.id)
    if publishing.send(note):
        outbox.forget(note)
    return Updated(user=user)


def _avatar(files: tuple[File, ...]) -> Photo | None:
    """The new picture, if one was sent, ready to be stored."""
    given = [file for file in files if file.field == "profilePicture" and (file.name or file.data)]
    if not given:
        return None
    [picture] = pictures.accepted(given, at_least=1, at_most=1)
    with pictures.blaming(picture.file):
        return renditions.render_avatar(picture.file.data)


def _change(asked: ProfileChange, avatar: Photo | None) -> users.Change:
    change = users.Change(
        display_name=bounded("displayName", asked.display_name, limits.DISPLAY_NAME_LENGTH),
        bio=bounded("bio", asked.bio, limits.BIO_LENGTH),
        is_private=asked.is_private,
        avatar_version=avatars.version(avatar) if avatar else None,
    )
    if change == users.Change():
        raise Invalid("There is nothing to change: give displayName, bio, isPrivate or profilePicture.")
    return change
