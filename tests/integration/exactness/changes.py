"""Every request that changes something, by function: one that succeeds, by a new account, on new content."""

import importlib
import secrets
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any
from uuid import UUID

import msgspec

from functions.admin import remove_post, remove_user, unban_user
from functions.auth import login, logout, register
from functions.comments import create_comment, delete_comment, like_comment, unlike_comment
from functions.messages import (
    add_reaction,
    leave_group,
    mark_read,
    mute_conversation,
    open_conversation,
    open_group,
    remove_reaction,
    rename_group,
    send_message,
    start_typing,
    unmute_conversation,
)
from functions.posts import (
    create_post,
    create_uploads,
    delete_post,
    like_post,
    save_post,
    unlike_post,
    unsave_post,
)
from functions.stories import create_story, delete_story, view_story
from functions.users import (
    accept_follow_request,
    decline_follow_request,
    follow_user,
    unfollow_user,
    update_profile,
)
from infra import template_map
from layers.core import passwords
from layers.entrypoints import cors
from layers.entrypoints.declarations import declared_fields
from layers.postgres.connection import transaction
from tests import pictures
from tests.integration.exactness.lists import name_of
from tests.support import direct_uploads
from tests.support.calls import Reply, Upload, call
from tests.support.feed_posts import publish_post
from tests.support.messages import create_group, open_pair, send_text
from tests.support.people import Person, new_person
from tests.support.stories import new_story

PASSWORD = "correct horse battery"
JPEG = pictures.jpeg(40, 30)


class Change(msgspec.Struct, frozen=True):
    """A request, ready to be sent."""

    module: ModuleType
    person: Person | None = None
    path: Mapping[str, object] = {}
    body: Mapping[str, object] | None = None
    """JSON, unless there are files."""
    files: tuple[Upload, ...] = ()

    def send(self, more: Mapping[str, object] | None = None, *, headers: dict[str, str] | None = None) -> Reply:
        """The answer, with these members in place of its own or beside them."""
        members = {**(self.body or {}), **(more or {})}
        texts = {name: str(value) for name, value in members.items()}
        return call(
            self.module,
            session_id=self.person.session_id if self.person else None,
            path={**self.path},
            body=members if members and not self.files else None,
            form=([*self.files], texts) if self.files else None,
            headers=headers,
        )

    @property
    def fields(self) -> tuple[msgspec.inspect.Field, ...]:
        """The fields of its body or form, except those that hold files."""
        signature = self.module.handler.signature
        kind = signature.form if self.files else signature.body and signature.body[1]
        if kind is None:
            return ()
        described = msgspec.inspect.type_info(kind)
        assert isinstance(described, msgspec.inspect.StructType)
        of_files = {field.name for field in declared_fields(kind) if field.files}
        return tuple(field for field in described.fields if field.name not in of_files)


type Prepare = Callable[[], Change]


def _plain(module: ModuleType, **body: object) -> Prepare:
    return lambda: Change(module, new_person("actor"), body=body or None)


def _form(module: ModuleType, field: str, **texts: object) -> Prepare:
    return lambda: Change(module, new_person("actor"), body=texts, files=(Upload(JPEG, field=field),))


def _on_post(module: ModuleType, *before: ModuleType, by_admin: bool = False, **body: object) -> Prepare:
    def prepare() -> Change:
        actor = new_person("actor", role="admin" if by_admin else "user")
        path: dict[str, object] = {"post_id": publish_post(new_person("author"))}
        for each in before:
            assert call(each, session_id=actor.session_id, path=path).status == 200
        return Change(module, actor, path, body or None)

    return prepare


def _on_own_post(module: ModuleType) -> Prepare:
    def prepare() -> Change:
        actor = new_person("actor")
        return Change(module, actor, {"post_id": publish_post(actor)})

    return prepare


def _on_own_comment(module: ModuleType, *before: ModuleType) -> Prepare:
    def prepare() -> Change:
        comment = _on_post(create_comment, content="said")()
        assert comment.person
        path: dict[str, object] = {"comment_id": comment.send().json["comment"]["id"]}
        for each in before:
            assert call(each, session_id=comment.person.session_id, path=path).status == 200
        return Change(module, comment.person, path)

    return prepare


def _on_story(module: ModuleType, *, is_own: bool) -> Prepare:
    def prepare() -> Change:
        actor = new_person("actor")
        return Change(module, actor, {"story_id": new_story(actor if is_own else new_person("author"))})

    return prepare


def _on_person(module: ModuleType, *before: ModuleType, by_admin: bool = False) -> Prepare:
    def prepare() -> Change:
        actor = new_person("actor", role="admin" if by_admin else "user")
        path: dict[str, object] = {"user": new_person("other").id}
        for each in before:
            assert call(each, session_id=actor.session_id, path=path).status == 200
        return Change(module, actor, path)

    return prepare


def _on_request(module: ModuleType) -> Prepare:
    def prepare() -> Change:
        shy, asking = new_person("actor", private=True), new_person("other")
        assert call(follow_user, session_id=asking.session_id, path={"user": shy.id}).status == 200
        return Change(module, shy, {"user": asking.id})

    return prepare


def _register() -> Change:
    name = f"actor_{secrets.token_hex(5)}"
    return Change(register, body={"username": name, "email": f"{name}@example.org", "password": PASSWORD})


