"""`chalice --project-dir infra/chalice local` serves the same routes with the same answers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hosts import Host, free_port, running


@pytest.fixture(scope="module")
def chalice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A running `chalice local`."""
    port = free_port()
    command = [
        *(str(Path(sys.executable).with_name("chalice")), "--project-dir", "infra/chalice", "local"),
        *("--no-autoreload", "--port", str(port)),
    ]
    with running(command, address=port, log_file=tmp_path_factory.mktemp("chalice") / "log") as host:
        yield host


def test_it_serves_the_templates_routes(chalice: Host) -> None:
    answer = chalice.http.get("/api/health", headers={"x-trace-id": "seen"})

    assert answer.json()["status"] == "ok"
    assert answer.headers["x-trace-id"] == "seen"
    assert answer.headers.get_list("content-type") == ["application/json"]


def test_a_handler_gets_the_whole_event(chalice: Host) -> None:
    """The entry point reads method, path, resource, query and body from keys that `chalice local` omits."""
    answer = chalice.http.post("/api/v1/auth/login?x=1", content=b'{"username": 1')

    assert answer.status_code == 400
    assert '"path":"/api/v1/auth/login"' in chalice.log


def test_a_multipart_body_arrives(chalice: Host) -> None:
    answer = chalice.http.post("/api/v1/posts", files={"media": ("a.jpg", b"\xff\xd8\xff", "image/jpeg")})

    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/a/b/c/d", 404), ("PUT", "/api/health", 405)])
def test_refusals_have_the_contracts_shape(chalice: Host, method: str, path: str, status: int) -> None:
    answer = chalice.http.request(method, path)

    assert answer.status_code == answer.json()["status"] == status
    assert answer.json()["error"]
    assert answer.headers.get_list("content-type") == ["application/problem+json"]


def test_a_preflight_is_answered(chalice: Host) -> None:
    answer = chalice.http.options("/api/v1/posts", headers={"origin": "http://localhost:5173"})

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
