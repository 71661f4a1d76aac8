"""Events are built as API Gateway builds them, and replies are decoded as it decodes them."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent, EventBridgeEvent
from aws_lambda_powertools.utilities.data_classes.rabbit_mq_event import RabbitMQEvent
from hypothesis import given
from hypothesis import strategies as st

from infra import template_map
from infra.events.rest import build_event, decode_reply, find_resource

EVENTS = Path(__file__).parents[3] / "events"
POST_ID = "00000000-0000-7000-8000-000000000101"


def build(**changes: Any) -> dict[str, Any]:
    """The event of a small request with these changes."""
    request = {
        "method": "POST",
        "path": f"/api/v1/posts/{POST_ID}/like",
        "resource": "/api/v1/posts/{post_id}/like",
        "variables": {"post_id": POST_ID},
        "query": "",
        "headers": [],
        "body": b"",
        "peer": "192.0.2.9",
    }
    return build_event(**{**request, **changes})


def test_powertools_reads_an_event() -> None:
    headers = [("Host", "localhost:3000"), ("X-Forwarded-For", "192.0.2.1"), ("User-Agent", "test"), ("Cookie", "a=1")]
    event = APIGatewayProxyEvent(build(headers=headers, query="a=1&a=2", body=b'{"x":1}'))

    assert event.http_method == event.request_context.http_method == "POST"
    assert event.path == f"/api/v1/posts/{POST_ID}/like"
    assert event.resource == event.request_context.resource_path == "/api/v1/posts/{post_id}/like"
    assert event.path_parameters == {"post_id": POST_ID}
    assert event.headers["host"] == "localhost:3000"
    assert event.resolved_query_string_parameters == {"a": ["1", "2"]}
    assert event.json_body == {"x": 1}
    assert event.request_context.identity.source_ip == "192.0.2.1"
    assert event.request_context.identity.user_agent == "test"
    assert event.request_context.path == f"/{event.request_context.stage}{event.path}"
    assert event.request_context.protocol == "HTTP/1.1"
    assert event.request_context.request_id != APIGatewayProxyEvent(build()).request_context.request_id
    stated = datetime.strptime(event.request_context.request_time or "", "%d/%b/%Y:%H:%M:%S %z")
    assert int(stated.timestamp()) == event.request_context.request_time_epoch // 1000
    assert abs((datetime.now(UTC) - stated).total_seconds()) < 60


def test_an_event_survives_json() -> None:
    event = build(headers=[("a", "b")], body=b"\x00\xff", query="x=%FF")

    assert json.loads(json.dumps(event)) == event


def test_what_is_not_sent_is_null() -> None:
    event = build(variables={})

    nothing = ("pathParameters", "queryStringParameters", "multiValueQueryStringParameters", "stageVariables", "body")
    assert {name: event[name] for name in nothing} == dict.fromkeys(nothing)
    assert event["isBase64Encoded"] is False


def test_repeated_headers_and_query_values_are_all_there_and_the_last_counts() -> None:
    event = build(headers=[("X-One", "a"), ("x-one", "b")], query="q=1&p=&q=2")

    assert event["headers"] == {"x-one": "b"}
    assert event["multiValueHeaders"] == {"x-one": ["a", "b"]}
    assert event["queryStringParameters"] == {"q": "2", "p": ""}
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"], "p": [""]}


def test_the_address_is_the_last_one_forwarded_else_the_peer() -> None:
    forwarded = build(headers=[("x-forwarded-for", "203.0.113.7, 192.0.2.1")])

    assert forwarded["requestContext"]["identity"]["sourceIp"] == "192.0.2.1"
    assert build()["requestContext"]["identity"]["sourceIp"] == "192.0.2.9"


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "Multipart/Form-Data", "image/png"])
def test_binary_media_types_arrive_in_base64(kind: str) -> None:
    event = build(headers=[("content-type", kind)], body=b"plain")

    assert (event["body"], event["isBase64Encoded"]) == (base64.b64encode(b"plain").decode(), True)


@given(body=st.binary(min_size=1), kind=st.sampled_from(["application/json", "image/png", ""]))
def test_a_body_is_text_if_it_is_utf_8_and_is_never_changed(body: bytes, kind: str) -> None:
    event = build(headers=[("content-type", kind)], body=body)
    found = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()

    assert found == body


@pytest.mark.parametrize("route", template_map.routes(), ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_found_by_its_path(route: template_map.Route) -> None:
    found = find_resource(route.path.replace("{", "<").replace("}", ">"))

    assert found
    resource, variables = found
    assert resource.path == route.path
    assert resource.routes[route.method] == route
    assert variables == {name: f"<{name}>" for name in _names(route.path)}


def _names(path: str) -> list[str]:
    return [part.strip("{}") for part in path.split("/") if part.startswith("{")]


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/stories/user/ada", "/api/v1/stories/user/{user}"),
        ("/api/v1/stories/user/view", "/api/v1/stories/user/{user}"),
        (f"/api/v1/stories/{POST_ID}/view", "/api/v1/stories/{story_id}/view"),
    ],
)
def test_a_literal_segment_takes_precedence_over_a_variable(path: str, resource: str) -> None:
    found = find_resource(path)

    assert found
    assert found[0].path == resource


@pytest.mark.parametrize("path", ["", "/", "//", "/api", "/api/v1/posts/a/b/c", "/api/v1/users//follow", "/api/v9"])
def test_a_path_that_the_template_does_not_have_is_not_found(path: str) -> None:
    assert find_resource(path) is None


def test_a_slash_at_the_end_changes_nothing() -> None:
    assert find_resource("/api/health/") == find_resource("/api/health")


@given(path=st.text())
def test_no_path_breaks_the_search(path: str) -> None:
    find_resource(path)


def test_a_reply_goes_out_with_all_its_headers() -> None:
    reply = {
        "statusCode": 201,
        "headers": {"content-type": "text/plain", "set-cookie": "b=2", "x-count": 3},
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
        "body": "é",
    }

    assert decode_reply(reply) == (
        201,
        [("content-type", "text/plain"), ("x-count", "3"), ("set-cookie", "a=1"), ("set-cookie", "b=2")],
        "é".encode(),
    )


def test_a_binary_reply_is_decoded() -> None:
    assert decode_reply({"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}) == (200, [], b"\x00\xff")


@pytest.mark.parametrize("queue", template_map.queues(), ids=lambda queue: queue.name)
def test_powertools_reads_the_samples_of_queues(queue: template_map.Queue) -> None:
    event = RabbitMQEvent(json.loads((EVENTS / f"{queue.function.name}.json").read_text()))
    (messages,) = event.rmq_messages_by_queue.values()

    assert event.event_source == "aws:rmq"
    assert all(isinstance(message.json_data, dict) for message in messages)
    assert messages[0].basic_properties.content_type == "application/json"


@pytest.mark.parametrize("schedule", template_map.schedules(), ids=lambda schedule: schedule.function.name)
def test_powertools_reads_the_samples_of_schedules(schedule: template_map.Schedule) -> None:
    event = EventBridgeEvent(json.loads((EVENTS / f"{schedule.function.name}.json").read_text()))

    assert (event.source, event.detail_type, event.detail) == ("aws.events", "Scheduled Event", {})
