"""The table of docs/contract/outages.md: kinds of requests, their usual answers, and those while a service is down."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import uuid4

import httpx
import msgspec

from tests import pictures
from tests.support.http import PASSWORD, Caller, api
from tests.support.waiting import LATE_SECONDS

ORDINARY_SECONDS: Final = 2
UPLOAD_SECONDS: Final = 10
PHOTO: Final = pictures.jpeg(640, 480)


class Answer(msgspec.Struct, frozen=True):
    """An answer that a request may get. 503 carries Retry-After and a text."""

    status: int
    members: Mapping[str, object] = {}
    lacks: str = ""
    """A member that the JSON must not have."""

    def fits(self, found: httpx.Response) -> bool:
        """Whether it is this answer."""
        if found.status_code != self.status:
            return False
        if self.status == httpx.codes.SERVICE_UNAVAILABLE:
            return int(found.headers.get("retry-after", "0")) >= 1 and bool(found.json()["error"])
        if not self.members and not self.lacks:
            return True
        json = found.json()
        return self.lacks not in json and all(json.get(name) == value for name, value in self.members.items())


DOWN: Final = Answer(503)


class Refused(Answer, frozen=True):
    """503 for files that were not stored."""

    def fits(self, found: httpx.Response) -> bool:
        """Whether it also says that the server will not try again."""
        return super().fits(found) and found.json()["queued"] is False


class Accounts(msgspec.Struct):
    """The accounts that make the requests, and what they made."""

    reader: Caller
    """Follows the author alone, so that nothing changes the page of the feed that Valkey has."""
    author: Caller
    uploader: Caller
    """Creates posts and stories and changes its profile."""
    fan: Caller
    """Follows the uploader."""
    post_id: str
    busy_post_id: str
    """The post that the traffic is about."""
    media_url: str
    talk: str
    """The path of the conversation of reader and author."""
    message_id: str
    group: str
    """The path of a group of reader, author and uploader."""
    left_group: str
    """The path of the group that is left next."""
    newcomer: Caller
    """Has a session in Valkey, and no page of a feed."""
    upload: dict[str, Any]
    """The latest presigned upload."""
    hash_seconds: float = 0
    """How long a request takes, while every service works, that hashes a password: the CPU, and not a store."""
    pictures_again_at: float = 0
    """When the image breaker lets calls pass again, by the monotonic clock."""


type Ask = Callable[[Accounts], httpx.Response]


class Kind(NamedTuple):
    """A kind of request."""

    name: str
    """The endpoint, as in docs/contract."""
    usual: Answer
    ask: Ask
    is_upload: bool = False
    needs_breaker: bool = False
    """Whether it processes a picture, which the image breaker may refuse."""
    hashes: bool = False

    def most_seconds(self, accounts: Accounts) -> float:
        """How long it may take, while a service is down, on a machine that is busy with other work."""
        promised = UPLOAD_SECONDS if self.is_upload else ORDINARY_SECONDS
        return promised + LATE_SECONDS + (accounts.hash_seconds if self.hashes else 0)


def form(name: str) -> dict[str, tuple[str, bytes, str]]:
    """A form with a photo under this name."""
    return {name: ("photo.jpg", PHOTO, "image/jpeg")}


def _register(_: Accounts) -> httpx.Response:
    name = f"new_{uuid4().hex[:12]}"
    body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
    return httpx.post(f"{api()}/api/v1/auth/register", json=body, timeout=30)


def _log_in(accounts: Accounts) -> httpx.Response:
    body = {"username": accounts.uploader.username, "password": PASSWORD}
    return httpx.post(f"{api()}/api/v1/auth/login", json=body, timeout=30)


def _presign(accounts: Accounts) -> httpx.Response:
    asked = {"files": [{"size": len(PHOTO), "type": "image/jpeg"}]}
    found = accounts.uploader.http.post("/posts/uploads", json=asked)
    if found.is_success:
        accounts.upload = found.json()["uploads"][0]
    return found


def _send_to_store(accounts: Accounts) -> httpx.Response:
    upload = accounts.upload
    return httpx.request(upload["method"], upload["url"], content=PHOTO, headers=upload["headers"], timeout=30)


def _open_group(accounts: Accounts) -> httpx.Response:
    body = {"name": "Hikers", "userIds": [accounts.author.id, accounts.uploader.id]}
    found = accounts.reader.http.post("/messages/groups", json=body)
    if found.is_success:
        accounts.left_group = f"/messages/groups/{found.json()['conversationId']}"
    return found


FOR_FILES: Final = {"is_upload": True, "needs_breaker": True}
KINDS: Final = (
    Kind("A1", Answer(201), _register, hashes=True),
    Kind("A2", Answer(200), _log_in, hashes=True),
    Kind("P1", Answer(202), lambda each: each.uploader.http.post("/posts", files=form("media")), is_upload=True),
    Kind("S1", Answer(201), lambda each: each.uploader.http.post("/stories", files=form("media")), **FOR_FILES),
    Kind(
        "U2 with a picture",
        Answer(200),
        lambda each: each.uploader.http.put("/users/me", files=form("profilePicture")),
        **FOR_FILES,
    ),
    Kind(
        "M4 with a file", Answer(201), lambda each: each.author.http.post(each.talk, files=form("media")), **FOR_FILES
    ),
    Kind("U2", Answer(200), lambda each: each.uploader.http.put("/users/me", json={"bio": uuid4().hex})),
    Kind("U6", Answer(200), lambda each: each.reader.http.post(f"/users/{each.author.id}/follow")),
    Kind("P4", Answer(200), lambda each: each.reader.http.post(f"/posts/{each.post_id}/like")),
    Kind("P5", Answer(200), lambda each: each.reader.http.delete(f"/posts/{each.post_id}/like")),
    Kind("P7", Answer(200), lambda each: each.reader.http.post(f"/posts/{each.post_id}/save")),
    Kind(
        "C2",
        Answer(201),
        lambda each: each.fan.http.post(f"/posts/{each.busy_post_id}/comments", json={"content": "Good"}),
    ),
    Kind("P10", Answer(201), _presign),
    Kind("direct upload", Answer(200), _send_to_store, is_upload=True),
    Kind("A4", Answer(200), lambda each: each.reader.http.get("/auth/me")),
    Kind("U1", Answer(200), lambda each: each.reader.http.get(f"/users/{each.author.username}")),
    Kind("F1", Answer(200, lacks="fallback"), lambda each: each.reader.http.get("/feed")),
    Kind("F2", Answer(200), lambda each: each.reader.http.get("/feed/explore")),
    Kind("P2", Answer(200), lambda each: each.reader.http.get(f"/posts/{each.post_id}")),
    Kind("P6", Answer(200), lambda each: each.reader.http.get(f"/posts/{each.post_id}/likes")),
    Kind("C1", Answer(200), lambda each: each.reader.http.get(f"/posts/{each.busy_post_id}/comments")),
    Kind("S2", Answer(200), lambda each: each.reader.http.get("/stories/tray")),
    Kind("S5", Answer(200), lambda each: each.reader.http.get(f"/stories/user/{each.author.id}")),
    Kind("U8", Answer(200), lambda each: each.reader.http.get(f"/users/{each.author.username}/followers")),
    Kind("M1", Answer(200), lambda each: each.reader.http.get("/messages/conversations")),
    Kind(
        "M2",
        Answer(201),
        lambda each: each.reader.http.post("/messages/conversations", json={"recipientId": each.author.id}),
    ),
    Kind("M3", Answer(200), lambda each: each.reader.http.get(each.talk)),
    Kind("M4", Answer(201), lambda each: each.reader.http.post(each.talk, json={"content": "Hello"})),
    Kind(
        "M5",
        Answer(200),
        lambda each: each.reader.http.post(f"{each.talk}/read", json={"lastMessageId": each.message_id}),
    ),
    Kind("M6", Answer(200), lambda each: each.reader.http.get(f"{each.talk}/read")),
    Kind("M7", Answer(200), lambda each: each.reader.http.post(f"{each.talk}/typing")),
    Kind("M8", Answer(200), lambda each: each.reader.http.get(f"{each.talk}/typing")),
    Kind(
        "M9",
        Answer(201),
        lambda each: each.reader.http.post(
            f"{each.talk}/messages/{each.message_id}/reactions", json={"reaction": "heart"}
        ),
    ),
    Kind(
        "M10",
        Answer(200),
        lambda each: each.reader.http.delete(f"{each.talk}/messages/{each.message_id}/reactions"),
    ),
    Kind("M11", Answer(201), _open_group),
    Kind("M12", Answer(200), lambda each: each.reader.http.put(each.group, json={"name": "Climbers"})),
    Kind("M13", Answer(200), lambda each: each.reader.http.delete(each.left_group)),
    Kind("M14", Answer(200), lambda each: each.reader.http.put(f"{each.talk}/mute")),
    Kind("M15", Answer(200), lambda each: each.reader.http.delete(f"{each.talk}/mute")),
    Kind("L1", Answer(200), lambda each: each.reader.http.get("/live/events")),
    Kind("media", Answer(200), lambda each: httpx.get(each.media_url, timeout=30)),
)
MESSAGES: Final = frozenset(kind.name for kind in KINDS if kind.name.startswith("M"))
FILES: Final = frozenset(kind.name for kind in KINDS if kind.needs_breaker)
KEPT: Final = frozenset({"M1", "M3", "M7", "M8"})
"""What Valkey may have: a process that has not noticed yet that Cassandra hangs answers it as usual."""
COPIED: Final = frozenset({"A4", "U1", "F1"})
WITHOUT_ROWS: Final = frozenset({"L1", "media", "direct upload"})

TABLE: Final[Mapping[str, Mapping[str, Answer]]] = {
    "valkey": {"A2": DOWN, "M8": Answer(200, {"typingUsers": []}), "L1": DOWN},
    "rabbitmq": {},
    "minio": {"P1": Refused(503), **dict.fromkeys((*FILES, "direct upload", "media"), DOWN)},
    "postgres": {kind.name: DOWN for kind in KINDS if kind.name not in MESSAGES | COPIED | WITHOUT_ROWS},
    "cassandra": dict.fromkeys(MESSAGES, DOWN),
    "triggers": {},
}
"""By service: what is not answered as usual while it is down."""
