"""Bodies that are made to end a process: every environment answers them, and goes on."""

import importlib

import httpx
import pytest

from infra import template_map
from tests.support.http import Caller, nginx_origin
from tests.support.services import process_ids
from tests.support.waiting import until

NESTED = b"[" * 8000 + b"]" * 8000
BODIES = [
    b'{"username":' + NESTED + b"}",
    b'{"unknown":' + NESTED + b"}",
    b'{"a":' * 8000 + b"1" + b"}" * 8000,
    NESTED,
    b"[" * 100_000,
]


def environments() -> set[int]:
    """The process ids of all environments."""
    return process_ids("api")


def takes_json(route: template_map.Route) -> bool:
    """Whether the route's handler declares a JSON body."""
    module, _, name = route.function.handler.rpartition(".")
    return getattr(importlib.import_module(module), name).signature.body is not None


@pytest.fixture
def caller() -> Caller:
    """A signed-in caller."""
    return Caller()


@pytest.mark.parametrize(
    ("method", "path"), sorted({(route.method, route.path) for route in template_map.routes() if takes_json(route)})
)
def test_deeply_nested_json_is_400_on_every_route_that_takes_json(caller: Caller, method: str, path: str) -> None:
    """Each body ended an environment, also without a session."""
    before = environments()
    concrete = path.replace("{", "").replace("}", "")
    for name in ("post_id", "conversation_id", "message_id"):
        concrete = concrete.replace(name, "1f0d2c3e-4b5a-11f1-8000-0242ac120002")
    headers = {"content-type": "application/json"}
    with httpx.Client(base_url=nginx_origin()) as anonymous:
        answers = [anonymous.request(method, concrete, content=body, headers=headers) for body in BODIES]
    answers += [
        caller.http.request(method, nginx_origin() + concrete, content=body, headers=headers) for body in BODIES
    ]

    assert {answer.status_code for answer in answers} <= {400, 401, 404}
    assert environments() == before


def test_a_flood_of_nested_json_leaves_the_api_answering() -> None:
    before = environments()
    with httpx.Client(base_url=nginx_origin()) as http:
        for _ in range(100):
            answer = http.post("/api/v1/auth/login", content=BODIES[0], headers={"content-type": "application/json"})
            assert answer.status_code == 400
            assert "nested" in answer.json()["error"]
        until(lambda: http.get("/api/health/live").status_code == 200, seconds=2)

    assert environments() == before
