"""The restore drill: a stack is lost with all its data, and comes back from its backup as it was at one moment."""

import hashlib
import io
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from PIL import Image

from functions.posts import sweep_posts
from infra.backup import files
from infra.backup.folder import describe, read_generations
from tests.pictures import phone_photo
from tests.support.http import PASSWORD, Caller
from tests.support.links import rendition_url
from tests.support.own_stack import OwnStack, own_stack
from tests.support.waiting import until


class Content(msgspec.Struct, frozen=True):
    """What the system shows of the drill's accounts."""

    files: dict[str, str]
    """The SHA-256 of each object, by key."""
    posts: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    profile: dict[str, Any]


class Drill:
    """Two accounts, their posts and their conversation."""

    def __init__(self, stack: OwnStack) -> None:
        self.stack = stack
        self.ada, self.grace = Caller("ada"), Caller("grace")
        self.grace.follow(self.ada)
        opened = self.ada.http.post("/messages/conversations", json={"recipientId": self.grace.id})
        self.talk = f"/messages/conversations/{opened.json()['conversationId']}"

    def post(self, *pictures: bytes) -> str:
        """A published post of Ada's, which Grace likes and comments."""
        post_id: str = self.ada.upload(*pictures, caption="A drill")["post_id"]
        until(lambda: self.ada.published(post_id), seconds=60, every=0.2)
        self.grace.http.post(f"/posts/{post_id}/like").raise_for_status()
        self.grace.http.post(f"/posts/{post_id}/comments", json={"content": "Seen"}).raise_for_status()
        return post_id

    def send(self, content: str) -> None:
        """A message of Ada's."""
        self.ada.http.post(self.talk, json={"content": content}).raise_for_status()

    def send_picture(self, content: str, width: int) -> str:
        """A message of Ada's with a picture; the key of the picture."""
        files = {"media": ("p.jpg", phone_photo(width=width, height=200), "image/jpeg")}
        sent = self.ada.http.post(self.talk, files=files, data={"content": content}).raise_for_status().json()
        return f"messages/{re.search(r'[0-9a-f-]{36}', sent['message']['mediaUrl'])[0]}.jpg"  # type: ignore[index]

    def show_story(self, caller: Caller, width: int) -> str:
        """A story; its id."""
        files = {"media": ("s.jpg", phone_photo(width=width, height=500), "image/jpeg")}
        story_id: str = caller.http.post("/stories", files=files).raise_for_status().json()["story"]["id"]
        return story_id

    def set_avatar(self, caller: Caller, side: int) -> str:
        """A profile picture; its key."""
        files = {"profilePicture": ("a.jpg", phone_photo(width=side, height=side + 50), "image/jpeg")}
        user = caller.http.put("/users/me", files=files).raise_for_status().json()["user"]
        return f"avatars/{user['profilePictureUrl'].rpartition('/')[2]}"

    def sign_in(self) -> None:
        """New sessions, for the stack that was restored."""
        for caller in (self.ada, self.grace):
            login = {"username": caller.username, "password": PASSWORD}
            caller.http.post("/auth/login", json=login).raise_for_status()

    def content(self) -> Content:
        """What there is now."""
        posts = self.grace.http.get(f"/users/{self.ada.id}/posts").json()["posts"]
        messages = self.grace.http.get(self.talk).json()["messages"]
        return Content(
            files=self.read_files(),
            posts=[self.shown(each["id"]) for each in posts],
            messages=[{name: value for name, value in each.items() if name != "mediaUrl"} for each in messages],
            profile=self.grace.http.get(f"/users/{self.ada.id}").json()["user"],
        )

    def shown(self, post_id: str) -> dict[str, Any]:
        """A post as Grace sees it, without its links, whose signatures change."""
        post = self.grace.post(post_id)
        assert post is not None
        media = [{name: each[name] for name in ("orderIndex", "width", "height")} for each in post["media"]]
        names = ("id", "caption", "status", "likeCount", "commentCount", "isLiked", "createdAt")
        return {name: post[name] for name in names} | {"media": media}

    def read_files(self) -> dict[str, str]:
        """The SHA-256 of each object."""
        settings = self.stack.settings()
        store, bucket = files.connect(settings), settings["S3_BUCKET"]
        return {
            key: hashlib.sha256(store.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest()
            for key in files.list_keys(store, bucket)
        }

    def reach(self, moment: datetime) -> None:
        """Wait until the backup has what was written before a moment."""
        [generation] = read_generations(self.stack.backup)
        until(lambda: (reached := generation.read_reached()) and reached > moment, seconds=40)


@pytest.fixture(scope="module")
def stack() -> Iterator[OwnStack]:
    """The stack that is lost."""
    with own_stack() as stack, pytest.MonkeyPatch.context() as patch:
        stack.run("infra.stack", "up")
        for name, value in stack.settings().items():
            patch.setenv(name, value)
        yield stack


@pytest.mark.timeout(400)
def test_a_lost_stack_comes_back_as_it_was_at_one_moment(stack: OwnStack) -> None:
    drill = Drill(stack)
    first = drill.post(phone_photo(width=800, height=600), phone_photo(width=600, height=800))
    without_original, without_rendition = drill.post(phone_photo(width=500, height=400)), drill.post(phone_photo())
    drill.send("Before the base backup")
    assert "Made" in stack.run("infra.backup", "base")

    second = drill.post(phone_photo(width=700, height=500))
    drill.send("After the base backup")
    drill.send_picture("Look", 300)
    lost_message = drill.send_picture("Look again", 400)
    drill.set_avatar(drill.ada, 300)
    lost_avatar = drill.set_avatar(drill.grace, 400)
    drill.show_story(drill.ada, 400)
    lost_story = drill.show_story(drill.grace, 600)
    drill.reach(datetime.now(UTC))  # what is removed before it is copied cannot come back
    expected, moment = drill.content(), datetime.now(UTC)
    assert {each["id"] for each in expected.posts} == {first, without_original, without_rendition, second}

    time.sleep(1)  # times of files are whole seconds: those of the same second come back, without rows
    drill.ada.http.delete(f"/posts/{first}").raise_for_status()
    late = drill.post(phone_photo())
    drill.send("Too late")
    drill.reach(datetime.now(UTC))
    stack.destroy()
    # Damage the backup: one post loses a rendition, another one also its original, and Grace all that she has.
    [lost_rendition] = [key for key in expected.files if key == f"processed/medium/{without_rendition}_640.webp"]
    lost_files = [key for key in expected.files if without_original in key]
    lost_files += [lost_message, lost_avatar]
    lost_files += [key for key in expected.files if lost_story in key]
    for digest in {expected.files[key] for key in (lost_rendition, *lost_files)}:
        (stack.backup / "files" / digest).unlink()

    output = stack.run("infra.backup", "restore", "--to", describe(moment))
    assert f"post {without_rendition}: its pictures are made again; missing: {lost_rendition}" in output
    assert f"post {without_original}: failed, and only its author sees it" in output
    assert f"story {lost_story}: ended" in output
    assert f"account {drill.grace.id}: has no profile picture; missing: {lost_avatar}" in output
    assert f"has no picture; missing: {lost_message}" in output
    assert "5 rows had missing files" in output
    assert "All counters equal their rows" in output
    stack.run("infra.stack", "up")
    assert "All counters equal their rows\nNo file is missing" in stack.run("infra.backup", "check")
    drill.sign_in()
    until(
        lambda: sweep_posts.handler({"id": "drill"}, None) and drill.ada.published(without_rendition),
        seconds=40,
        every=2,
    )
    found = drill.content()

    assert {key: digest for key, digest in found.files.items() if without_rendition not in key} == {
        key: digest for key, digest in expected.files.items() if without_rendition not in key and key not in lost_files
    }
    assert found.posts == [each for each in expected.posts if each["id"] != without_original]
    assert found.messages == expected.messages
    sent = ["Look again", "Look", "After the base backup", "Before the base backup"]
    assert [each["content"] for each in found.messages] == sent
    assert found.profile == {**expected.profile, "postCount": expected.profile["postCount"] - 1}
    assert drill.ada.post(late) is None
    _check_that_nothing_is_broken(drill, without_original, lost_story)
    for post in found.posts:
        _check_pictures(drill.grace.post(post["id"]))


def _check_that_nothing_is_broken(drill: Drill, lost_post: str, lost_story: str) -> None:
    """What has lost its files is not shown, or without a picture."""
    shown = drill.grace.http.get(drill.talk).json()["messages"]
    assert [bool(each["mediaUrl"]) for each in shown] == [False, True, False, False]
    assert drill.grace.http.get(f"/users/{drill.grace.id}").json()["user"]["profilePictureUrl"] is None
    assert drill.ada.http.get(f"/stories/{lost_story}").status_code == 404
    assert drill.grace.post(lost_post) is None
    failed = drill.ada.post(lost_post)
    assert failed is not None
    assert (failed["status"], failed["media"][0]["failure"]) == ("failed", "The file of this picture was lost.")


def _check_pictures(post: dict[str, Any] | None) -> None:
    """Each rendition is served and can be decoded."""
    assert post is not None
    for media in post["media"]:
        for side in media["renditions"]["sizes"]:
            for extension in media["renditions"]["formats"]:
                answer = httpx.get(rendition_url(media, side, extension))
                assert answer.status_code == 200
                with Image.open(io.BytesIO(answer.content)) as picture:
                    picture.load()
