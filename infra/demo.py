"""Creates demo accounts with real photographs in a running system, through its HTTP API.

python -m infra.demo [--url http://localhost:3000]

A second run creates only what is missing. The photographs are those of the Debian packages lomiri-wallpapers-16.04 and
mate-backgrounds; each post names its photographer and its licence, as the package's copyright file does.
"""

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import Any, Final, Self
from uuid import NAMESPACE_URL, uuid4, uuid5

import httpx
import msgspec

from infra.grant import grant
from infra.stack import env_file
from layers.core.errors import PhotogramError
from layers.core.settings import settings
from layers.postgres.connection import transaction

PASSWORD = "photogram"  # noqa: S105 (a public password of demo accounts)
ADMIN = "alan"
BACKGROUNDS = Path("/usr/share/backgrounds")
PACKAGES = "lomiri-wallpapers-16.04 mate-backgrounds"

_PUBLISH_SECONDS = 150
"""More than the 120 s within which a post is published even if its queue message is lost."""
_PAUSE_SECONDS = 0.25
_REQUEST_SECONDS = 60
_BUSY_SECONDS = 90
"""How long a request is repeated while the system is busy or a part of it is away: rate limits wait up to a minute."""
_BUSY: Final = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)


class Photo(msgspec.Struct, frozen=True):
    """A post of one or several pictures, with the credit of the package's copyright file."""

    files: tuple[str, ...]
    """Paths below BACKGROUNDS."""
    by: str
    caption: str
    credit: str
    location: str = ""

    @property
    def full_caption(self) -> str:
        """The caption, followed by the credit."""
        return f"{self.caption}\n\nPhoto: {self.credit}"


class Member(msgspec.Struct, frozen=True):
    """A demo account."""

    username: str
    display_name: str
    bio: str
    picture: str
    """The profile picture, a path below BACKGROUNDS."""
    follows: tuple[str, ...]
    story: str = ""
    """The picture of its story, a path below BACKGROUNDS; empty for no story."""
    accepts: tuple[str, ...] | None = None
    """Whose follow requests it accepts; None for a public account, which has no requests."""


MEMBERS = (
    Member(
        "ada",
        "Ada",
        "Mountains, mostly.",
        "picosdeeuropa_by_Aitzol_Berasategi.jpg",
        ("grace", "linus", "margaret", "alan"),
        "seeding_by_Clements_Engelhardt.jpg",
    ),
    Member(
        "grace",
        "Grace",
        "Found a bug once.",
        "mate/nature/LadyBird.jpg",
        ("ada", "margaret", "alan", "dorothy"),
        "Wine_by_Jakkub_Mede.jpg",
    ),
    Member(
        "linus",
        "Linus",
        "Dogs and bridges.",
        "Bridge_by_Sander_Klootwijk.jpg",
        ("ada", "grace"),
        "friends_by_Aitzol_Berasategi.jpg",
    ),
    Member("margaret", "Margaret", "In the garden.", "mate/nature/YellowFlower.jpg", ("ada", "grace", "linus")),
    Member("alan", "Alan", "Administrator.", "mate/nature/Storm.jpg", ("ada", "margaret", "dorothy")),
    Member("dorothy", "Dorothy", "Friends only.", "free_by_Peter_Nerlich.jpg", ("ada",), accepts=("grace",)),
)

