"""Events of WebSocket routes have the fields of API Gateway's."""

import json
from pathlib import Path
from typing import Any

from infra.events.websocket import build_event

SAMPLES = Path(__file__).parents[3] / "events" / "live"


def build(route_key: str, event_type: str, **changes: Any) -> dict[str, Any]:
    """The event of a connection whose headers are repeated and not in lower case."""
    headers = {"Host": ["localhost:3000"], "User-Agent": ["test"], "Cookie": ["a=1", "b=2"]}
    connection = {"connection_id": "c=", "connected_at": 1_795_392_245.5, "headers": headers, "peer": "192.0.2.9"}
    return build_event(route_key=route_key, event_type=event_type, **{**connection, **changes})


def test_the_event_of_connect_has_the_fields_of_its_sample() -> None:
    sample = json.loads((SAMPLES / "connect.json").read_text())
    event = build("$connect", "CONNECT")

    assert event.keys() >= sample.keys()
    assert event["requestContext"].keys() >= sample["requestContext"].keys()


def test_the_event_of_connect_has_all_headers() -> None:
    event = build("$connect", "CONNECT")

    assert event["headers"] == {"Host": "localhost:3000", "User-Agent": "test", "Cookie": "a=1"}
    assert event["multiValueHeaders"]["Cookie"] == ["a=1", "b=2"]
    assert event["requestContext"]["domainName"] == "localhost:3000"
    assert event["requestContext"]["identity"] == {"sourceIp": "192.0.2.9", "userAgent": "test"}
    assert event["requestContext"]["connectedAt"] == 1_795_392_245_500


def test_a_message_has_its_text_and_no_headers() -> None:
    event = build("$default", "MESSAGE", body="{}")

    assert (event["body"], event["requestContext"]["eventType"]) == ("{}", "MESSAGE")
    assert event["requestContext"]["messageId"]
    assert not {"headers", "multiValueHeaders"} & event.keys()


def test_missing_headers_are_empty() -> None:
    context = build("$disconnect", "DISCONNECT", headers={})["requestContext"]

    assert (context["domainName"], context["identity"]["userAgent"]) == ("", "")
