"""What the front door takes: the sizes of bodies and headers, and how much of one caller at the same time."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from infra import template_map
from infra.stack.profiles import profile
from infra.template_map import Route
from tests.support import services
from tests.support.http import Caller, nginx_origin
from tests.support.waiting import until

MEGABYTE = 1 << 20
SOME_ID = "1f0d2c3e-4b5a-11f1-8000-0242ac120002"
SMALL = [
    each for each in template_map.routes() if each.method in ("POST", "PUT", "PATCH") and not each.function.max_files
]
FORMS = template_map.upload_routes()
UPLOADS_OF_A_SESSION = 8


def path_of(route: Route) -> str:
    return "/".join(SOME_ID if level.startswith("{") else level for level in route.path.split("/"))


def head(method: str, path: str, **headers: object) -> bytes:
    lines = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return (
        f"{method} {path} HTTP/1.1\r\n".encode()
        + b"".join(f"{name}: {value}\r\n".encode() for name, value in lines.items())
        + b"\r\n"
    )


@contextmanager
def sent(data: bytes) -> Iterator[socket.socket]:
    """A connection on which this was sent, and no more."""
    address = httpx.URL(nginx_origin())
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(data)
        yield connection


def answer_to(data: bytes) -> httpx.Response:
    """The answer to a request of which only this is sent."""
    with sent(data) as connection, HTTPResponse(connection) as answer:
        answer.begin()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def assert_is_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-trace-id"]
    problem = answer.json()
    assert problem["status"] == status
    assert problem["error"] == problem["detail"]


def received_bytes() -> int:
    """The size of the bodies that nginx holds on the disk."""
    size = 0
    for pid in services.process_ids("nginx"):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since
                if "/nginx/bodies/" in str(descriptor.readlink()):  # unlinked: there is no other way to it
                    size += descriptor.stat().st_size
    return size


@pytest.mark.parametrize("route", SMALL, ids=lambda route: f"{route.method} {route.path}")
def test_a_large_body_is_refused_before_it_is_sent(route: Route) -> None:
    announced = head(route.method, path_of(route), content_type="application/json", content_length=109 * MEGABYTE)

    assert_is_problem(answer_to(announced), 413)


def test_a_large_body_without_a_length_is_refused_as_well() -> None:
    chunk = f"{MEGABYTE:x}\r\n".encode() + b" " * MEGABYTE + b"\r\n"
    chunked = head("POST", "/api/v1/auth/login", content_type="application/json", transfer_encoding="chunked")

    assert_is_problem(answer_to(chunked + chunk), 413)


@pytest.mark.parametrize("route", FORMS, ids=lambda route: f"{route.method} {route.path}")
def test_a_form_without_a_session_is_refused_before_it_is_sent(route: Route) -> None:
    form = {"content_type": "multipart/form-data; boundary=x", "content_length": 19 * MEGABYTE}

    assert_is_problem(answer_to(head(route.method, path_of(route), **form)), 401)
    assert_is_problem(answer_to(head(route.method, path_of(route), **form, cookie="session_id=forged")), 401)


@pytest.mark.parametrize("route", FORMS, ids=lambda route: f"{route.method} {route.path}")
def test_a_form_is_refused_if_it_is_larger_than_its_files_may_be(route: Route) -> None:
    size = (route.function.max_files + 1) * 10 * MEGABYTE + 1
    form = {"content_type": "multipart/form-data; boundary=x", "content_length": size}

    assert_is_problem(answer_to(head(route.method, path_of(route), **form)), 413)


@pytest.mark.parametrize("route", FORMS, ids=lambda route: f"{route.method} {route.path}")
def test_json_to_a_route_of_forms_may_not_be_larger_than_elsewhere(route: Route) -> None:
    announced = head(route.method, path_of(route), content_type="application/json", content_length=101 * 1024)

    assert_is_problem(answer_to(announced), 413)


def test_stalled_bodies_of_strangers_take_no_disk() -> None:
    part = b"-" * 30 * MEGABYTE
    with ExitStack() as stack:
        for path in ["/api/v1/auth/login", "/api/v1/posts"] * 7:
            form = head("POST", path, content_type="multipart/form-data; boundary=x", content_length=109 * MEGABYTE)
            connection = stack.enter_context(sent(form))
            with suppress(OSError):  # closed: the answer is all that a stranger gets
                connection.sendall(part)
        assert received_bytes() == 0


def test_a_session_sends_eight_forms_at_the_same_time_and_no_more() -> None:
    session = Caller().http.cookies["session_id"]
    form = head(
        "POST",
        "/api/v1/posts",
        content_type="multipart/form-data; boundary=x",
        content_length=MEGABYTE,
        cookie=f"session_id={session}",
    )
    with ExitStack() as stack:
        for _ in range(UPLOADS_OF_A_SESSION):
            stack.enter_context(sent(form + b"-" * 500_000))
        until(lambda: received_bytes() >= UPLOADS_OF_A_SESSION * 300_000, seconds=5)
        refused = answer_to(form)
        assert Caller().http.get("/auth/me").status_code == 200

    assert_is_problem(refused, 429)
    assert int(refused.headers["retry-after"]) >= 1
    until(lambda: received_bytes() == 0, seconds=5)


def test_one_address_has_a_bounded_number_of_requests_at_the_same_time() -> None:
    stalled = head("POST", "/api/v1/auth/login", content_type="application/json", content_length=10)
    with ExitStack() as stack:
        for _ in range(profile("test").connections):
            stack.enter_context(sent(stalled))
        refused = until(lambda: _refusal("/api/health/live"), seconds=5)

    assert_is_problem(refused, 429)
    until(lambda: _refusal("/api/health/live") is None, seconds=5)


def _refusal(path: str) -> httpx.Response | None:
    answer = httpx.get(nginx_origin() + path)
    return answer if answer.status_code != 200 else None


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"GET /api/v1/feed HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 40_000 + b"\r\n\r\n", 431, id="headers"),
        pytest.param(
            b"GET /api/v1/feed HTTP/1.1\r\nhost: a\r\n" + b"x: value\r\n" * 120 + b"\r\n", 431, id="number of headers"
        ),
        pytest.param(
            b"GET /api/v1/feed HTTP/1.1\r\nhost: a\r\nx: \x01" + b"y" * 1000 + b"\r\n\r\n",
            400,
            id="character in a header",
        ),
        pytest.param(b"GET /api/v1/feed?x=<> HTTP/1.1\r\nhost: a\r\n\r\n", 400, id="character in an address"),
        pytest.param(b"GET /api/v1/feed?x=\xff HTTP/1.1\r\nhost: a\r\n\r\n", 400, id="byte in an address"),
        pytest.param(b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414, id="address"),
        pytest.param(b"GET /api/v1/feed HTTP/3.0\r\nhost: a\r\n\r\n", 505, id="version"),
        pytest.param(b"GET /api/v1/feed HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET /api/v1/feed HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", 400, id="length"),
        pytest.param(b"POST /api/v1/feed HTTP/1.1\r\nhost: a\r\ntransfer-encoding: br\r\n\r\n", 501, id="encoding"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, id="TLS"),
    ],
)
def test_what_nginx_refuses_is_a_problem_document(request_bytes: bytes, status: int) -> None:
    assert_is_problem(answer_to(request_bytes), status)


def test_as_many_headers_as_browsers_send_are_taken_by_every_host() -> None:
    headers = {f"x-header-{number}": "value" for number in range(80)}

    for method, path in (("GET", "/api/health/live"), ("POST", "/api/health/live"), ("POST", "/api/v1/auth/register")):
        answer = httpx.request(method, nginx_origin() + path, headers=headers)
        assert answer.headers["x-trace-id"]
        assert answer.status_code in (200, 400, 405)