def _login() -> Change:
    person = new_person("actor")
    with transaction() as db:
        db.execute("UPDATE users SET password_hash = %s WHERE id = %s", [passwords.hash_password(PASSWORD), person.id])
    return Change(login, body={"username": person.username, "password": PASSWORD})


def _post_of_uploads() -> Change:
    author = new_person("actor")
    return Change(create_post, author, body={"uploads": direct_uploads.send(author, JPEG), "caption": "said"})


def _in_talk(module: ModuleType, **body: object) -> Prepare:
    def prepare() -> Change:
        actor = new_person("actor")
        return Change(module, actor, {"conversation_id": open_pair(actor, new_person("other"))}, body or None)

    return prepare


def _picture_in_talk() -> Change:
    return msgspec.structs.replace(_in_talk(send_message, content="said")(), files=(Upload(JPEG),))


def _on_message(module: ModuleType, **body: object) -> Prepare:
    def prepare() -> Change:
        talk = _in_talk(module, **body)()
        assert talk.person
        conversation_id = talk.path["conversation_id"]
        assert isinstance(conversation_id, UUID)
        message_id = send_text(talk.person, conversation_id)["messageId"]
        if module is mark_read:
            return msgspec.structs.replace(talk, body={"lastMessageId": message_id})
        return msgspec.structs.replace(talk, path={**talk.path, "message_id": message_id})

    return prepare


def _in_group(module: ModuleType, **body: object) -> Prepare:
    def prepare() -> Change:
        actor = new_person("actor")
        group = create_group(actor, new_person("other"), new_person("other"))
        return Change(module, actor, {"conversation_id": group}, body or None)

    return prepare


def _open_conversation() -> Change:
    return Change(open_conversation, new_person("actor"), body={"recipientId": str(new_person("other").id)})


def _open_group() -> Change:
    others = [str(new_person("other").id) for _ in range(2)]
    return Change(open_group, new_person("actor"), body={"name": "said", "userIds": others})


CHANGES: dict[str, Prepare] = {
    "auth/register": _register,
    "auth/login": _login,
    "auth/logout": _plain(logout),
    "users/update_profile": _plain(update_profile, displayName="Said", bio="said", isPrivate=False),
    "users/update_profile as a form": _form(update_profile, "profilePicture", displayName="Said", bio="said"),
    "users/follow_user": _on_person(follow_user),
    "users/unfollow_user": _on_person(unfollow_user, follow_user),
    "users/accept_follow_request": _on_request(accept_follow_request),
    "users/decline_follow_request": _on_request(decline_follow_request),
    "posts/create_post": _post_of_uploads,
    "posts/create_post as a form": _form(create_post, "media", caption="said", location="here"),
    "posts/create_uploads": _plain(create_uploads, files=[{"size": 1000, "type": "image/jpeg"}]),
    "posts/delete_post": _on_own_post(delete_post),
    "posts/like_post": _on_post(like_post),
    "posts/unlike_post": _on_post(unlike_post, like_post),
    "posts/save_post": _on_post(save_post),
    "posts/unsave_post": _on_post(unsave_post, save_post),
    "comments/create_comment": _on_post(create_comment, content="said"),
    "comments/delete_comment": _on_own_comment(delete_comment),
    "comments/like_comment": _on_own_comment(like_comment),
    "comments/unlike_comment": _on_own_comment(unlike_comment, like_comment),
    "stories/create_story as a form": _form(create_story, "media", filter="moon"),
    "stories/view_story": _on_story(view_story, is_own=False),
    "stories/delete_story": _on_story(delete_story, is_own=True),
    "messages/open_conversation": _open_conversation,
    "messages/send_message": _in_talk(send_message, content="said"),
    "messages/send_message as a form": _picture_in_talk,
    "messages/mark_read": _on_message(mark_read),
    "messages/start_typing": _in_talk(start_typing),
    "messages/add_reaction": _on_message(add_reaction, reaction="heart"),
    "messages/remove_reaction": _on_message(remove_reaction),
    "messages/mute_conversation": _in_talk(mute_conversation),
    "messages/unmute_conversation": _in_talk(unmute_conversation),
    "messages/open_group": _open_group,
    "messages/rename_group": _in_group(rename_group, name="said"),
    "messages/leave_group": _in_group(leave_group),
    "admin/remove_post": _on_post(remove_post, by_admin=True),
    "admin/remove_user": _on_person(remove_user, by_admin=True),
    "admin/unban_user": _on_person(unban_user, remove_user, by_admin=True),
}


def unsafe_functions() -> dict[str, ModuleType]:
    """Every function that an unsafe method calls."""
    return {
        route.function.name: importlib.import_module(route.function.handler.rpartition(".")[0])
        for route in template_map.routes()
        if route.method in cors.UNSAFE_METHODS
    }


def ways(module: ModuleType) -> set[str]:
    """How a function's request may be written, by the names above: as a form, as JSON or without a body."""
    name, signature = name_of(module), module.handler.signature
    form = {f"{name} as a form"} if signature.form else set()
    return form | ({name} if signature.body or not form else set())


def fields(kind: Callable[[Any], bool]) -> list[tuple[str, str]]:
    """Way and name of each field, of all bodies and forms, whose type is of this kind."""
    found = []
    for way in CHANGES:
        name, _, as_form = way.partition(" as a ")
        module = unsafe_functions()[name]
        change = Change(module, files=(Upload(b""),) if as_form else ())
        found += [(way, field.encode_name) for field in change.fields if kind(field.type)]
    return found
