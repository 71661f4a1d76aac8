"""Fills a running system with a few accounts and real photographs, through its own HTTP API.

python -m infra.demo [--url http://localhost:3000]

What is there already is left alone, so running it again is quick. The photographs are those of the Debian packages
lomiri-wallpapers-16.04 and mate-backgrounds; each post names its photographer and licence as the package does.
"""

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import Any, Final, Self
from uuid import NAMESPACE_URL, uuid5

import httpx
import msgspec

from infra import stack_settings
from infra.grant import grant
from layers.core.errors import PhotogramError
from layers.core.settings import settings
from layers.postgres.connection import transaction

PASSWORD = "photogram"  # noqa: S105 (it is printed for everybody)
ADMIN = "alan"
BACKGROUNDS = Path("/usr/share/backgrounds")
PACKAGES = "lomiri-wallpapers-16.04 mate-backgrounds"

_PUBLISHED_SECONDS = 150
"""The contract's 120 s for a post whose queue is down, and some."""
_PAUSE_SECONDS = 0.25
_REQUEST_SECONDS = 60


class Photo(msgspec.Struct, frozen=True):
    """One or several pictures to post, credited as the copyright file of their package says."""

    files: tuple[str, ...]
    """Below the folder of backgrounds."""
    by: str
    caption: str
    credit: str
    location: str = ""

    @property
    def full_caption(self) -> str:
        """The caption with its credit."""
        return f"{self.caption}\n\nPhoto: {self.credit}"


class Member(msgspec.Struct, frozen=True):
    """A demo account."""

    username: str
    display_name: str
    bio: str
    picture: str
    """Its profile picture, one of those that are posted."""
    follows: tuple[str, ...]
    story: str = ""
    """A picture of its posts, to tell again as a story."""
    accepts: tuple[str, ...] | None = None
    """Whose requests it accepts; None: its account is public, and nobody has to ask."""


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
    Member("alan", "Alan", "Looks after this place.", "mate/nature/Storm.jpg", ("ada", "margaret", "dorothy")),
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


class Remark(msgspec.Struct, frozen=True):
    """A comment on the post that begins with this picture."""

    on: str
    by: str
    text: str
    reply: tuple[str, str] | None = None
    """Who answers, and what."""


REMARKS = (
    Remark("sunset_by_Aitzol_Berasategi.jpg", "grace", "What a light!", ("ada", "It lasted three minutes.")),
    Remark("sunset_by_Aitzol_Berasategi.jpg", "linus", "Where is this?", ("ada", "Above the bay, at the old fort.")),
    Remark("mate/nature/LadyBird.jpg", "margaret", "Seven points, so she brings luck. #ladybird"),
    Remark("friends_by_Aitzol_Berasategi.jpg", "ada", "Who is the left one?", ("linus", "The older sister.")),
    Remark("picosdeeuropa_by_Aitzol_Berasategi.jpg", "alan", "I have to go there."),
)


LETTERS = (
    ("grace", "Did you see the light last night?"),
    ("ada", "I was standing in it!"),
    ("grace", "Send me the big one, please."),
)
GROUP = "Saturday walk"
PLANS = (("linus", "Who comes along on Saturday?"), ("margaret", "I do, if the dog may."), ("ada", "It must."))


class Failed(Exception):
    """The demo could not be made; says what was asked and what came back."""


