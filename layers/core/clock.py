"""Times in the format of the API: ISO 8601 in UTC with milliseconds and `Z`."""

from datetime import UTC, datetime

from layers.core.models import Time


def format_time(moment: datetime) -> Time:
    """A time with a time zone, in the format of the API."""
    return Time(moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def now() -> Time:
    """The current time."""
    return format_time(datetime.now(UTC))
