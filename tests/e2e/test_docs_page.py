"""The page at /docs: the description of the API for people, served by this host alone."""

import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from infra import template_map
from tests.support.http import nginx_origin

PARTS = ("", "/docs.js", "/docs.css", "/icon.svg", "/viewer/swagger-ui-bundle.js", "/viewer/swagger-ui.css")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as a browser shows it, once the viewer has read the description."""
    profile = tmp_path_factory.mktemp("browser")
    command = ["chromium", "--headless", "--disable-gpu", f"--user-data-dir={profile}", "--virtual-time-budget=20000"]
    command += ["--no-sandbox"] if os.geteuid() == 0 else []
    completed = subprocess.run(
        [*command, "--dump-dom", f"{nginx_origin()}/docs"], check=True, capture_output=True, text=True, timeout=100
    )
    return completed.stdout


@pytest.mark.rule("R-OA2")
def test_every_operation_is_on_the_page(rendered: str) -> None:
    shown = set(re.findall(r'id="operations-(?!tag-)[\w-]+-([A-Za-z]+)"', rendered))

    assert len(shown) == len(template_map.routes())
    assert {"likePost", "createPost", "getTrayAlias"} <= shown


def test_the_introduction_is_on_the_page(rendered: str) -> None:
    assert "At most 100 requests in any hour per user" in rendered


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
