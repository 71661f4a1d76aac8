"""RabbitMQ's definitions are generated from the queues of template.yaml."""

import json
from typing import Any

import pytest

from infra.rabbitmq import definitions
from infra.rabbitmq.definitions import Account
from infra.template_map import queues
from layers.rabbitmq.messages import WAITS_MS


@pytest.fixture
def generated() -> dict[str, Any]:
    return definitions.definitions(["photo-uploaded", "post-published"], {})


def test_each_queue_has_wait_queues_and_a_dead_letter_queue(generated: dict[str, Any]) -> None:
    names = {queue["name"] for queue in generated["queues"]}
    assert names == {
        name + suffix
        for name in ("photo-uploaded", "post-published")
        for suffix in ("", ".dead", *(f".wait-{wait}" for wait in WAITS_MS))
    }
    assert {queue["arguments"]["x-queue-type"] for queue in generated["queues"]} == {"quorum"}


def test_a_wait_queue_returns_its_messages_to_the_queue_they_came_from(generated: dict[str, Any]) -> None:
    wait = next(queue for queue in generated["queues"] if queue["name"] == "post-published.wait-2000")
    assert wait["arguments"]["x-message-ttl"] == 2000
    assert wait["arguments"]["x-dead-letter-exchange"] == ""
    assert wait["arguments"]["x-dead-letter-routing-key"] == "post-published"


def test_a_message_whose_consumer_crashes_repeatedly_is_dead_lettered_without_loss(generated: dict[str, Any]) -> None:
    main = next(queue for queue in generated["queues"] if queue["name"] == "photo-uploaded")
    assert main["arguments"]["x-delivery-limit"] == 8
    assert main["arguments"]["x-dead-letter-strategy"] == "at-least-once"
    assert main["arguments"]["x-overflow"] == "reject-publish"  # the at-least-once strategy requires it
    bound = {(each["source"], each["routing_key"]): each["destination"] for each in generated["bindings"]}
    assert bound["dead-letters", main["arguments"]["x-dead-letter-routing-key"]] == "photo-uploaded.dead"


def test_dead_letters_can_be_read_any_number_of_times(generated: dict[str, Any]) -> None:
    dead = next(queue for queue in generated["queues"] if queue["name"] == "photo-uploaded.dead")
    assert dead["arguments"]["x-delivery-limit"] >= 1_000_000_000


def test_minios_notifications_reach_only_their_queue(generated: dict[str, Any]) -> None:
    assert [each["destination"] for each in generated["bindings"] if each["source"] == "photos"] == ["photo-uploaded"]


def test_the_same_input_gives_the_same_file_so_that_nothing_restarts() -> None:
    files = {definitions.dumps({"b", "a"}, {"u": Account("p", definitions.MESSAGES)}) for _ in range(2)}
    assert len(files) == 1
    assert set(json.loads(files.pop())) == {"vhosts", "users", "permissions", "exchanges", "queues", "bindings"}


def test_a_password_hash_is_rabbitmqs_salted_sha256() -> None:
    # The example of RabbitMQ's own documentation.
    salt = bytes.fromhex("908DC60A")
    assert definitions.password_hash("test12", salt=salt) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


def test_an_account_has_only_its_rights() -> None:
    accounts = {
        "reader": Account("p", definitions.MESSAGES),
        "boss": Account("q", definitions.EVERYTHING, is_admin=True),
    }
    generated = definitions.definitions([], accounts)

    assert {each["name"]: each["tags"] for each in generated["users"]} == {"reader": "", "boss": "administrator"}
    assert {each["user"]: each["configure"] for each in generated["permissions"]} == {"reader": "^$", "boss": ".*"}


def test_every_queue_of_the_template_is_defined() -> None:
    names = {queue.name for queue in queues()}
    generated = definitions.definitions(names, {})
    assert names <= {queue["name"] for queue in generated["queues"]}