class Account:
    """A member over HTTP: registered if need be, and signed in."""

    def __init__(self, url: str, member: Member) -> None:
        self.member = member
        self._http = httpx.Client(base_url=f"{url}/api/v1", timeout=_REQUEST_SECONDS)
        name = member.username
        registration = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        answer = self._http.post("/auth/register", json={**registration, "displayName": member.display_name})
        if answer.status_code == httpx.codes.CONFLICT:
            answer = self._http.post("/auth/login", json={"username": name, "password": PASSWORD})
        self.id: str = _good(answer)["user"]["id"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post(self, path: str, **sent: Any) -> dict[str, Any]:
        """The answer to a POST."""
        return _good(self._http.post(path, **sent))

    def put(self, path: str, **sent: Any) -> dict[str, Any]:
        """The answer to a PUT."""
        return _good(self._http.put(path, **sent))

    def get(self, path: str) -> dict[str, Any]:
        """The answer to a GET."""
        return _good(self._http.get(path))


def fill(url: str) -> None:
    """Make what is missing of the demo; raises `Failed`."""
    if _is_complete(url):
        print("The demo accounts and their photographs are there.")
    else:
        with contextlib.ExitStack() as signed_in:
            _make({member.username: signed_in.enter_context(Account(url, member)) for member in MEMBERS})
    if _has_backgrounds():
        _tell_stories(url)


def _make(accounts: dict[str, Account]) -> None:
    print(f"Accounts: {', '.join(accounts)}")
    for account in accounts.values():
        _introduce(account)
    for account in accounts.values():
        for name in account.member.follows:
            account.post(f"/users/{accounts[name].id}/follow")
    for account in accounts.values():
        for name in account.member.accepts or ():
            account.post(f"/users/me/follow-requests/{accounts[name].id}/accept")
    grant(username=ADMIN, role="admin")
    if _has_backgrounds():
        posted = _upload(accounts)
        _wait_until_published(accounts, posted)
        _like(accounts)
        _talk(accounts, {photo.files[0]: post_id for post_id, photo in posted.items()})
    _write(accounts)


def _introduce(account: Account) -> None:
    """What a member says of itself."""
    member = account.member
    texts = {"bio": member.bio, "isPrivate": str(member.accepts is not None).lower()}
    picture = BACKGROUNDS / member.picture
    files = {"profilePicture": (picture.name, picture.read_bytes())} if picture.is_file() else None
    account.put("/users/me", **({"files": files, "data": texts} if files else {"json": texts}))


def _is_complete(url: str) -> bool:
    """Whether every member has all of its posts: one small question each, no sign-in."""
    for member in MEMBERS:
        answer = httpx.get(f"{url}/api/v1/users/{member.username}", timeout=_REQUEST_SECONDS)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        wanted = len(_photos_of(member.username)) if _has_backgrounds() else 0
        if _good(answer)["user"]["postCount"] < wanted:
            return False
    return True


def _photos_of(username: str) -> list[Photo]:
    return [photo for photo in PHOTOS if photo.by == username]


def _has_backgrounds() -> bool:
    return all((BACKGROUNDS / file).is_file() for photo in PHOTOS for file in photo.files)


BEGUN: Final = """
    SELECT id, caption FROM posts WHERE user_id = %(user_id)s AND status IN ('processing', 'published')
"""
# Asked of the database: the API lists no post that is still processing, and a run cut short must not post twice.


def _upload(accounts: dict[str, Account]) -> dict[str, Photo]:
    """Post the photographs that are not there; all of them by the id of their post."""
    posted: dict[str, Photo] = {}
    with transaction() as db:
        begun = {
            (account.id, caption): str(post_id)
            for account in accounts.values()
            for post_id, caption in db.execute(BEGUN, {"user_id": account.id})
        }
    for number, photo in enumerate(PHOTOS, 1):
        account = accounts[photo.by]
        post_id = begun.get((account.id, photo.full_caption))
        if post_id is None:
            print(f"  uploading {number} of {len(PHOTOS)}: {photo.caption}", flush=True)
            files = [("media", (Path(file).name, (BACKGROUNDS / file).read_bytes())) for file in photo.files]
            texts = {"caption": photo.full_caption, "location": photo.location}
            post_id = account.post("/posts", files=files, data=texts)["post_id"]
        posted[post_id] = photo
    return posted


def _wait_until_published(accounts: dict[str, Account], posted: dict[str, Photo]) -> None:
    started, waiting, count = time.monotonic(), dict(posted), len(posted)
    while waiting:
        for post_id, photo in list(waiting.items()):
            post = accounts[photo.by].get(f"/posts/{post_id}")["post"]
            if post["status"] == "failed":
                reasons = "; ".join(media["failure"] for media in post["media"] if media["failure"])
                raise Failed(f"{', '.join(photo.files)} could not be published: {reasons}")
            if post["status"] == "published":
                del waiting[post_id]
                print(f"  published {count - len(waiting)} of {count}: {photo.caption}", flush=True)
        if waiting:
            if time.monotonic() - started > _PUBLISHED_SECONDS:
                raise Failed(f"{len(waiting)} posts are not published after {_PUBLISHED_SECONDS} s: make status")
            time.sleep(_PAUSE_SECONDS)


def _like(accounts: dict[str, Account]) -> None:
    """Everybody likes some of what they see."""
    for number, account in enumerate(accounts.values()):
        others = [post for post in account.get("/feed?limit=100")["posts"] if post["userId"] != account.id]
        for post in others[number % 2 :: 2]:
            account.post(f"/posts/{post['id']}/like")


def _talk(accounts: dict[str, Account], posts: dict[str, str]) -> None:
    """Comments and replies, liked by whoever posted the picture. The key keeps a run cut short from saying it twice."""
    by_file = {photo.files[0]: photo.by for photo in PHOTOS}
    for number, remark in enumerate(REMARKS):
        path, key = f"/posts/{posts[remark.on]}/comments", f"demo-{number}"
        said = accounts[remark.by].post(path, json={"content": remark.text}, headers={"idempotency-key": key})
        accounts[by_file[remark.on]].post(f"/comments/{said['comment']['id']}/like")
        if remark.reply:
            name, text = remark.reply
            reply = {"content": text, "parentCommentId": said["comment"]["id"]}
            accounts[name].post(path, json=reply, headers={"idempotency-key": f"{key}-{said['comment']['id']}"})
        accounts[remark.by].post(f"/posts/{posts[remark.on]}/save")


def _write(accounts: dict[str, Account]) -> None:
    """A conversation of two, and a group's. The clients' ids keep a run cut short from saying anything twice."""
    first, second, *_ = accounts.values()
    pair = first.post("/messages/conversations", json={"recipientId": second.id})["conversationId"]
    body = {"name": GROUP, "userIds": [account.id for account in accounts.values() if account is not first]}
    key = str(uuid5(NAMESPACE_URL, repr(body)))  # an account that was removed and made anew is another one
    group = first.post("/messages/groups", json=body, headers={"idempotency-key": key})["conversationId"]
    for number, (conversation, name, text) in enumerate(
        [*((pair, *line) for line in LETTERS), *((group, *line) for line in PLANS)]
    ):
        message = {"content": text, "clientMessageId": str(uuid5(NAMESPACE_URL, f"demo-{number}"))}
        accounts[name].post(f"/messages/conversations/{conversation}", json=message)


def _tell_stories(url: str) -> None:
    """Stories last a day: tell them again once they are gone."""
    with Account(url, MEMBERS[0]) as viewer:
        telling = {user["username"] for user in viewer.get("/stories/tray")["users"]}
    for member in MEMBERS:
        if member.story and member.username not in telling:
            file = BACKGROUNDS / member.story
            with Account(url, member) as teller:
                teller.post("/stories", files={"media": (file.name, file.read_bytes())})
            print(f"  a story of {member.username}", flush=True)


def _good(answer: httpx.Response) -> dict[str, Any]:
    """The answer's JSON; raises `Failed` for a refusal, in its own words."""
    asked = f"{answer.request.method} {answer.request.url}"
    try:
        told: dict[str, Any] = answer.json()
    except ValueError:
        raise Failed(f"{asked}: {answer.status_code}, and no JSON") from None
    if answer.is_error:
        raise Failed(f"{asked}: {answer.status_code} {told.get('error')}")
    return told


def main() -> int:
    """Fill the system and print where it is and how to sign in; 1 if that failed."""
    parser = argparse.ArgumentParser(prog="python -m infra.demo", description=__doc__)
    parser.add_argument("--url", help="the front door (by default the running stack's)")
    parser.add_argument("--profile", choices=["run", "test"], default="run", help="of which stack")
    given = parser.parse_args()
    started = time.monotonic()
    try:
        stack_settings.use(given.profile)
        url = given.url or settings().own_origins.split(",")[0]
        fill(url.rstrip("/"))
    except httpx.TransportError as error:
        print(f"The front door does not answer ({error}): make status", file=sys.stderr)
        return 1
    except (Failed, PhotogramError, stack_settings.NotUp) as error:
        print(f"The demo is not complete: {error}", file=sys.stderr)
        return 1
    if not _has_backgrounds():
        print(f"No photographs: the packages are not installed (apt install {PACKAGES}). The accounts are there.")
    print(f"Demo ready in {time.monotonic() - started:.1f} s.\n")
    print(f"  {url}")
    print(f"  sign in as {MEMBERS[0].username} with the password {PASSWORD}; {ADMIN} is the admin")
    print(f"  every endpoint, to read and to try: {url}/docs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
