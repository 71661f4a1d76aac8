"""GET /api/v1/posts/filters/list: list the names of the filters, which clients apply when they show a picture."""

from layers.core.models import FILTERS, Filter, Shape
from layers.entrypoints.endpoint import endpoint


class Filters(Shape, frozen=True, kw_only=True):
    """All names, `none` first."""

    filters: tuple[Filter, ...] = FILTERS


@endpoint
def handler() -> Filters:
    return Filters()
