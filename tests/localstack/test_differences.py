"""Where LocalStack's API differs from the local HTTP hosts: each row of the table in infra/localstack/README.md."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.pictures import phone_photo
from tests.support.http import Caller, api, nginx_origin
from tests.support.stack import ROOT


@pytest.fixture
def both() -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Clients of the local HTTP hosts and of LocalStack's API."""
    with (
        httpx.Client(base_url=nginx_origin(), timeout=30) as local,
        httpx.Client(base_url=api(), timeout=30) as localstack,
    ):
        yield local, localstack


def _statuses(both: tuple[httpx.Client, httpx.Client], method: str, path: str, **headers: str) -> tuple[int, int]:
    local, localstack = (client.request(method, path, headers=headers) for client in both)
    return local.status_code, localstack.status_code


def test_unknown_routes(both: tuple[httpx.Client, httpx.Client]) -> None:
    assert _statuses(both, "GET", "/api/v1/nothing") == (404, 403)
    assert both[1].get("/api/v1/nothing").json() == {"message": "Missing Authentication Token"}


def test_wrong_methods(both: tuple[httpx.Client, httpx.Client]) -> None:
    assert _statuses(both, "DELETE", "/api/v1/auth/login") == (405, 403)


def test_head(both: tuple[httpx.Client, httpx.Client]) -> None:
    assert _statuses(both, "HEAD", "/api/health") == (200, 403)


def test_preflights(both: tuple[httpx.Client, httpx.Client]) -> None:
    headers = {"origin": "http://localhost:5173", "access-control-request-method": "POST"}
    assert _statuses(both, "OPTIONS", "/api/v1/posts", **headers) == (204, 200)
    allowed, first = (client.options("/api/v1/posts", headers=headers).headers for client in both)
    for name in ("origin", "methods", "credentials"):
        assert allowed[f"access-control-allow-{name}"] == first[f"access-control-allow-{name}"]

    headers["origin"] = "http://127.0.0.1:5173"
    allowed, first = (client.options("/api/v1/posts", headers=headers).headers for client in both)
    assert allowed["access-control-allow-origin"] == "http://127.0.0.1:5173"
    assert first["access-control-allow-origin"] == "http://localhost:5173"


def test_bodies_above_six_megabytes() -> None:
    photo = phone_photo() + b"\0" * 7_000_000

    refused = Caller().http.post("/posts", files={"media": ("large.jpg", photo, "image/jpeg")})

    assert refused.status_code == 502, refused.text


def test_empty_files_of_forms() -> None:
    refused = Caller().http.post("/stories", files={"media": ("holiday.jpg", b"")})

    assert refused.status_code == 400
    assert "cannot be read" in refused.json()["error"]


def test_the_table_lists_these_tests() -> None:
    text = (ROOT / "infra/localstack/README.md").read_text()
    listed = re.findall(r"^\| ([^|]+?) \|.*`test_(\w+)`", text, flags=re.MULTILINE)
    here = [name.removeprefix("test_") for name in globals() if name.startswith("test_")]

    assert [name for _, name in listed] == [name for name in here if name != "the_table_lists_these_tests"]
