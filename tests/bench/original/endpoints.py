"""The requests of the load: both sides speak the same API."""

from collections.abc import Mapping
from typing import Final

import msgspec

PREFIX: Final = "/api/v1"
PASSWORD: Final = "correct-horse-9"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint; texts in braces are replaced by the values of a request."""

    method: str
    path: str
    body: Mapping[str, str] = {}
    """Members of the JSON body."""
    form: Mapping[str, str] = {}
    """Text fields of a form."""
    file: str = ""
    """The form's field for the picture."""
    id: tuple[str, ...] = ()
    """Where an answer holds the id of what was created."""


ENDPOINTS: Final = {
    "register": Endpoint(
        method="POST",
        path="/auth/register",
        body={
            "username": "{username}",
            "email": "{username}@example.org",
            "password": PASSWORD,
            "displayName": "{username}",
        },
        id=("user", "id"),
    ),
    "login": Endpoint(method="POST", path="/auth/login", body={"username": "{username}", "password": PASSWORD}),
    "profile": Endpoint(method="GET", path="/users/{username}"),
    "posts_of": Endpoint(method="GET", path="/users/{username}/posts?limit=50"),
    "follow": Endpoint(method="POST", path="/users/{user_id}/follow"),
    "unfollow": Endpoint(method="DELETE", path="/users/{user_id}/follow"),
    "feed": Endpoint(method="GET", path="/feed?limit=20"),
    "explore": Endpoint(method="GET", path="/feed/explore?limit=24"),
    "create_post": Endpoint(method="POST", path="/posts", form={"caption": "{text}"}, file="media", id=("post", "id")),
    "post": Endpoint(method="GET", path="/posts/{post_id}"),
    "like": Endpoint(method="POST", path="/posts/{post_id}/like"),
    "unlike": Endpoint(method="DELETE", path="/posts/{post_id}/like"),
    "comments": Endpoint(method="GET", path="/posts/{post_id}/comments?limit=20"),
    "comment": Endpoint(method="POST", path="/posts/{post_id}/comments", body={"content": "{text}"}),
    "create_story": Endpoint(method="POST", path="/stories", file="media"),
    "open_conversation": Endpoint(
        method="POST",
        path="/messages/conversations",
        body={"recipientId": "{user_id}"},
        id=("conversationId",),
    ),
    "send": Endpoint(method="POST", path="/messages/conversations/{conversation_id}", body={"content": "{text}"}),
    "messages": Endpoint(method="GET", path="/messages/conversations/{conversation_id}?limit=50"),
    "inbox": Endpoint(method="GET", path="/messages/conversations?limit=20"),
}
