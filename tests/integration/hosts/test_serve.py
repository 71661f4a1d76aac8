"""The HTTP host: a granian process that handles one request at a time."""

import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.support.hosts import Host, copy_of_the_code, environment
from tests.support.people import new_person
from tests.support.waiting import until

HEALTH = Path("functions/health/get_health.py")
LIVE = Path("functions/health/get_live.py")
SLOW = """
import time, threading

@health_probe
def handler() -> Live:
    print("running", flush=True)
    threading.Event().wait({seconds})
    return Live()
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host whose code is not changed."""
    with environment(tmp_path_factory.mktemp("host")) as started:
        yield started


def _make_slow(folder: Path, seconds: float) -> None:
    source = (folder / LIVE).read_text()
    (folder / LIVE).write_text(source.partition("\n@health_probe")[0] + SLOW.format(seconds=seconds))


def test_it_answers_with_the_chalice_application(host: Host) -> None:
    answer = host.http.get("/api/health", headers={"x-trace-id": "seen"})

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert (answer.headers["content-type"], answer.headers["x-trace-id"]) == ("application/json", "seen")


@pytest.mark.rule("R-O3")
def test_each_request_writes_one_json_line(host: Host) -> None:
    ada = new_person("ada")
    signed_in = {"cookie": f"session_id={ada.session_id}"}
    requests = [
        ("GET", "/api/v1/auth/me", signed_in, b"", 200),
        ("GET", "/api/v1/auth/me", {}, b"", 401),
        ("POST", f"/api/v1/posts/{uuid4()}/like", signed_in, b"", 404),
        ("POST", f"/api/v1/posts/{uuid4()}/comments", signed_in, '{"content": "é"}'.encode(), 404),
        ("POST", "/api/v1/auth/login", {}, b"{", 400),
        ("GET", "/api/v1/nothing", {}, b"", 404),
        ("PUT", "/api/v1/posts", {}, b"{}", 405),
    ]
    for number, (method, path, headers, body, status) in enumerate(requests):
        trace_id = f"{uuid4()}-{number}"
        answer = host.http.request(method, path, headers=headers | {"x-trace-id": trace_id}, content=body)
        host.http.cookies.clear()
        lines = [json.loads(line) for line in host.log.splitlines() if trace_id in line]

        assert answer.status_code == status
        assert len(lines) == 1, (method, path)
        [line] = lines
        assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta()
        assert 0 <= line.pop("duration_ms") < 10_000
        names = ("level", "request_id", "method", "path", "user_id", "status", "content_length", "response_bytes")
        assert {name: line[name] for name in names} == {
            "level": "INFO",
            "request_id": trace_id,
            "method": method,
            "path": path,
            "user_id": str(ada.id) if headers else None,
            "status": status,
            "content_length": len(body),
            "response_bytes": len(answer.content),
        }


def test_it_is_one_process(host: Host) -> None:
    assert psutil.Process(host.process.pid).children() == []


def test_head_is_get_without_a_body(host: Host) -> None:
    answer = host.http.head("/api/health")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/api/v1/users//follow", 404),
        ("PUT", "/api/health", 405),
    ],
)
def test_an_unknown_route_or_method_gets_a_problem_document(host: Host, method: str, path: str, status: int) -> None:
    answer = host.http.request(method, path)

    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error"] == answer.json()["detail"] != ""
    assert answer.headers["x-trace-id"]


def test_a_refused_method_names_the_allowed_ones(host: Host) -> None:
    assert host.http.put("/api/health").headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_preflight_is_answered_for_accepted_origins_only(host: Host) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    ours = host.http.options("/api/v1/posts", headers={"origin": "http://localhost:5173", **asked})
    foreign = host.http.options("/api/v1/posts", headers={"origin": "https://elsewhere.example", **asked})

    assert (ours.status_code, ours.content) == (204, b"")
    assert ours.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert ours.headers["access-control-allow-headers"] == "content-type"
    assert foreign.status_code == 204
    assert "access-control-allow-origin" not in foreign.headers


def test_a_malformed_body_is_refused_and_a_large_one_arrives_whole(host: Host) -> None:
    broken = host.http.post("/api/v1/auth/login", content=b"\xff\xfe{")
    large = host.http.post("/api/v1/auth/login", json={"username": "u" * 200_000, "password": "p"})

    assert (broken.status_code, large.status_code) == (400, 413)


def test_metrics_contain_counters_and_gauges(host: Host) -> None:
    host.http.get("/api/health")
    text = host.http.get("/metrics").text

    assert re.search(r'^http_requests_total\{method="GET",path="/api/health",status="200"\} [1-9]', text, re.MULTILINE)
    assert re.search(r'^queue_depth\{queue_name="photo-uploaded"\} \d', text, re.MULTILINE)
    assert re.search(r"^instagram_active_sessions \d", text, re.MULTILINE)
    assert re.search(r'^instagram_db_connection_pool_size\{state="active"\} [1-9]', text, re.MULTILINE)
    assert re.search(r"^feed_cache_hit_ratio \d", text, re.MULTILINE)


def test_sigterm_ends_it_after_the_running_request(tmp_path: Path) -> None:
    folder = copy_of_the_code(tmp_path)
    _make_slow(folder, 1.5)
    answers: list[httpx.Response] = []
    with environment(tmp_path, folder=folder) as host:
        asking = threading.Thread(target=lambda: answers.append(host.http.get("/api/health/live")))
        asking.start()
        until(lambda: "running" in host.log)
        code = host.stop()
        asking.join(5)

    assert code == 0
    assert [answer.status_code for answer in answers] == [200]


def test_requests_are_handled_one_at_a_time(tmp_path: Path) -> None:
    folder = copy_of_the_code(tmp_path)
    _make_slow(folder, 0.5)
    with environment(tmp_path, folder=folder) as host:
        url = host.http.base_url.join("/api/health/live")
        asking = [threading.Thread(target=httpx.get, args=[url]) for _ in range(3)]
        for each in asking:
            each.start()
        for each in asking:
            each.join(10)

        order = re.findall(r'running|"path":"/api/health/live"', host.log)
        assert order == ["running", '"path":"/api/health/live"'] * 3


def test_a_function_that_exceeds_its_timeout_ends_its_host(tmp_path: Path) -> None:
    folder = copy_of_the_code(tmp_path)
    _make_slow(folder, 60)
    template = folder / "template.yaml"
    template.write_text(template.read_text().replace("Timeout: 29", "Timeout: 1"))
    with environment(tmp_path, folder=folder) as host:
        assert host.get("/api/health/live") is None
        assert host.process.wait(5) == 1
        assert "timed out" in host.log


def test_a_broken_handler_does_not_affect_the_others(tmp_path: Path) -> None:
    folder = copy_of_the_code(tmp_path)
    (folder / LIVE).write_text("this is no valid Python")
    with environment(tmp_path, folder=folder) as host:
        answer = host.http.get("/api/health/live")

        assert answer.status_code == 500
        assert "Python" not in answer.text
        assert "SyntaxError" in host.log
        assert host.http.get("/api/health").status_code == 200
