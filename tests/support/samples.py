"""Invoking samples in the demo, and restoring the demo after it."""

from typing import Any, Final

import msgspec

from infra import demo
from infra.invoke.accounts import Accounts
from infra.invoke.assembly import assemble
from infra.invoke.hosts import Invoked, LocalHost, LocalStackHost
from infra.invoke.samples import ADA, GRACE, NEWCOMER
from infra.template_map import Function

_MADE: Final = {
    "posts/create_post": ("/posts/{}", "post_id"),
    "comments/create_comment": ("/comments/{}", "comment", "id"),
    "stories/create_story": ("/stories/{}", "story", "id"),
}
"""By function, where what its sample has made is removed, and the members with its id."""


def invoke_sample(host: LocalHost | LocalStackHost, function: Function) -> Invoked:
    """The outcome of a function's sample; what it has made for others to see in the demo is removed again."""
    with Accounts() as accounts:
        invoked = host.invoke(assemble(function, host.load(), accounts).event)
        if function.name in _MADE and not invoked.has_failed:
            path, *members = _MADE[function.name]
            made: Any = msgspec.json.decode(invoked.result["body"])
            for member in members:
                made = made[member]
            accounts.request("DELETE", path.format(made), by=ADA)
    return invoked


def restore_demo() -> None:
    """Undo what samples have changed."""
    ada = next(member for member in demo.MEMBERS if member.username == ADA)
    with Accounts() as accounts:
        accounts.request("PUT", "/users/me", by=ADA, json={"displayName": ada.display_name, "bio": ada.bio})
        grace = accounts.get(f"/users/{GRACE}")["user"]["id"]
        accounts.request("POST", f"/users/{grace}/follow", by=ADA)
        newcomer = accounts.request("GET", f"/users/{NEWCOMER}", by=demo.ADMIN, accepts=[404])
        if newcomer:
            accounts.request("DELETE", f"/admin/users/{newcomer['user']['id']}?mode=delete", by=demo.ADMIN)


def member_names(value: object, path: str = "") -> set[str]:
    """The paths of all members of a JSON value, those of all elements of a list together."""
    if isinstance(value, dict):
        return {
            name for key, inner in value.items() for name in {f"{path}.{key}", *member_names(inner, f"{path}.{key}")}
        }
    if isinstance(value, list):
        return {name for inner in value for name in member_names(inner, f"{path}[]")}
    return set()
