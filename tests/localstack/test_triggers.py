"""Triggers of functions in LocalStack besides the API: EventBridge's rules, and RabbitMQ through the invoker."""

import contextlib
import json
from collections.abc import Iterator
from uuid import UUID

import httpx
import psutil
import pytest

from infra import template_map
from infra.localstack import cloud, functions
from layers.core.limits import STORY_GRACE_SECONDS, STORY_SECONDS
from tests.pictures import phone_photo
from tests.support import services
from tests.support.http import Caller
from tests.support.stories import grow_older
from tests.support.waiting import until

CLEANUP = template_map.function("stories/delete_expired_stories")


@pytest.fixture
def every_minute() -> Iterator[None]:
    """A rule that fires the cleanup every minute; the template's rule fires every hour."""
    events = cloud.client("events")
    arn = cloud.client("lambda").get_function(FunctionName=cloud.function_name(CLEANUP.logical_id))
    events.put_rule(Name="sooner", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="sooner", Targets=[{"Id": "cleanup", "Arn": arn["Configuration"]["FunctionArn"]}])
    yield
    events.remove_targets(Rule="sooner", Ids=["cleanup"])
    events.delete_rule(Name="sooner")


def test_each_schedule_of_the_template_is_a_rule_with_its_function() -> None:
    events = cloud.client("events")
    rules = {rule["Name"]: rule for rule in events.list_rules()["Rules"] if rule["Name"].startswith(cloud.STACK)}
    found = {
        (rule["ScheduleExpression"], target["Arn"].rpartition(":")[2])
        for rule in rules.values()
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        if rule["State"] == "ENABLED"
    }

    assert found == {
        (schedule.expression, cloud.function_name(schedule.function.logical_id))
        for schedule in template_map.schedules()
    }


@pytest.mark.rule("R-S2")
def test_a_rule_fires_and_an_ended_story_is_cleared_away_with_its_files(every_minute: None) -> None:
    teller = Caller("teller")
    story = teller.http.post("/stories", files={"media": ("a.jpg", phone_photo(400, 300))}).json()["story"]
    assert httpx.get(story["mediaUrl"]).status_code == 200
    grow_older(UUID(story["id"]), seconds=STORY_SECONDS + STORY_GRACE_SECONDS + 1)

    until(
        lambda: httpx.get(story["mediaUrl"], headers={"cache-control": "no-cache"}).status_code == 404,
        seconds=100,
        every=2,
    )


def test_killing_the_invoker_loses_no_message() -> None:
    author = Caller("author")
    posts = [author.upload(phone_photo())["post_id"] for _ in range(2)]
    invoker = services.process("invoker")
    invoker.suspend()  # what the broker sends it from now on is delivered, and not processed
    posts += [author.upload(phone_photo())["post_id"] for _ in range(2)]
    invoker.kill()
    assert not all(author.published(post_id) for post_id in posts)

    until(lambda: all(author.published(post_id) for post_id in posts), seconds=60, every=1)


def test_no_more_environments_of_a_queue_work_than_the_template_declares() -> None:
    author = Caller("author")
    function = template_map.function("images/resize_photo")
    name = cloud.function_name(function.logical_id)
    before = _environments(name)
    posts = [author.upload(phone_photo())["post_id"] for _ in range(6)]

    until(lambda: all(author.published(post_id) for post_id in posts), seconds=60, every=0.05)
    worked = {pid for pid, seconds in _environments(name).items() if seconds > before.get(pid, 0)}
    assert 1 <= len(worked) <= function.environments


def _environments(name: str) -> dict[int, float]:
    """The processes that run this function, and the CPU time of each in seconds.

    One may be left, frozen, by an invocation whose invoker was killed: it uses no CPU time.
    """
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            runs_a_function = any("bootstrap.py" in word for word in process.cmdline())
            if runs_a_function and process.environ().get("AWS_LAMBDA_FUNCTION_NAME") == name:
                found[process.pid] = sum(process.cpu_times()[:2])
    return found


def test_a_function_that_cannot_read_its_message_fails() -> None:
    """The queue entry point publishes a failing message to a wait queue itself; only an unreadable one raises."""
    event = json.loads('{"eventSource": "aws:rmq", "rmqMessagesByQueue": {"q::/": [{"data": "e30="}]}}')
    outcome = functions.invoke(template_map.function("images/resize_photo"), event)

    assert outcome.error == "Unhandled"
