"""How much the object store holds."""

import time
from typing import Final

from layers.media import connection

_SECONDS: Final = 2


def stored_bytes(*, seconds: float = _SECONDS) -> int | None:
    """Bytes of all objects in the bucket; None when they cannot all be listed in that time.

    Raises `StoreUnavailable`.
    """
    ends_at = time.monotonic() + seconds
    total, after = 0, None
    while time.monotonic() < ends_at:
        listed = connection.listed(after=after)
        total += sum(listed.sizes)
        after = listed.last
        if after is None:
            return total
    return None
