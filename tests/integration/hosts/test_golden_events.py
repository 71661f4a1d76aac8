"""Events have the keys and types that AWS documents, and MinIO's notifications those that the code expects.

tests/data/golden holds the documented events. Powertools' data classes read them and the events of the local hosts.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus
from uuid import uuid4

import boto3
import pika
import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent, EventBridgeEvent, S3Event
from aws_lambda_powertools.utilities.data_classes.rabbit_mq_event import RabbitMQEvent

from infra import template_map
from infra.events import queue, rest, schedule
from layers.core.settings import settings
from tests.support.queues import channel
from tests.support.waiting import until

GOLDEN = Path(__file__).parents[2] / "data" / "golden"


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def shape(value: object) -> object:
    """The value with the name of its type in place of each leaf; only the first element of a list."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in value.items()}
        case list():
            return [shape(inner) for inner in value[:1]]
        case _:
            return type(value).__name__


def rest_event() -> dict[str, Any]:
    sent = golden("rest_v1")
    return rest.build_event(
        method=sent["httpMethod"],
        path=sent["path"],
        resource=sent["resource"],
        variables=sent["pathParameters"],
        query="limit=10&limit=20",
        headers=[*sent["headers"].items()],
        body=sent["body"].encode(),
        peer="192.0.2.1",
    )


def test_a_rest_event_has_the_documented_shape() -> None:
    made = rest_event()
    made["requestContext"]["identity"]["userAgent"] = "curl/8.5.0"

    assert shape(made) == shape(golden("rest_v1"))
    for each in (APIGatewayProxyEvent(made), APIGatewayProxyEvent(golden("rest_v1"))):
        assert (each.http_method, each.path, each.json_body) == ("POST", "/api/v1/posts/018f3a3e/like", {"x": 1})
        assert each.resolved_query_string_parameters == {"limit": ["10", "20"]}
        assert each.request_context.identity.source_ip == "192.0.2.1"


def test_a_queue_event_has_the_documented_shape() -> None:
    properties = pika.BasicProperties(
        content_type="application/json",
        headers={"x-trace-id": "head", "x-attempt": 10},
        delivery_mode=2,
        priority=34,
        expiration="60000",
        message_id="m-1",
        timestamp=2021,
    )
    delivery = queue.Delivery(tag=1, redelivered=False, properties=properties, body=b'{"x": 1}')
    made = queue.build_event("photo-uploaded", "/", [delivery])

    assert made["rmqMessagesByQueue"] == golden("aws_rmq")["rmqMessagesByQueue"]
    assert shape(made) == shape(golden("aws_rmq"))
    for each in (RabbitMQEvent(made), RabbitMQEvent(golden("aws_rmq"))):
        [[message]] = each.rmq_messages_by_queue.values()
        assert (each.event_source, message.json_data) == ("aws:rmq", {"x": 1})


@pytest.mark.parametrize("trigger", template_map.schedules(), ids=lambda trigger: trigger.function.name)
def test_a_schedule_event_has_the_documented_shape(trigger: template_map.Schedule) -> None:
    made = schedule.build_event(trigger.function, datetime(2026, 11, 23, 12, tzinfo=UTC))

    assert shape(made) == shape(golden("eventbridge"))
    for each in (EventBridgeEvent(made), EventBridgeEvent(golden("eventbridge"))):
        assert (each.source, each.detail_type, each.time) == ("aws.events", "Scheduled Event", "2026-11-23T12:00:00Z")


def test_a_notification_of_minio_has_the_shape_of_s3s() -> None:
    key = f"originals/2026/11/23/{uuid4()}-å 0.jpg"
    store = boto3.client(
        "s3",
        endpoint_url=settings().s3_endpoint_url,
        aws_access_key_id=settings().s3_access_key_id,
        aws_secret_access_key=settings().s3_secret_access_key,
        region_name="eu-central-1",
    )
    with channel() as opened:
        queue = opened.queue_declare("", exclusive=True).method.queue
        opened.queue_bind(queue, "photos", "photo-uploaded")
        store.put_object(
            Bucket=settings().s3_bucket, Key=key, Body=b"abc", ContentType="image/jpeg", Metadata={"trace-id": "t-1"}
        )
        try:
            notification = until(lambda: _next_notification(opened, queue, key))
        finally:
            store.delete_object(Bucket=settings().s3_bucket, Key=key)
            store.close()

    assert shape(notification) == shape(golden("minio"))
    for each, name, size in ((notification, key, 3), (golden("minio"), "originals/2026/11/23/photo-0.jpg", 3)):
        [record] = S3Event(each).records
        assert (unquote_plus(record.s3.get_object.key), record.s3.get_object.size) == (name, size)
        assert record.s3.bucket.name == "instagram-media"


def _next_notification(opened: Any, queue: str, key: str) -> dict[str, Any] | None:
    """The next notification, if it is about this object; there may be others."""
    _, _, body = opened.basic_get(queue, auto_ack=True)
    notification: dict[str, Any] | None = json.loads(body) if body else None
    return notification if notification and notification["Key"].endswith(key) else None
