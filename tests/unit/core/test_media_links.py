"""Signed links: which path they have, and how they take the place of stored URLs in answers."""

import base64
import hashlib
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from layers.core.settings import settings
from tests.support.links import link, rendition_url, sign, signed_links_of


def _parts(url: str) -> tuple[str, int, str]:
    """Signature, expiry and path of a link."""
    base = settings().media_base_url
    assert url.startswith(base)
    signature, expiry, path = url.removeprefix(base).split("/", 2)
    return signature, int(expiry), path


@pytest.mark.parametrize(
    ("stored", "path"),
    [
        ("\x01{}_1080.jpg", "{}_1080.jpg"),
        ("\x01processed/small/{}-3_320.webp", "{}-3_320.webp"),
        ("\x02avatars/{}.jpg?v=0a1b2c3d4e5f", "{}.jpg?v=0a1b2c3d4e5f"),
        ("\x01messages/{}.jpg", "messages/{}.jpg"),
        ("\x034102444800/stories/2026/01/02/{}_150.jpg", "stories/2026/01/02/{}_150.jpg"),
    ],
)
def test_a_link_has_the_id_once_and_no_folder_that_follows_from_the_name(stored: str, path: str) -> None:
    scope = str(uuid4())
    url = sign(stored.format(scope))

    assert _parts(url)[2] == path.format(scope)
    assert url.count(scope) == 1


def test_the_signature_covers_expiry_and_scope() -> None:
    scope = str(uuid4())
    signature, expiry, _ = _parts(link(f"messages/{scope}.jpg"))
    digest = hashlib.md5(f"{expiry}/{scope} {settings().media_link_secret}".encode(), usedforsecurity=False).digest()

    assert base64.urlsafe_b64decode(signature + "==") == digest


def test_all_urls_of_a_picture_have_one_signature() -> None:
    post_id = uuid4()
    media = signed_links_of(post_id, 2)
    urls = [media["mediaUrl"], media["thumbnailUrl"], media["renditions"]["url"]]

    assert {_parts(url)[:2] for url in urls} == {_parts(link(f"{post_id}_150.jpg"))[:2]}
    assert [_parts(url)[2] for url in urls] == [
        f"{post_id}-2_1080.jpg",
        f"{post_id}-2_150.jpg",
        f"{post_id}-2_{{size}}.{{format}}",
    ]
    assert [rendition_url(media, size, "jpg") for size in (1080, 150)] == urls[:2]


def test_a_link_works_for_one_to_seven_hours_and_never_after_its_object(monkeypatch: pytest.MonkeyPatch) -> None:
    scope, now = str(uuid4()), time.time()
    for hours in range(13):
        monkeypatch.setattr(time, "time", lambda moment=now + hours * 3600: moment)
        left = _parts(link(f"{scope}_150.jpg"))[1] - time.time()
        assert 3600 - 1 <= left <= 7 * 3600
    end = datetime.fromtimestamp(now, UTC) + timedelta(minutes=10)
    monkeypatch.undo()

    assert _parts(link(f"stories/2026/01/02/{scope}.jpg", end))[1] == int(end.timestamp())


def test_text_that_looks_like_a_stored_url_stays_as_it_is() -> None:
    typed = {"caption": f"\\u0001{UUID(int=7)}_1080.jpg", "location": f'x"\\u0001{UUID(int=7)}_1080.jpg'}

    assert sign(typed) == typed
