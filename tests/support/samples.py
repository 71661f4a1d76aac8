"""Invoking samples in the demo, and restoring the demo after it."""

from infra import demo
from infra.invoke.accounts import Accounts
from infra.invoke.assembly import assemble
from infra.invoke.hosts import Invoked, LocalHost, LocalStackHost
from infra.invoke.samples import ADA, GRACE, NEWCOMER
from infra.template_map import Function


def invoke_sample(host: LocalHost | LocalStackHost, function: Function) -> Invoked:
    """The outcome of a function's sample."""
    with Accounts() as accounts:
        return host.invoke(assemble(function, host.load(), accounts).event)


def restore_demo() -> None:
    """Undo what samples have changed, as far as others see it."""
    ada = next(member for member in demo.MEMBERS if member.username == ADA)
    with Accounts() as accounts:
        accounts.request("PUT", "/users/me", by=ADA, json={"displayName": ada.display_name, "bio": ada.bio})
        grace = accounts.get(f"/users/{GRACE}")["user"]["id"]
        accounts.request("POST", f"/users/{grace}/follow", by=ADA)
        newcomer = accounts.request("GET", f"/users/{NEWCOMER}", by=demo.ADMIN, accepts=[404])
        if newcomer:
            accounts.request("DELETE", f"/admin/users/{newcomer['user']['id']}?mode=delete", by=demo.ADMIN)
        for member in demo.MEMBERS:
            _remove_posts(accounts, member.username)


def _remove_posts(accounts: Accounts, author: str) -> None:
    """Remove an author's posts that the demo has not made, and such comments on the other ones."""
    captions = {photo.full_caption for photo in demo.PHOTOS}
    texts = {comment.text for comment in demo.COMMENTS}
    for listed in accounts.get(f"/users/{author}/posts?limit=100", by=author)["posts"]:
        path = f"/posts/{listed['id']}"
        if accounts.get(path, by=author)["post"]["caption"] not in captions:
            accounts.request("DELETE", path, by=author)
            continue
        for comment in accounts.get(f"{path}/comments?limit=100", by=author)["comments"]:
            if comment["content"] not in texts:
                accounts.request("DELETE", f"/comments/{comment['id']}", by=author)


def member_names(value: object, path: str = "") -> set[str]:
    """The paths of all members of a JSON value, those of all elements of a list together."""
    if isinstance(value, dict):
        names = {f"{path}.{key}": inner for key, inner in value.items()}
        return names.keys() | {name for member, inner in names.items() for name in member_names(inner, member)}
    if isinstance(value, list):
        return {name for inner in value for name in member_names(inner, f"{path}[]")}
    return set()
