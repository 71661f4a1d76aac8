"""Zero orphans: whatever was made and deleted, and whatever failed in between, the store holds what the rows name."""

import contextlib
import os
import random
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from functions.admin import remove_post, remove_user
from functions.images import resize_photo
from functions.posts import create_post, delete_post, delete_unused_uploads, sweep_posts
from functions.stories import create_story, delete_expired_stories, delete_story
from functions.users import update_profile
from layers.core import story_files
from layers.core.breaker import BreakerState
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings
from layers.media import avatars, connection, photos
from layers.postgres.connection import transaction
from layers.rabbitmq import connection as broker
from tests import pictures
from tests.support import abandoned, direct_uploads
from tests.support.calls import Reply, Upload, call
from tests.support.deliveries import deliver
from tests.support.people import Person, new_person
from tests.support.proxies import Proxy, proxy_to
from tests.support.soak import EXAMPLES
from tests.support.together import together
from tests.support.uploads import Begun

TURNS = 140
LEAVING = 0.3
SEEDS = range(EXAMPLES // 30)
PHOTOS = [
    pictures.jpeg(48, 36),
    pictures.of_type("png"),
    pictures.of_type("webp"),
    pictures.jpeg(30, 44, orientation=6),
]
DAMAGED = pictures.jpeg(48, 36)[:-200]
LAST_TRY = 3
CLEAN_SECONDS = 40
KEY = re.compile(r"<Key>(.*?)</Key>")
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CLEANERS = (sweep_posts, delete_expired_stories, delete_unused_uploads)

OLDER = """
    WITH older_posts AS (
        UPDATE posts SET created_at = created_at - interval '20 min', updated_at = updated_at - interval '20 min'
         WHERE user_id = ANY(%(people)s)
    ), older_stories AS (
        UPDATE stories SET created_at = created_at - interval '2 h', expires_at = expires_at - interval '2 h'
         WHERE user_id = ANY(%(people)s) AND expires_at <= now()
    ), older_uploads AS (
        UPDATE uploads SET created_at = created_at - interval '2 h', expires_at = expires_at - interval '2 h'
         WHERE user_id = ANY(%(people)s)
    )
    UPDATE abandoned_files
       SET created_at = created_at - interval '20 min', kept_until = kept_until - interval '20 min'
     WHERE EXISTS (SELECT FROM unnest(keys) AS key, unnest(%(ids)s::text[]) AS id WHERE key LIKE '%%' || id || '%%')
"""
POSTS = """
    SELECT p.id, p.status, array_agg(m.original_key ORDER BY m.order_index)
      FROM posts p JOIN post_media m ON m.post_id = p.id
     WHERE p.user_id = ANY(%s) GROUP BY p.id
"""
PORTRAYED = "SELECT avatar_id FROM users WHERE id = ANY(%s) AND avatar_id IS NOT NULL"
IN_WORK = "SELECT new_id FROM idempotency_keys WHERE user_id = ANY(%s)"


class Household:
    """People who make and delete what has files, by chance, while the store comes and goes."""

    def __init__(self, seed: int, proxy: Proxy, queue: str) -> None:
        self.chance = random.Random(seed)
        self.proxy, self.queue = proxy, queue
        self.people = [new_person("maker") for _ in range(3)]
        self.everybody = list(self.people)
        self.admin = new_person("admin", role="admin")
        self.begun: dict[UUID, Begun] = {}
        """Posts that were acknowledged, deleted ones too: their messages may come late."""
        self.uploads: list[tuple[Person, str]] = []
        self.ids: set[str] = {str(person.id) for person in self.people}
        """Whatever may be part of a key."""
        self.statuses: Counter[tuple[str, int]] = Counter()

    def turn(self) -> None:
        """Something happens; now and then the store goes down during it."""
        act = self.chance.choice(self._acts())
        with self._outage() if self.chance.random() < 0.3 else contextlib.nullcontext():
            act()

    def _acts(self) -> list[Callable[[], object]]:
        often = [self.create] * 5 + [self.tell] * 3 + [self.resize] * 6 + [self.delete] * 3 + [self.race] * 3
        rarely = [self.portray] * 2 + [self.upload, self.post_uploads, self.untell, self.take_down, self.sweep_some]
        return [*often, *rarely, *[self.leave] * (self.chance.random() < LEAVING)]

    # What people do.

    def create(self) -> None:
        """A post of 1 to 3 pictures, now and then a damaged one; refused, it is sent again."""
        author, key = self.chance.choice(self.people), secrets.token_hex(8)
        files = [Upload(self.chance.choice([*PHOTOS, *PHOTOS, DAMAGED])) for _ in range(self.chance.randint(1, 3))]
        for _ in range(self.chance.randint(1, 2)):
            headers = {"idempotency-key": key}
            reply = call(create_post, session_id=author.session_id, form=(files, {}), headers=headers)
            self._made(reply, author, "create")

    def upload(self) -> None:
        """Files sent straight to the store, or only announced."""
        person = self.chance.choice(self.people)
        for _ in range(2):
            upload = direct_uploads.ask_one(person, len(PHOTOS[0]))
            self.ids.add(upload["id"])
            self.uploads.append((person, upload["id"]))
            if self.chance.random() < 0.8:
                direct_uploads.put(upload, PHOTOS[0])

    def post_uploads(self) -> None:
        """A post of such files."""
        if self.uploads:
            author, first = self.chance.choice(self.uploads)
            reply = direct_uploads.create(author, first, headers={"idempotency-key": secrets.token_hex(8)})
            self._made(reply, author, "post uploads")

    def tell(self) -> None:
        """A story; refused, it is sent again."""
        author, key = self.chance.choice(self.people), secrets.token_hex(8)
        form: tuple[list[Upload], dict[str, str]] = ([Upload(self.chance.choice(PHOTOS))], {})
        for _ in range(self.chance.randint(1, 2)):
            headers = {"idempotency-key": key}
            reply = call(create_story, session_id=author.session_id, form=form, headers=headers)
            self._note("tell", reply)
            self._learn()

    def untell(self) -> None:
        """A story is deleted."""
        with transaction() as db:
            found = db.execute("SELECT id FROM stories WHERE user_id = ANY(%s)", [self._ids()]).fetchall()
        if found:
            story_id = self.chance.choice(found)[0]
            self._note("untell", call(delete_story, session_id=self.admin.session_id, path={"story_id": story_id}))

    def portray(self) -> None:
        """A profile picture, the first or another."""
        person = self.chance.choice(self.people)
        picture = Upload(self.chance.choice(PHOTOS), field="profilePicture")
        self._note("portray", call(update_profile, session_id=person.session_id, form=([picture], {})))
        self._learn()

    def resize(self) -> None:
        """The store's message of a picture arrives, perhaps again or late, perhaps for the last time."""
        if self.begun:
            post = self.chance.choice(list(self.begun.values()))
            for number in range(len(post.keys)):
                if self.chance.random() < 0.7:
                    attempt = self.chance.choice([0, 0, LAST_TRY])
                    deliver(resize_photo, post.event(number), queue=self.queue, attempt=attempt)

    def delete(self) -> None:
        """A post is deleted by its author."""
        if self.begun:
            post = self.chance.choice(list(self.begun.values()))
            self._note("delete", self._deleted(post))

    def take_down(self) -> None:
        """A post is deleted by an admin."""
        if self.begun:
            post = self.chance.choice(list(self.begun.values()))
            reply = call(remove_post, session_id=self.admin.session_id, path={"post_id": post.id})
            self._note("take down", reply)

    def race(self) -> None:
        """A post is deleted while its pictures are rendered."""
        if self.begun:
            post = self.chance.choice(list(self.begun.values()))
            acts: list[Callable[[], object]] = [lambda: self._deleted(post)]
            acts += [
                lambda number=number: deliver(resize_photo, post.event(number), queue=self.queue)  # type: ignore[misc]
                for number in range(len(post.keys))
            ]
            together(_done, acts)

    def leave(self) -> None:
        """An account is removed, and a new one takes its place."""
        gone = self.chance.choice(self.people)
        mode: dict[str, object] = {"mode": "delete"}
        reply = call(remove_user, session_id=self.admin.session_id, path={"user": gone.id}, query=mode)
        self._note("leave", reply)
        if reply.status == 200:
            newcomer = new_person("maker")
            self.people[self.people.index(gone)] = newcomer
            self.everybody.append(newcomer)
            self.ids.add(str(newcomer.id))
            self.uploads = [upload for upload in self.uploads if upload[0] is not gone]

    def sweep_some(self) -> None:
        """A minute, or an hour, has passed."""
        self._grow_older()
        with contextlib.suppress(StoreUnavailable):
            self.chance.choice(CLEANERS).handler({"id": "x"}, None)

    # How it ends.

    def clean(self) -> dict[str, object]:
        """What is not as it should be after another round of cleaning."""
        self._grow_older()
        for module in CLEANERS:
            module.handler({"id": "x"}, None)
        stored = self.stored()
        named = self.named(stored)
        found = {"orphans": stored - named, "missing": named - stored, "unfinished": self.unfinished()}
        return {name: value for name, value in found.items() if value}

    def named(self, stored: set[str]) -> set[str]:
        """All keys that rows name; of posts that are not published, those that are stored."""
        keys: set[str] = set()
        with transaction() as db:
            for post_id, status, originals in db.execute(POSTS, [self._ids()]):
                if status == "published":
                    keys |= set(photos.all_keys(post_id, originals))
                elif status != "deleted":
                    keys |= set(photos.all_keys(post_id, originals)) & stored
            for (story_id,) in db.execute("SELECT id FROM stories WHERE user_id = ANY(%s)", [self._ids()]):
                keys |= set(story_files.keys(story_id))
            keys |= {avatars.key(row[0]) for row in db.execute(PORTRAYED, [self._ids()])}
            uploads = db.execute("SELECT count(*) FROM uploads WHERE user_id = ANY(%s)", [self._ids()]).fetchone()
        assert uploads == (0,)
        return keys

    def stored(self) -> set[str]:
        """All objects whose keys hold an id of ours."""
        self._learn()
        return {key for key in listing() if not self.ids.isdisjoint(ID.findall(key))}

    def unfinished(self) -> list[Any]:
        """Posts that still wait."""
        with transaction() as db:
            return [row for row in db.execute(POSTS, [self._ids()]) if row[1] == "processing"]

    # How it is done.

    @contextlib.contextmanager
    def _outage(self) -> Iterator[None]:
        """The store goes down some milliseconds from now, or at once; at the end it is back and its breaker closed."""
        leaving = threading.Timer(self.chance.choice([0, 0.005, 0.01, 0.02, 0.04]), self.proxy.close)
        leaving.start()
        try:
            yield
        finally:
            leaving.join()
            self.proxy.open()
            trust()

    def _made(self, reply: Reply, author: Person, what: str) -> None:
        self._note(what, reply)
        self._learn()
        if reply.status == 202:
            post_id = UUID(reply.json["post_id"])
            with transaction() as db:
                found = db.execute(
                    "SELECT original_key FROM post_media WHERE post_id = %s ORDER BY order_index", [post_id]
                ).fetchall()
            self.begun[post_id] = Begun(post_id, author, [row[0] for row in found])

    def _learn(self) -> None:
        """Ids of what was created, also where the answer was a refusal."""
        with transaction() as db:
            self.ids |= {str(row[0]) for each in (IN_WORK, PORTRAYED) for row in db.execute(each, [self._ids()])}
        self.ids |= {id_ for key in abandoned.list_abandoned("avatars/") for id_ in ID.findall(key)}

    def _deleted(self, post: Begun) -> Reply:
        return call(delete_post, session_id=post.author.session_id, path={"post_id": post.id})

    def _grow_older(self) -> None:
        with transaction() as db:
            db.execute(OLDER, {"people": self._ids(), "ids": list(self.ids)})

    def _ids(self) -> list[UUID]:
        return [person.id for person in self.everybody]

    def _note(self, what: str, reply: Reply) -> None:
        self.statuses[what, reply.status] += 1
        assert reply.status < 500 or reply.status == 503, reply.body


def _done(act: Callable[[], object]) -> None:
    try:
        act()
    finally:
        broker.close()


def listing() -> set[str]:
    """All objects there are. The pages are read here: boto3 takes a quarter of a second for each."""
    keys: list[str] = []
    while True:
        wanted = {"Bucket": settings().s3_bucket, "StartAfter": keys[-1] if keys else ""}
        page = httpx.get(connection._client().generate_presigned_url("list_objects_v2", Params=wanted)).text
        keys += KEY.findall(page)
        if "<IsTruncated>true" not in page:
            return set(keys)


def reach(url: str) -> None:
    """The object store is there from now on."""
    os.environ["S3_ENDPOINT_URL"] = url
    settings.cache_clear()
    connection.close()
    trust()


def trust() -> None:
    """Whatever failed, the next request tries."""
    for breaker in (connection._breaker, connection.image_processing):
        breaker._outcomes.clear()
        breaker._state = BreakerState.CLOSED


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """All that this test's handlers send to the store goes through here."""
    url = os.environ["S3_ENDPOINT_URL"]
    with proxy_to(url) as proxy:
        reach(proxy.url)
        yield proxy
    reach(url)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_store_holds_what_the_rows_name(seed: int, proxy: Proxy, queue: str, unlimited: None) -> None:
    house = Household(seed, proxy, queue)
    for _ in range(TURNS):
        house.turn()
    left: dict[str, object] = {}
    deadline = time.monotonic() + CLEAN_SECONDS
    while time.monotonic() < deadline and (left := house.clean()):
        time.sleep(0.5)

    assert not left
    assert house.stored()
    assert sum(count for (_, status), count in house.statuses.items() if status == 503)
    print(house.statuses)  # noqa: T201 (shown when asked for)
