"""What `make run` fills a new system with."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from infra import demo
from tests.support import services
from tests.support.http import nginx_origin


@pytest.mark.timeout(300)
def test_the_demo_is_whole_credits_its_photographers_and_is_made_once() -> None:
    demo.create(nginx_origin())
    with httpx.Client(base_url=f"{nginx_origin()}/api/v1", timeout=30) as ada:
        ada.post("/auth/login", json={"username": "ada", "password": demo.PASSWORD}).raise_for_status()
        posts = ada.get("/feed?limit=100").json()["posts"]
        tray = ada.get("/stories/tray").json()["users"]
        ids = [post["id"] for post in posts]

        assert {post["caption"] for post in posts} == {photo.full_caption for photo in demo.PHOTOS}
        assert all("\n\nPhoto: " in post["caption"] for post in posts)
        assert any(len(post["media"]) > 1 for post in posts)
        assert any(post["likeCount"] for post in posts)
        assert all(httpx.get(post["profilePictureUrl"]).status_code == 200 for post in posts)
        assert sum(post["commentCount"] for post in posts) == sum(2 if each.reply else 1 for each in demo.COMMENTS)
        assert {user["username"] for user in tray} == {member.username for member in demo.MEMBERS if member.story}
        assert httpx.get(posts[0]["media"][0]["mediaUrl"]).status_code == 200

        demo.create(nginx_origin())

        assert [post["id"] for post in ada.get("/feed?limit=100").json()["posts"]] == ids


@pytest.mark.timeout(300)
def test_the_demo_waits_for_hosts_that_are_away() -> None:
    with ThreadPoolExecutor(1) as pool:
        with services.stop("api"):
            refused = httpx.get(f"{nginx_origin()}/api/health/live")
            made = pool.submit(demo.create, nginx_origin())
            with pytest.raises(TimeoutError):
                made.result(timeout=1)
        made.result()

    assert refused.status_code == 503


def test_without_nginx_the_demo_prints_what_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["demo", "--url", "http://127.0.0.1:9"])
        assert demo.main() == 1

    assert "make status" in capsys.readouterr().err
