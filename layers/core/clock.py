"""Times as the contract writes them."""

from datetime import UTC, datetime

from layers.core.models import Time


def written(moment: datetime) -> Time:
    """ISO 8601 in UTC with milliseconds and `Z`."""
    return Time(moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def now() -> Time:
    """This moment."""
    return written(datetime.now(UTC))
