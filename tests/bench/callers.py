"""Accounts that call the API of a running stack over HTTP, and pictures for them to upload."""

import io
import os
import secrets
import sys
import time
from typing import Any, Final

import httpx
from PIL import Image

PASSWORD: Final = "correct horse battery"
DEFAULT_URL: Final = os.environ.get("PHOTOGRAM_URL", "http://localhost:3000")
REQUEST_SECONDS: Final = 60
_PUBLISHED_SECONDS: Final = 180


class Caller:
    """A new account, signed in."""

    def __init__(self, url: str, name: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/api/v1", timeout=REQUEST_SECONDS)
        self.username = f"{name}_{secrets.token_hex(5)}"
        registration = {"username": self.username, "email": f"{self.username}@example.org", "password": PASSWORD}
        self.id: str = self.request("POST", "/auth/register", json=registration)["user"]["id"]

    def request(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """The JSON of the answer; an error status ends the run."""
        response = self.http.request(method, path, **arguments)
        if response.is_error:
            sys.exit(f"{method} {path}: {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    def upload(self, picture: bytes) -> str:
        """Create a post of one picture; its id."""
        post_id: str = self.request("POST", "/posts", files={"media": ("photo.jpg", picture)})["post_id"]
        return post_id

    def wait_until_published(self, post_id: str) -> None:
        """Wait until a post is published; a failed one ends the run, and one that takes 180 s."""
        deadline = time.monotonic() + _PUBLISHED_SECONDS
        while (status := self.request("GET", f"/posts/{post_id}")["post"]["status"]) != "published":
            if status == "failed" or time.monotonic() > deadline:
                sys.exit(f"post {post_id} is {status}")
            time.sleep(0.2)


def detailed_jpeg(width: int, height: int) -> bytes:
    """A JPEG that has about as many bytes per pixel as a camera's."""
    small = Image.effect_noise((width // 8, height // 8), 60)
    picture = Image.merge("RGB", [small, small.rotate(90), small.rotate(180)]).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return file.getvalue()
