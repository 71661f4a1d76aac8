"""A call to a store that was made together with the admission, before the function that needs its reply was called."""

from typing import Any, NamedTuple


class Prefetched(NamedTuple):
    """A call and its reply."""

    call: Any
    reply: Any
