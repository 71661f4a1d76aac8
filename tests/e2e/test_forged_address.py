"""Limits by address, through the real nginx: it alone says where a request comes from."""

import random
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.http import Caller, nginx_origin

NAMES = ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "X-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP")
WRONG = {"username": "nobody_at_all", "password": "wrong one"}


def _somewhere() -> httpx.Client:
    """A client with an address of its own."""
    own = ".".join(str(random.randint(1, 254)) for _ in range(3))
    transport = httpx.HTTPTransport(local_address=f"127.{own}")
    return httpx.Client(base_url=f"{nginx_origin()}/api/v1", transport=transport, timeout=30)


@pytest.fixture
def here() -> Iterator[httpx.Client]:
    """A client."""
    with _somewhere() as client:
        yield client


@pytest.fixture
def elsewhere() -> Iterator[httpx.Client]:
    """A client with another address."""
    with _somewhere() as client:
        yield client


def _forged(number: int) -> dict[str, str]:
    address = f"203.0.113.{number}"
    return {**dict.fromkeys(NAMES, address), "Forwarded": f"for={address}"}


def _tries(client: httpx.Client, *headers: dict[str, str]) -> list[int]:
    return [client.post("/auth/login", json=WRONG, headers=each).status_code for each in headers]


@pytest.mark.rule("R-L4")
def test_a_forged_x_forwarded_for_changes_nothing(here: httpx.Client, elsewhere: httpx.Client) -> None:
    forged = _tries(here, *(_forged(number) for number in range(8)))
    several = _tries(here, {"X-Forwarded-For": "203.0.113.9, 203.0.113.10"})
    plain = _tries(here, {})

    assert forged == [401] * 5 + [429] * 3
    assert several == plain == [429]
    assert _tries(elsewhere, _forged(0), {}) == [401, 401]


@pytest.mark.rule("R-L4")
def test_failures_from_one_address_do_not_block_another(here: httpx.Client, elsewhere: httpx.Client) -> None:
    address = elsewhere._transport._pool._local_address  # type: ignore[attr-defined]
    forged = _tries(here, *[{"X-Forwarded-For": address, "X-Real-IP": address}] * 6)

    assert Counter(forged) == {401: 5, 429: 1}
    assert _tries(elsewhere, {}) == [401]


@pytest.mark.rule("R-L6")
def test_a_forged_address_does_not_refresh_the_general_limit(here: httpx.Client) -> None:
    answers = [here.get("/posts/filters/list", headers=_forged(number)) for number in range(5)]
    left = [int(answer.headers["ratelimit-remaining"]) for answer in answers]

    assert left == list(range(left[0], left[0] - 5, -1))


@pytest.mark.rule("R-L3")
def test_counts_are_shared_by_all_api_instances() -> None:
    ada, front = Caller("ada"), urlsplit(nginx_origin())
    assert front.port
    urls = [f"http://{front.hostname}:{front.port + number}/api/v1" for number in range(4)]
    statuses = [ada.http.get(f"{urls[number % 4]}/feed").status_code for number in range(62)]

    assert statuses == [200] * 60 + [429] * 2
    assert ada.http.get("/auth/me").status_code == 200


@pytest.mark.rule("R-L6")
def test_health_has_no_limit() -> None:
    assert "ratelimit-limit" not in httpx.get(f"{nginx_origin()}/api/health").headers
