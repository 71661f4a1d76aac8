"""Accounts that use the API over HTTP, through nginx."""

import os
import secrets
from typing import Any, ClassVar

import httpx

PASSWORD = "correct horse battery"


def nginx_origin() -> str:
    """The origin of nginx."""
    return os.environ["OWN_ORIGINS"].split(",")[0]


def api() -> str:
    """The origin of the API: nginx, or LocalStack when the tests run with `--host localstack`."""
    return os.environ.get("PHOTOGRAM_API") or nginx_origin()


class Caller:
    """An account with a cookie jar; registered and signed in from the start."""

    _present: ClassVar[list[httpx.Client]] = []

    def __init__(self, name: str = "u") -> None:
        self.http = httpx.Client(base_url=f"{api()}/api/v1", timeout=30)
        self._present.append(self.http)
        self.username = f"{name}_{secrets.token_hex(5)}"
        registration = {"username": self.username, "email": f"{self.username}@example.org", "password": PASSWORD}
        answer = self.http.post("/auth/register", json=registration)
        assert answer.status_code == 201, answer.text
        self.id: str = answer.json()["user"]["id"]

    @classmethod
    def leave(cls) -> None:
        """Close the connections of all callers."""
        while cls._present:
            cls._present.pop().close()

    def follow(self, other: "Caller") -> None:
        """Follow a public account."""
        assert self.http.post(f"/users/{other.id}/follow").json()["followStatus"] == "following"

    def upload(self, *pictures: bytes, **texts: str) -> dict[str, Any]:
        """Create a post of these pictures; its 202 answer."""
        files = [("media", (f"{number}.jpg", data, "image/jpeg")) for number, data in enumerate(pictures)]
        answer = self.http.post("/posts", files=files, data=texts)
        assert answer.status_code == 202, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def post(self, post_id: str) -> dict[str, Any] | None:
        """A post as this caller sees it."""
        answer = self.http.get(f"/posts/{post_id}")
        return answer.json()["post"] if answer.status_code == 200 else None

    def feed(self) -> list[dict[str, Any]]:
        """The first page of the home feed."""
        answer = self.http.get("/feed")
        assert answer.status_code == 200, answer.text
        posts: list[dict[str, Any]] = answer.json()["posts"]
        return posts

    def published(self, post_id: str) -> dict[str, Any] | None:
        """The post, once it is published."""
        found = self.post(post_id)
        return found if found and found["status"] == "published" else None

    def in_feed(self, post_id: str) -> dict[str, Any] | None:
        """The post as the home feed shows it, once it does."""
        return next((post for post in self.feed() if post["id"] == post_id), None)
