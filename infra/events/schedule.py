"""EventBridge's event for a schedule, and the times at which a schedule expression fires.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from croniter import croniter

from infra.events.account import ACCOUNT, REGION
from infra.template_map import Function

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_DAY_NUMBER = re.compile(r"(?<![#\d])[1-7](?!\d)")


def next_time(expression: str, moment: datetime) -> datetime:
    """The first time after `moment` at which a `rate(…)` or `cron(…)` expression fires.

    A rate fires at multiples of itself since 1970, so that a restart neither skips nor repeats a time. Raises
    `ValueError` for an expression that is invalid or not supported.
    """
    if rate := _RATE.fullmatch(expression):
        interval = timedelta(**{f"{rate[2]}s": int(rate[1])})
        if not interval:
            raise ValueError(f"{expression}: the value of a rate must be at least 1")
        epoch = datetime.fromtimestamp(0, UTC)
        return epoch + ((moment - epoch) // interval + 1) * interval
    if cron := _CRON.fullmatch(expression):
        minute, hour, day, month, weekday, year = cron.groups()
        if "?" not in (day, weekday):
            raise ValueError(f"{expression}: either the day of the month or the day of the week must be ?")
        if "W" in day or "L" in weekday:
            raise ValueError(f"{expression}: W, and L for a day of the week, are not supported")
        # In AWS, Sunday is 1 and the year is last. In croniter, Sunday is 0 and the year follows the seconds.
        weekday = _DAY_NUMBER.sub(lambda number: str(int(number[0]) - 1), weekday).replace("?", "*")
        fields = f"{minute} {hour} {day.replace('?', '*')} {month} {weekday} 0 {year}"
        following: datetime = croniter(fields, moment).get_next(datetime)
        return following
    raise ValueError(f"{expression}: must be rate(…) or cron(…)")


def build_event(function: Function, moment: datetime) -> dict[str, Any]:
    """The event that EventBridge sends to a scheduled function."""
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{function.logical_id}Due"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [rule],
        "detail": {},
    }
