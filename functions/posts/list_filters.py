"""GET /api/v1/posts/filters/list: the names of the filters that clients know how to draw."""

from layers.core.endpoint import endpoint
from layers.core.models import FILTERS, Filter, Shape


class Filters(Shape, frozen=True, kw_only=True):
    """All of them, `none` first."""

    filters: tuple[Filter, ...] = FILTERS


@endpoint
def handler() -> Filters:
    return Filters()
