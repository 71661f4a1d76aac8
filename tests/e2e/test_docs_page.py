"""The page at /docs: the description of the API for people, served by this host alone."""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from infra import template_map
from tests import pictures
from tests.support.browser import open_browser
from tests.support.http import nginx_origin

PARTS = ("", "/docs.js", "/docs.css", "/icon.svg", "/viewer/swagger-ui-bundle.js", "/viewer/swagger-ui.css")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """The page in a browser, once the viewer has read the description."""
    with open_browser() as page:
        page.goto(f"{nginx_origin()}/docs")
        page.locator("#operations-Posts-createPost").wait_for()
        yield page


@pytest.mark.rule("R-OA2")
def test_every_operation_is_on_the_page(page: Page) -> None:
    shown = set(re.findall(r'id="operations-(?!tag-)[\w-]+-([A-Za-z]+)"', page.content()))

    assert len(shown) == len(template_map.routes())
    assert {"likePost", "createPost", "getTrayAlias"} <= shown


def test_the_introduction_is_on_the_page_with_this_address(page: Page) -> None:
    assert "At most 100 requests in any hour per user" in page.content()
    assert f"{nginx_origin()}/api/v1/feed" in page.content()
    assert "localhost:3000" not in page.content()


def _execute(page: Page, operation: str) -> str:
    """Press the button of an opened operation; the answer as the page shows it, which begins with the status."""
    page.locator(f"#{operation} .execute").click()
    return page.locator(f"#{operation} .live-responses-table tr.response").first.inner_text()


def test_a_photo_is_posted_on_the_page(page: Page, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(pictures.phone_photo())
    register, create = "operations-Sign-in-register", "operations-Posts-createPost"
    name = f"docs{secrets.token_hex(6)}"
    page.locator(f"#{register} .opblock-summary-control").click()
    account = {"username": name, "email": f"{name}@example.org", "password": "a good one"}
    page.locator(f"#{register} textarea").fill(json.dumps(account))
    assert _execute(page, register).startswith("201")

    page.locator(f"#{create} .opblock-summary-control").click()
    page.locator(f"#{create} input[type=file]").first.set_input_files(photo)
    answer = _execute(page, create)
    assert answer.startswith("202"), answer
    assert '"status": "processing"' in answer


@pytest.mark.rule("R-OA2")
@pytest.mark.parametrize("part", PARTS)
def test_the_page_and_its_files_are_served_here_and_load_from_no_other_host(part: str) -> None:
    answer = httpx.get(f"{nginx_origin()}/docs{part}")
    policy = answer.headers["content-security-policy"]

    assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
    assert "default-src 'none'" in policy
    assert "://" not in policy


@pytest.mark.rule("R-OA2")
def test_the_page_names_no_other_host() -> None:
    own = [path for path in (Path(__file__).parents[2] / "infra/nginx/docs").iterdir() if path.suffix != ".svg"]

    assert own
    assert [path.name for path in own if "://" in path.read_text()] == []


def test_an_unknown_path_of_the_page_is_a_problem_document() -> None:
    answer = httpx.get(f"{nginx_origin()}/docs/nothing")

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_it_can_only_be_read() -> None:
    assert httpx.post(f"{nginx_origin()}/docs").status_code == 405