_AITZOL = "Aitzol Berasategi, CC BY 4.0"
_BARBIN = "Charles Barbin, GPL 2+"
PHOTOS = (
    Photo(
        ("picosdeeuropa_by_Aitzol_Berasategi.jpg", "aitzgorri_by_Aitzol_Berasategi.jpg"),
        "ada",
        "Two walks, two mountains. #hiking #mountains",
        _AITZOL,
        "Picos de Europa",
    ),
    Photo(("Bridge_by_Sander_Klootwijk.jpg",), "linus", "Lines in the sky. #bridge", "Sander Klootwijk, CC BY-SA 4.0"),
    Photo(("Picture_0B_by_freespace.jpg",), "grace", "Half a fig. #stilllife", 'Trevor "Freespace", CC BY 4.0'),
    Photo(("free_by_Peter_Nerlich.jpg",), "margaret", "Flying indoors! #bird", "Peter Nerlich, CC BY-SA 4.0"),
    Photo(("life_by_Aitzol_Berasategi.jpg",), "alan", "Water finds its way. #forest", _AITZOL),
    Photo(("mate/nature/LadyBird.jpg",), "grace", "Found a bug. #ladybird", _BARBIN),
    Photo(("friends_by_Aitzol_Berasategi.jpg",), "linus", "Waiting for the postman. #dogs", _AITZOL),
    Photo(("mate/nature/Storm.jpg",), "alan", "It will rain in a minute. #storm", "Sergey Nazarov, GPL 2+"),
    Photo(
        ("mate/nature/Garden.jpg", "mate/nature/YellowFlower.jpg"),
        "margaret",
        "The garden this week. #flowers",
        _BARBIN,
    ),
    Photo(("Wine_by_Jakkub_Mede.jpg",), "grace", "A quiet evening. #home", "Jakub Mede, CC BY 4.0"),
    Photo(("seeding_by_Clements_Engelhardt.jpg",), "ada", "Ready for the wind. #macro", "Clemens Engelhardt, CC0 1.0"),
    Photo(("sunset_by_Aitzol_Berasategi.jpg",), "ada", "Last light. #sunset", _AITZOL, "Basque Country"),
)


class Comment(msgspec.Struct, frozen=True):
    """A comment on the post whose first picture is `on`."""

    on: str
    by: str
    text: str
    reply: tuple[str, str] | None = None
    """The author of a reply, and its text."""


COMMENTS = (
    Comment("sunset_by_Aitzol_Berasategi.jpg", "grace", "What a light!", ("ada", "It lasted three minutes.")),
    Comment("sunset_by_Aitzol_Berasategi.jpg", "linus", "Where is this?", ("ada", "Above the bay, at the old fort.")),
    Comment("mate/nature/LadyBird.jpg", "margaret", "Seven points, so she brings luck. #ladybird"),
    Comment("friends_by_Aitzol_Berasategi.jpg", "ada", "Who is the left one?", ("linus", "The older sister.")),
    Comment("picosdeeuropa_by_Aitzol_Berasategi.jpg", "alan", "I have to go there."),
)


PAIR_MESSAGES = (
    ("grace", "Did you see the light last night?"),
    ("ada", "I was standing in it!"),
    ("grace", "Send me the big one, please."),
)
GROUP = "Saturday walk"
GROUP_MESSAGES = (("linus", "Who comes along on Saturday?"), ("margaret", "I do, if the dog may."), ("ada", "It must."))


class DemoFailed(Exception):
    """The demo could not be created; the message contains the request and the answer."""


