"""PUT /api/v1/users/me: change the caller's name, bio, picture or privacy.

Changing a private account to public accepts all pending follow requests.
"""

from typing import Annotated
from uuid import UUID

from layers.core.errors import Invalid, SignInRequired, UserNotFound
from layers.core.files import File, Files
from layers.core.models import Bio, DisplayName, Shape, UserSelf, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.media import pictures, renditions
from layers.media.renditions import RenderedPhoto
from layers.postgres import profile_changes, users
from layers.postgres.connection import transaction
from layers.services import profile_pictures, relay
from layers.valkey import timelines


class ProfileChange(Shape, frozen=True, kw_only=True):
    """The changes; at least one is required."""

    display_name: DisplayName | None = None
    """Empty: the username."""
    bio: Bio | None = None
    """Empty: the bio is removed."""
    is_private: bool | None = None


class ProfileForm(ProfileChange, frozen=True, kw_only=True):
    """The changes as a form, with a file named `profilePicture`."""

    picture: Annotated[File | None, Files(names=("profilePicture",))] = None


class UpdatedAccount(Shape, frozen=True, kw_only=True):
    """The account after the change."""

    user: UserSelf


@endpoint
def handler(form: ProfileForm | None, body: ProfileChange | None, viewer: Viewer) -> UpdatedAccount:
    avatar_id = profile_pictures.store(_render(form.picture)) if form and form.picture else None
    change = _change(form or body or ProfileChange(), avatar_id)
    try:
        with transaction() as db:
            update = profile_changes.apply(db, user_id=viewer.id, change=change)
            if avatar_id:
                profile_pictures.keep(db, avatar_id=avatar_id, replaced_id=update.replaced_avatar_id)
    except UserNotFound:
        raise SignInRequired from None
    timelines.add_followed_for_all(update.new_follower_ids, viewer.id)
    relay.publish(update.event)
    return UpdatedAccount(user=update.user)


def _render(file: File) -> RenderedPhoto:
    picture = pictures.identify(file)
    with pictures.errors_of(picture.file):
        return renditions.render_avatar(picture.file.data)


def _change(asked: ProfileChange, avatar_id: UUID | None) -> users.ProfilePatch:
    change = users.ProfilePatch(
        display_name=asked.display_name,
        bio=asked.bio,
        is_private=asked.is_private,
        avatar_id=avatar_id,
    )
    if change == users.ProfilePatch():
        raise Invalid("One of displayName, bio, isPrivate and profilePicture is required.")
    return change
