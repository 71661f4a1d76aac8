"""The health endpoints report the state of the stores."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from functions.health import get_detailed, get_health, get_live, get_ready
from layers.core.settings import settings
from layers.postgres import connection as postgres
from layers.valkey import connection as valkey_connection
from layers.valkey import heartbeats
from tests.support.calls import call
from tests.support.hosts import free_port
from tests.support.stores import valkey
from tests.support.waiting import until


def _moved(monkeypatch: pytest.MonkeyPatch, **places: str) -> None:
    """Settings with addresses where nothing listens."""
    for name, place in places.items():
        monkeypatch.setenv(name.upper(), place)
    settings.cache_clear()
    postgres.close()
    valkey_connection.close()


@pytest.fixture(autouse=True)
def _well_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """At the end the settings are as before, and no breaker remembers the outage."""
    yield
    monkeypatch.undo()
    _moved(monkeypatch)
    until(lambda: call(get_detailed).status == 200)


def test_health_and_live_touch_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    _moved(monkeypatch, database_url=f"postgresql://u@{nowhere}/x", valkey_url=f"redis://{nowhere}/0")
    health, live = call(get_health), call(get_live)

    assert (health.status, health.json["status"]) == (200, "ok")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(health.json["timestamp"])) < timedelta(minutes=1)
    assert (live.status, live.json) == (200, {"status": "alive"})


def test_health_is_not_limited_and_sets_no_cookie() -> None:
    reply = call(get_health, session_id="any")

    assert not any(name.startswith("ratelimit") or name == "set-cookie" for name in reply.headers)


def test_ready_while_either_store_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (call(get_ready).status, call(get_ready).json) == (200, {"status": "ready"})
    nowhere = f"127.0.0.1:{free_port()}"
    _moved(monkeypatch, database_url=f"postgresql://u@{nowhere}/x")
    assert call(get_ready).status == 200
    _moved(monkeypatch, valkey_url=f"redis://{nowhere}/0")
    reply = call(get_ready)

    assert (reply.status, reply.json["status"]) == (503, "not_ready")
    assert reply.json["error"]


def test_detailed_names_every_component_and_its_latency() -> None:
    for host in heartbeats.HOSTS:
        heartbeats.record(host)
    reply = call(get_detailed)
    components = reply.json["components"]

    assert (reply.status, reply.json["status"]) == (200, "ok"), reply.json
    assert set(components) == {"database", "redis", "storage", "cassandra", "rabbitmq", "worker"}
    assert {name: each["status"] for name, each in components.items()} == dict.fromkeys(components, "ok")
    assert all(each["latencyMs"] >= 0 for name, each in components.items() if name != "worker")
    assert datetime.fromisoformat(components["worker"]["lastHeartbeatAt"])
    assert reply.json["memory"].keys() == {"heapUsedMB", "heapTotalMB", "rssMB"}
    assert reply.json["memory"]["rssMB"] > 0
    assert reply.json["uptime"] >= 0
    assert reply.json["version"] == "0.1.0"


@pytest.mark.parametrize(
    ("component", "place", "status"),
    [
        ("database", {"database_url": "postgresql://u@{nowhere}/x"}, 503),
        ("redis", {"valkey_url": "redis://{nowhere}/0"}, 503),
        ("storage", {"s3_endpoint_url": "http://{nowhere}"}, 503),
        ("cassandra", {"cassandra_port": "{port}"}, 200),
        ("rabbitmq", {"rabbitmq_url": "amqp://u:secret@{nowhere}/%2F"}, 200),
    ],
)
def test_a_store_that_is_down_is_named_and_only_the_needed_ones_degrade(
    monkeypatch: pytest.MonkeyPatch, component: str, place: dict[str, str], status: int
) -> None:
    port = str(free_port())
    _moved(monkeypatch, **{name: to.format(nowhere=f"127.0.0.1:{port}", port=port) for name, to in place.items()})
    reply = call(get_detailed)
    found = reply.json["components"][component]

    assert (reply.status, reply.json["status"]) == (status, "ok" if status == 200 else "degraded")
    assert found["status"] == "error"
    assert found["error"]
    assert port not in reply.body.decode()
    assert "secret" not in reply.body.decode()


def test_a_worker_that_is_silent_for_two_minutes_is_unavailable() -> None:
    heartbeats.record("schedules")
    old = (datetime.now(UTC) - timedelta(seconds=121)).isoformat(timespec="milliseconds")
    heartbeats.record("queues")
    valkey().set("heartbeat:queues", old)
    worker = call(get_detailed).json["components"]["worker"]

    assert worker["status"] == "unavailable"
    assert datetime.fromisoformat(worker["lastHeartbeatAt"]) == datetime.fromisoformat(old)
    assert "queues" in worker["note"]
