"""Other rate limits than those of the test stack."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from layers.core import limits
from layers.core.settings import settings

NO_LIMIT: Final = 10**9
ACTIONS: Final = ("general", "login", "post_create", "like", "comment", "follow", "feed", "story_create")
"""The actions that are counted."""


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


def unlimited() -> str:
    """RATE_LIMITS with which requests are counted and none is refused, for a stack under load."""
    return json.dumps(dict.fromkeys(ACTIONS, (NO_LIMIT, 60)))
