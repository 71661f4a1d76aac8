"""Dead letters are listed, shown, replayed and discarded, and none is lost by that."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from infra import dead_letters
from infra.dead_letters import DeadLetter
from infra.environments.child_process import ChildProcessEnvironment
from infra.local.consume_queues import Poller, Source
from layers.core.errors import StoreUnavailable
from layers.core.events import PostPublished
from layers.core.settings import settings
from layers.rabbitmq import connection, retries
from layers.rabbitmq.messages import QueueMessage
from tests.support.feed_posts import feed_ids, publish_post
from tests.support.people import Person, follow
from tests.support.proxies import proxy_to
from tests.support.queues import channel, count_ready, take
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]


def fail(queue: str, body: object, *, message_id: str | None = None, trace_id: str = "trace-1") -> None:
    """Make a dead letter, as the entry point does after the last attempt."""
    headers = {"x-attempt": 3, "x-outage": 2, "x-trace-id": trace_id, "other": 7}
    properties = {"messageId": message_id, "contentType": "application/json", "headers": headers}
    message = QueueMessage(queue=queue, body=msgspec.json.encode(body), properties=properties, redelivered=False)
    retries.publish_failed(message, RuntimeError(f"no luck\nwith {body}"))


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.dead_letters", *arguments]
    return subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment}
    )


def remaining(queue: str, count: int) -> list[DeadLetter]:
    """The dead letters, in their order, after RabbitMQ has returned this many: it does so soon after a command."""
    until(lambda: count_ready(f"{queue}.dead") == count)
    return list(dead_letters.read([queue]))


def bodies(letters: Sequence[DeadLetter]) -> list[object]:
    return [msgspec.json.decode(letter.message.body) for letter in letters]


def test_the_list_says_why_each_message_is_a_dead_letter(queue: str) -> None:
    fail(queue, "a", message_id="m-1")
    fail(queue, "b", trace_id="trace-2")
    done = run("list", "--queue", queue)

    first, first_error, second, second_error = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert first.startswith(f"m-1  queue {queue}  attempts 4  trace trace-1  age 0:00:0")
    assert first.endswith("  3 bytes")
    assert "trace trace-2" in second
    assert [first_error, second_error] == [f"  RuntimeError: no luck with {body}" for body in "ab"]


def test_a_list_without_letters_says_so(queue: str) -> None:
    assert run("list", "--queue", queue).stdout == "There are no dead letters.\n"


def test_without_a_queue_the_letters_of_all_queues_of_the_template_are_listed() -> None:
    fail("account-removed", "no account", message_id="m-of-test")
    fail("profile-updated", "no profile", message_id="m-of-test")
    try:
        listed = run("list").stdout
    finally:
        run("discard", "m-of-test")

    assert "m-of-test  queue account-removed" in listed
    assert "m-of-test  queue profile-updated" in listed
    assert "m-of-test" not in run("list").stdout


def test_reading_changes_neither_the_letters_nor_their_order_nor_their_ids(queue: str) -> None:
    """RabbitMQ 4 drops a message that was returned 20 times, unless its queue has another limit."""
    for body in "abc":
        fail(queue, body)
    ids = [letter.id for letter in remaining(queue, 3)]
    for _ in range(25):
        letters = remaining(queue, 3)
        assert bodies(letters) == ["a", "b", "c"]
        assert [letter.id for letter in letters] == ids

    assert len(set(ids)) == 3


def test_a_shown_letter_has_its_headers_and_its_body(queue: str) -> None:
    fail(queue, {"post": "ä"}, message_id="m-1")
    fail(queue, "another", message_id="m-2")
    done = run("show", "m-1", "--queue", queue)

    assert done.returncode == 0
    assert '\n{"post":"ä"}\n' in done.stdout
    assert "\n  other: 7\n" in done.stdout
    assert "another" not in done.stdout
    assert until(lambda: count_ready(f"{queue}.dead") == 2)


def test_a_replayed_letter_is_as_if_it_had_not_been_tried_and_others_stay(queue: str) -> None:
    for body in "abc":
        fail(queue, body, message_id=f"m-{body}")
    done = run("replay", "m-b", "--queue", queue)

    letter = take(queue)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Dead letters replayed: 1")
    assert done.stdout.startswith(f"replayed: m-b  queue {queue}  ")
    assert msgspec.json.decode(letter.body) == "b"
    assert letter.headers == {"x-trace-id": "trace-1", "other": 7}
    properties = letter.properties
    assert (properties.message_id, properties.content_type, properties.timestamp) == ("m-b", "application/json", None)
    assert properties.delivery_mode == 2
    assert count_ready(queue) == 0
    assert bodies(remaining(queue, 2)) == ["a", "c"]


def test_a_letter_that_fails_again_is_not_replayed_twice_by_one_command(queue: str) -> None:
    for body in "abc":
        fail(queue, body)
    for letter in dead_letters.replay([queue], dead_letters.ALL):
        fail(queue, f"{msgspec.json.decode(letter.message.body)} again")

    assert count_ready(queue) == 3
    assert bodies(remaining(queue, 3)) == ["a again", "b again", "c again"]


def test_a_post_whose_event_is_replayed_twice_is_in_the_feed_once(queue: str, ada: Person, grace: Person) -> None:
    """A command that ends between the publish and its acknowledgement leaves the letter, to be replayed again."""
    follow(ada, grace)
    assert feed_ids(ada) == []
    post_id = publish_post(grace)
    for _ in range(2):
        fail(queue, PostPublished(post_id=post_id, author_id=grace.id), message_id="m-1")
        assert run("replay", "all", "--queue", queue).returncode == 0
    assert count_ready(queue) == 2

    stopping = threading.Event()
    environment = ChildProcessEnvironment("functions.feed.fan_out_post.handler")
    poller = Poller(Source(function="fan_out_post", queue=queue, timeout_seconds=10), stopping, environment)
    poller.start()
    try:
        until(lambda: feed_ids(ada))
        until(lambda: count_ready(queue) == 0)
    finally:
        stopping.set()
        poller.join(timeout=20)

    assert feed_ids(ada) == [post_id]
    assert [count_ready(name) for name in (queue, f"{queue}.wait-1000", f"{queue}.dead")] == [0, 0, 0]


def test_a_replay_that_loses_rabbitmq_loses_no_letter(queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in "abc":
        fail(queue, body)
    connection.close()
    with proxy_to(settings().rabbitmq_url) as proxy:
        monkeypatch.setenv("RABBITMQ_URL", proxy.url)
        settings.cache_clear()
        letters = dead_letters.replay([queue], dead_letters.ALL)
        next(letters)
        proxy.close()
        with pytest.raises(StoreUnavailable):
            next(letters)
        monkeypatch.undo()
        settings.cache_clear()

    assert msgspec.json.decode(take(queue).body) == "a"
    assert count_ready(queue) == 0
    until(lambda: count_ready(f"{queue}.dead") >= 2)
    assert bodies(list(dead_letters.read([queue])))[-2:] == ["b", "c"]


def test_a_letter_whose_queue_is_gone_stays_a_dead_letter(queue: str) -> None:
    fail(queue, "a")
    with channel() as opened:
        opened.queue_delete(queue)
    done = run("replay", "all", "--queue", queue)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"RabbitMQ has no queue {queue}.\n")
    assert count_ready(f"{queue}.dead") == 1


def test_a_letter_is_discarded_by_its_id_and_all_by_the_word(queue: str) -> None:
    for body in "abc":
        fail(queue, body, message_id=f"m-{body}")

    assert run("discard", "m-b", "--queue", queue).returncode == 0
    assert bodies(remaining(queue, 2)) == ["a", "c"]
    assert run("discard", "all", "--queue", queue).stdout.splitlines()[-1] == "Dead letters discarded: 2"
    assert [count_ready(name) for name in (queue, f"{queue}.dead")] == [0, 0]


@pytest.mark.parametrize("command", ["show", "replay", "discard"])
def test_a_command_for_no_letter_changes_nothing(queue: str, command: str) -> None:
    fail(queue, "a", message_id="m-1")
    unnamed = run(command, "--queue", queue)
    unknown = run(command, "m-9", "--queue", queue)

    assert unnamed.returncode == 2
    assert "the following arguments are required: id" in unnamed.stderr
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (2, "", "There is no dead letter m-9.\n")
    assert bodies(remaining(queue, 1)) == ["a"]
    assert count_ready(queue) == 0


def test_a_message_that_rabbitmq_has_dead_lettered_has_its_reason_and_can_be_replayed(queue: str) -> None:
    with channel() as opened:
        opened.basic_publish("", queue, b"{}", mandatory=True)
    until(lambda: _is_dead_after_return(queue))
    done = run("list", "--queue", queue)

    assert "  age 0:00:0" in done.stdout
    assert done.stdout.endswith("\n  RabbitMQ dead-lettered the message: delivery_limit\n")
    assert run("replay", "all", "--queue", queue).returncode == 0
    assert take(queue).headers == {}


def _is_dead_after_return(queue: str) -> bool:
    """Take the message and return it, as RabbitMQ does when a consumer crashes; whether it is a dead letter now."""
    with channel() as opened:
        opened.basic_get(queue)
    return count_ready(f"{queue}.dead") == 1


@pytest.mark.parametrize("arguments", [("list",), ("show", "m-1"), ("replay", "all"), ("discard", "all")])
def test_without_rabbitmq_a_sentence_says_so(arguments: tuple[str, ...]) -> None:
    started = time.monotonic()
    done = run(*arguments, RABBITMQ_URL="amqp://guest:guest@127.0.0.1:9/%2F")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "RabbitMQ is not available. Run the command again when it is.\n"
    assert time.monotonic() - started < 10


def test_make_passes_what_to_do_with_which_letter(queue: str) -> None:
    def make(*variables: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "dlq", "PROFILE=test", f"QUEUE={queue}", *variables]
        return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)

    for body in "abc":
        fail(queue, body, message_id=f"m-{body}")

    assert [line.split()[0] for line in make().stdout.splitlines()[::2]] == ["m-a", "m-b", "m-c"]
    assert make("SHOW=m-a").stdout.rstrip().endswith('"a"')
    assert make("REPLAY=m-a").stdout.startswith("replayed: m-a ")
    assert make("DISCARD=m-b").stdout.startswith("discarded: m-b ")
    assert make("REPLAY=m-c", "DISCARD=m-c").returncode == 2
    assert make("DISCARD=").stdout.startswith("m-c ")
    assert make("REPLAY=all").stdout.startswith("replayed: m-c ")
    assert [msgspec.json.decode(take(queue).body) for _ in range(2)] == ["a", "c"]
