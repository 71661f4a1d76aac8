"""Other rate limits than those of the test stack."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from layers.core import limits
from layers.core.settings import settings


@contextmanager
def set_limits(**given: tuple[int, int]) -> Iterator[None]:
    """Set limits of this process: action to requests and seconds; others have their defaults."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RATE_LIMITS", json.dumps(given))
        _read_again()
        yield
    _read_again()


def _read_again() -> None:
    settings.cache_clear()
    limits._configured.cache_clear()