class Account:
    """A member's HTTP session: registered if needed, and signed in. Its requests raise `DemoFailed`."""

    def __init__(self, url: str, member: Member) -> None:
        self.member = member
        self._http = httpx.Client(base_url=f"{url}/api/v1", timeout=_REQUEST_SECONDS)
        name = member.username
        registration = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        named = {**registration, "displayName": member.display_name}
        response = _send(self._http, "POST", "/auth/register", json=named)
        if response.status_code == httpx.codes.CONFLICT:
            response = _send(self._http, "POST", "/auth/login", json={"username": name, "password": PASSWORD})
        self.id: str = _read(response)["user"]["id"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post(self, path: str, *, key: str = "", **body: Any) -> dict[str, Any]:
        """The answer to a POST, which creates nothing twice with the same idempotency key."""
        return _read(_send(self._http, "POST", path, headers={"idempotency-key": key or str(uuid4())}, **body))

    def put(self, path: str, **body: Any) -> dict[str, Any]:
        """The answer to a PUT."""
        return _read(_send(self._http, "PUT", path, **body))

    def get(self, path: str) -> dict[str, Any]:
        """The answer to a GET."""
        return _read(_send(self._http, "GET", path))


def create(url: str) -> None:
    """Create what is missing of the demo; raises `DemoFailed`."""
    if _is_complete(url):
        print("The demo accounts and their posts exist already.")
    else:
        with contextlib.ExitStack() as stack:
            _create({member.username: stack.enter_context(Account(url, member)) for member in MEMBERS})
    if _has_backgrounds():
        _post_stories(url)


def _create(accounts: dict[str, Account]) -> None:
    print(f"Accounts: {', '.join(accounts)}")
    for account in accounts.values():
        _update_profile(account)
    for account in accounts.values():
        for name in account.member.follows:
            account.post(f"/users/{accounts[name].id}/follow")
    for account in accounts.values():
        for name in account.member.accepts or ():
            account.post(f"/users/me/follow-requests/{accounts[name].id}/accept")
    grant(username=ADMIN, role="admin")
    if _has_backgrounds():
        posts = _upload(accounts)
        _wait_until_published(accounts, posts)
        _like(accounts)
        _comment(accounts, {photo.files[0]: post_id for post_id, photo in posts.items()})
    _send_messages(accounts)


def _update_profile(account: Account) -> None:
    member = account.member
    texts = {"bio": member.bio, "isPrivate": str(member.accepts is not None).lower()}
    picture = BACKGROUNDS / member.picture
    files = {"profilePicture": (picture.name, picture.read_bytes())} if picture.is_file() else None
    account.put("/users/me", **({"files": files, "data": texts} if files else {"json": texts}))


def _is_complete(url: str) -> bool:
    """Whether every member exists and has all of its posts, by one request each."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=_REQUEST_SECONDS) as http:
        for member in MEMBERS:
            response = _send(http, "GET", f"/users/{member.username}")
            if response.status_code == httpx.codes.NOT_FOUND:
                return False
            expected = len(_photos_of(member.username)) if _has_backgrounds() else 0
            if _read(response)["user"]["postCount"] < expected:
                return False
    return True


def _photos_of(username: str) -> list[Photo]:
    return [photo for photo in PHOTOS if photo.by == username]


def _has_backgrounds() -> bool:
    return all((BACKGROUNDS / file).is_file() for photo in PHOTOS for file in photo.files)


FIND_POSTS: Final = """
    SELECT id, caption FROM posts WHERE user_id = %(user_id)s AND status IN ('processing', 'published')
"""
# From the database, because the API does not list posts that are being processed: after an interrupted run, these must
# not be created again.


def _upload(accounts: dict[str, Account]) -> dict[str, Photo]:
    """Create the posts that do not exist; all posts by their id."""
    posts: dict[str, Photo] = {}
    with transaction() as db:
        existing = {
            (account.id, caption): str(post_id)
            for account in accounts.values()
            for post_id, caption in db.execute(FIND_POSTS, {"user_id": account.id})
        }
    for number, photo in enumerate(PHOTOS, 1):
        account = accounts[photo.by]
        post_id = existing.get((account.id, photo.full_caption))
        if post_id is None:
            print(f"  uploading {number} of {len(PHOTOS)}: {photo.caption}", flush=True)
            files = [("media", (Path(file).name, (BACKGROUNDS / file).read_bytes())) for file in photo.files]
            texts = {"caption": photo.full_caption, "location": photo.location}
            post_id = account.post("/posts", files=files, data=texts)["post_id"]
        posts[post_id] = photo
    return posts


def _wait_until_published(accounts: dict[str, Account], posts: dict[str, Photo]) -> None:
    started, waiting, count = time.monotonic(), dict(posts), len(posts)
    while waiting:
        for post_id, photo in list(waiting.items()):
            post = accounts[photo.by].get(f"/posts/{post_id}")["post"]
            if post["status"] == "failed":
                reasons = "; ".join(media["failure"] for media in post["media"] if media["failure"])
                raise DemoFailed(f"{', '.join(photo.files)} could not be published: {reasons}")
            if post["status"] == "published":
                del waiting[post_id]
                print(f"  published {count - len(waiting)} of {count}: {photo.caption}", flush=True)
        if waiting:
            if time.monotonic() - started > _PUBLISH_SECONDS:
                raise DemoFailed(f"{len(waiting)} posts are still being processed. Check the stack with: make status")
            time.sleep(_PAUSE_SECONDS)


def _like(accounts: dict[str, Account]) -> None:
    """Each account likes every second post of others in its feed."""
    for number, account in enumerate(accounts.values()):
        others = [post for post in account.get("/feed?limit=100")["posts"] if post["userId"] != account.id]
        for post in others[number % 2 :: 2]:
            account.post(f"/posts/{post['id']}/like")


def _comment(accounts: dict[str, Account], posts: dict[str, str]) -> None:
    """Create comments and replies; the post's author likes each comment, and its writer saves the post.

    Idempotency keys prevent duplicates when an interrupted run is repeated.
    """
    authors = {photo.files[0]: photo.by for photo in PHOTOS}
    for number, comment in enumerate(COMMENTS):
        path, key = f"/posts/{posts[comment.on]}/comments", f"demo-{number}"
        created = accounts[comment.by].post(path, json={"content": comment.text}, key=key)
        comment_id = created["comment"]["id"]
        accounts[authors[comment.on]].post(f"/comments/{comment_id}/like")
        if comment.reply:
            name, text = comment.reply
            reply = {"content": text, "parentCommentId": comment_id}
            accounts[name].post(path, json=reply, key=f"{key}-{comment_id}")
        accounts[comment.by].post(f"/posts/{posts[comment.on]}/save")


def _send_messages(accounts: dict[str, Account]) -> None:
    """Send messages in a conversation of two and in a group; client message ids prevent duplicates."""
    first, second, *_ = accounts.values()
    pair = first.post("/messages/conversations", json={"recipientId": second.id})["conversationId"]
    body = {"name": GROUP, "userIds": [account.id for account in accounts.values() if account is not first]}
    key = str(uuid5(NAMESPACE_URL, repr(body)))  # contains the ids, so accounts that were created again get a new group
    group = first.post("/messages/groups", json=body, key=key)["conversationId"]
    for number, (conversation, name, text) in enumerate(
        [*((pair, *line) for line in PAIR_MESSAGES), *((group, *line) for line in GROUP_MESSAGES)]
    ):
        message = {"content": text, "clientMessageId": str(uuid5(NAMESPACE_URL, f"demo-{number}"))}
        accounts[name].post(f"/messages/conversations/{conversation}", json=message)


def _post_stories(url: str) -> None:
    """Create the stories that do not exist; those of an earlier run expire after a day."""
    with Account(url, MEMBERS[0]) as viewer:
        authors = {user["username"] for user in viewer.get("/stories/tray")["users"]}
    for member in MEMBERS:
        if member.story and member.username not in authors:
            file = BACKGROUNDS / member.story
            with Account(url, member) as author:
                author.post("/stories", files={"media": (file.name, file.read_bytes())})
            print(f"  a story of {member.username}", flush=True)


def _send(http: httpx.Client, method: str, path: str, **content: Any) -> httpx.Response:
    """The response; a request that is refused with a time to wait is repeated after it, as long as 90 s allow."""
    ends_at = time.monotonic() + _BUSY_SECONDS
    while True:
        response = http.request(method, path, **content)
        pause = int(response.headers.get("retry-after", 0))
        if response.status_code not in _BUSY or not pause or time.monotonic() + pause > ends_at:
            return response
        time.sleep(pause)


def _read(response: httpx.Response) -> dict[str, Any]:
    """The response's JSON; raises `DemoFailed` with the error's text for an error response."""
    request = f"{response.request.method} {response.request.url}"
    try:
        body: dict[str, Any] = response.json()
    except ValueError:
        raise DemoFailed(f"{request} answered {response.status_code} without JSON") from None
    if response.is_error:
        raise DemoFailed(f"{request} answered {response.status_code}: {body.get('error')}")
    return body


def main() -> int:
    """Create the demo and print the address and how to sign in; 1 if it could not be created."""
    parser = argparse.ArgumentParser(prog="python -m infra.demo", description=__doc__)
    parser.add_argument("--url", help="the address of the system (default: the running stack)")
    parser.add_argument("--profile", choices=["run", "test"], default="run", help="in which stack")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        env_file.apply(arguments.profile)
        url = arguments.url or settings().own_origins.split(",")[0]
        create(url.rstrip("/"))
    except httpx.TransportError as error:
        print(f"The system does not answer ({error}). Check it with: make status", file=sys.stderr)
        return 1
    except (DemoFailed, PhotogramError, env_file.NeverStarted) as error:
        print(f"The demo could not be created: {error}", file=sys.stderr)
        return 1
    if not _has_backgrounds():
        print(f"The accounts have no posts, because the photographs are missing. Install them: apt install {PACKAGES}")
    print(f"The demo is ready ({time.monotonic() - started:.1f} s).\n")
    print(f"  {url}")
    print(f"  sign in as {MEMBERS[0].username} with the password {PASSWORD}; {ADMIN} is an admin")
    print(f"  API documentation: {url}/docs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
