"""Events are of the form that AWS documents, and MinIO's are what we take them for: to each key and its type.

The golden ones stand in tests/data/golden; Powertools' data classes read them, and what our hosts make, alike.
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
from infra.local import event, queue_event, run_schedules
from layers.core.settings import settings
from tests.support.queues import channel
from tests.support.waiting import until

GOLDEN = Path(__file__).parents[2] / "data" / "golden"


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def shape(value: object) -> object:
    """The same with each leaf's type in its place; of a list the first."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in value.items()}
        case list():
            return [shape(inner) for inner in value[:1]]
        case _:
            return type(value).__name__


def rest_event() -> dict[str, Any]:
    sent = golden("rest_v1")
    return event.event_of(
        method=sent["httpMethod"],
        path=sent["path"],
        resource=sent["resource"],
        variables=sent["pathParameters"],
        query="limit=10&limit=20",
        headers=[*sent["headers"].items()],
        body=sent["body"].encode(),
        peer="192.0.2.1",
    )


def test_a_request_is_rest_v1s() -> None:
    made = rest_event()
    made["requestContext"]["identity"]["userAgent"] = "curl/8.5.0"

    assert shape(made) == shape(golden("rest_v1"))
    for each in (APIGatewayProxyEvent(made), APIGatewayProxyEvent(golden("rest_v1"))):
        assert (each.http_method, each.path, each.json_body) == ("POST", "/api/v1/posts/018f3a3e/like", {"x": 1})
        assert each.resolved_query_string_parameters == {"limit": ["10", "20"]}
        assert each.request_context.identity.source_ip == "192.0.2.1"


def test_a_batch_is_amazon_mqs() -> None:
    properties = pika.BasicProperties(
        content_type="application/json",
        headers={"x-trace-id": "head", "x-attempt": 10},
        delivery_mode=2,
        priority=34,
        expiration="60000",
        message_id="m-1",
        timestamp=2021,
    )
    delivery = queue_event.Delivery(tag=1, redelivered=False, properties=properties, body=b'{"x": 1}')
    made = queue_event.event_of("photo-uploaded", "/", [delivery])

    assert made["rmqMessagesByQueue"] == golden("aws_rmq")["rmqMessagesByQueue"]
    assert shape(made) == shape(golden("aws_rmq"))
    for each in (RabbitMQEvent(made), RabbitMQEvent(golden("aws_rmq"))):
        [[message]] = each.rmq_messages_by_queue.values()
        assert (each.event_source, message.json_data) == ("aws:rmq", {"x": 1})


@pytest.mark.parametrize("schedule", template_map.schedules(), ids=lambda schedule: schedule.function.name)
def test_a_schedule_is_eventbridges(schedule: template_map.Schedule) -> None:
    made = run_schedules.event_of(schedule.function, datetime(2026, 11, 23, 12, tzinfo=UTC))

    assert shape(made) == shape(golden("eventbridge"))
    for each in (EventBridgeEvent(made), EventBridgeEvent(golden("eventbridge"))):
        assert (each.source, each.detail_type, each.time) == ("aws.events", "Scheduled Event", "2026-11-23T12:00:00Z")


def test_minio_tells_of_an_object_as_s3_would() -> None:
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
            told = until(lambda: _told_of(opened, queue, key))
        finally:
            store.delete_object(Bucket=settings().s3_bucket, Key=key)
            store.close()

    assert shape(told) == shape(golden("minio"))
    for each, name, size in ((told, key, 3), (golden("minio"), "originals/2026/11/23/photo-0.jpg", 3)):
        [record] = S3Event(each).records
        assert (unquote_plus(record.s3.get_object.key), record.s3.get_object.size) == (name, size)
        assert record.s3.bucket.name == "instagram-media"


def _told_of(opened: Any, queue: str, key: str) -> dict[str, Any] | None:
    """The next notification, if it is of this object: others may arrive meanwhile."""
    _, _, body = opened.basic_get(queue, auto_ack=True)
    told: dict[str, Any] | None = json.loads(body) if body else None
    return told if told and told["Key"].endswith(key) else None
