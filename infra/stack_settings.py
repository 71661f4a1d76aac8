"""Gives a command that is run by hand the settings of a stack."""

import os

from infra.stack import environment
from infra.stack.profiles import Name, profile
from layers.core.settings import settings


class NotUp(Exception):
    """The stack has no settings yet."""


def use(name: Name) -> None:
    """Take the stack's settings, unless this process was started with some; raises `NotUp` before its first start."""
    if os.environ.get("DATABASE_URL"):
        return
    values = environment.read(profile(name))
    if not values:
        raise NotUp(f"The stack has never been up: python -m infra.stack up --profile {name}")
    os.environ.update(environment.of_functions(values))
    settings.cache_clear()
