"""When schedules fire, and the event that they send."""

from datetime import UTC, datetime, timedelta

import pytest
from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent
from hypothesis import given
from hypothesis import strategies as st

from infra import template_map
from infra.events.schedule import build_event, next_time

FRIDAY = datetime(2026, 11, 20, 17, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(1 minute)", "2026-11-20T18:00"),
        ("rate(5 minutes)", "2026-11-20T18:00"),
        ("rate(1 hour)", "2026-11-20T18:00"),
        ("rate(1 day)", "2026-11-21T00:00"),
        ("cron(0/15 * * * ? *)", "2026-11-20T18:00"),
        ("cron(0 12 * * ? *)", "2026-11-21T12:00"),
        ("cron(15 10 ? * 6 *)", "2026-11-27T10:15"),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-20T18:00"),
        ("cron(0 9 ? * 1 *)", "2026-11-22T09:00"),
        ("cron(0 8 1 * ? *)", "2026-12-01T08:00"),
        ("cron(0 8 L * ? *)", "2026-11-30T08:00"),
        ("cron(0 9 ? * 2#1 *)", "2026-12-07T09:00"),
        ("cron(0 0 1 1 ? 2030)", "2030-01-01T00:00"),
    ],
)
def test_the_next_time_is_that_of_eventbridge(expression: str, expected: str) -> None:
    assert next_time(expression, FRIDAY) == datetime.fromisoformat(f"{expected}:00+00:00")


@pytest.mark.parametrize(
    "expression",
    ["", "rate(0 minutes)", "rate(1 week)", "cron(* * * *)", "cron(0 0 1 * MON *)", "cron(0 0 15W * ? *)", "each hour"],
)
def test_an_invalid_or_unsupported_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        next_time(expression, FRIDAY)


@given(
    moment=st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    minutes=st.integers(1, 600),
)
def test_a_rate_fires_in_equal_steps_that_a_restart_does_not_move(moment: datetime, minutes: int) -> None:
    every = timedelta(minutes=minutes)
    first = next_time(f"rate({minutes} minutes)", moment)

    assert moment < first <= moment + every
    assert next_time(f"rate({minutes} minutes)", first) == first + every
    assert next_time(f"rate({minutes} minutes)", first - timedelta(microseconds=1)) == first


def test_powertools_reads_the_event() -> None:
    function = template_map.function("stories/delete_expired_stories")
    event = EventBridgeEvent(build_event(function, FRIDAY))

    assert (event.source, event.detail_type, event.detail) == ("aws.events", "Scheduled Event", {})
    assert event.time == "2026-11-20T17:59:30Z"
    assert event.get_id != EventBridgeEvent(build_event(function, FRIDAY)).get_id
