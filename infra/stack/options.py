"""The settings that a person may choose, for `make config`: defaults, and where a value comes from.

A value is looked for in the environment, then in the file `.env` of the clone, then here. `.env.example` describes all.
"""

import os
from pathlib import Path
from typing import Final, Literal

import msgspec

from layers.core import limits
from layers.core.settings import Settings

CLONE: Final = Path(__file__).parents[2]
FILE: Final = CLONE / ".env"
EXAMPLE: Final = CLONE / ".env.example"

type Source = Literal["environment", ".env", "default"]


class InvalidSetting(Exception):
    """A setting of the stack cannot be used; the message says which one and what to do."""


class Option(msgspec.Struct, frozen=True):
    """A setting."""

    name: str
    default: str
    """Empty if the program that reads it computes the default."""
    is_for_every_stack: bool = False
    """Whether the test stack too gets the value of `.env`."""


_STACK: Final = (
    Option("PHOTOGRAM_PORT", "3000", is_for_every_stack=True),
    Option("PHOTOGRAM_STORE_PORTS", "23000", is_for_every_stack=True),
    Option("PHOTOGRAM_ADDRESS", "127.0.0.1"),
    Option("PHOTOGRAM_HOST", ""),
    Option("PHOTOGRAM_TLS_CERTIFICATE", ""),
    Option("PHOTOGRAM_TLS_KEY", ""),
    Option("PHOTOGRAM_STORES_TLS", ""),
    Option("PHOTOGRAM_BACKUP", ""),
    Option("PHOTOGRAM_STATE", "", is_for_every_stack=True),
    Option("PHOTOGRAM_CACHE", "", is_for_every_stack=True),
    Option("PHOTOGRAM_DOCKER", ""),
    Option("PHOTOGRAM_READERS", ""),
    Option("PHOTOGRAM_WRITERS", ""),
    Option("PHOTOGRAM_HEAVY", "3"),
    Option("PHOTOGRAM_UPLOADS", "32"),
    Option("PHOTOGRAM_CONNECTIONS", "512"),
    Option("PHOTOGRAM_LAMBDAS", ""),
    Option("PHOTOGRAM_LOG_DAYS", "30"),
    Option("PHOTOGRAM_EVENTS", ""),
    Option("PHOTOGRAM_EVENTS_KB", "1024"),
    Option("PHOTOGRAM_EVENTS_DAYS", "7"),
)
OF_FUNCTIONS: Final = (
    *("ALLOWED_ORIGINS", "SECURE_COOKIES", "RATE_LIMITS", "SESSION_ABSOLUTE_DAYS", "MESSAGE_RETENTION_DAYS"),
    *("AUDIT_RETENTION_DAYS", "DELETED_POST_RETENTION_DAYS", "STAR_FOLLOWERS", "METRICS_NAMESPACE", "LOG_LEVEL"),
)
"""The settings of functions. The test stack has its own values of them."""


def _default_of_function(name: str) -> str:
    default = getattr(Settings(), name.lower())
    return str(default).lower() if isinstance(default, bool) else str(default)


OPTIONS: Final = {
    option.name: option for option in (*_STACK, *(Option(name, _default_of_function(name)) for name in OF_FUNCTIONS))
}
"""All settings by name, in the order of `.env.example`."""


def read_file() -> dict[str, str]:
    """The settings of `.env`; empty without the file. Raises `InvalidSetting` for a line that is none."""
    if not FILE.is_file():
        return {}
    values = {}
    for number, line in enumerate(FILE.read_text().splitlines(), 1):
        name, equals, value = line.strip().partition("=")
        if not name or name.startswith("#"):
            continue
        if name not in OPTIONS or not equals:
            raise InvalidSetting(f"{FILE}, line {number}: {name} is no setting. {EXAMPLE.name} describes all settings.")
        values[name] = value.strip().strip("'\"")
    return values


def value(name: str, *, is_test: bool = False) -> str:
    """The value of a setting; the test stack reads from `.env` only where its files and ports are."""
    return _find(name, is_test=is_test)[0]


def number(name: str, *, is_test: bool = False) -> int:
    """The value of a setting that is a number; 0 if it has none. Raises `InvalidSetting`."""
    text = value(name, is_test=is_test) or "0"
    if not text.isdecimal():
        raise InvalidSetting(f"{name} must be a number, not {text!r}")
    return int(text)


def source(name: str) -> Source:
    """Where the value comes from, for the stack of `make run`."""
    return _find(name, is_test=False)[1]


def for_functions() -> dict[str, str]:
    """The settings of functions that a person may choose; raises `InvalidSetting` for one that cannot be used."""
    values = {name: value(name) for name in OF_FUNCTIONS}
    for name, text in values.items():
        try:
            msgspec.convert({name.lower(): text} if text else {}, Settings, strict=False)
            if name == "RATE_LIMITS":
                limits.read_overrides(text)
        except ValueError as error:
            raise InvalidSetting(
                f"{name} cannot be {text!r}: {error}. {EXAMPLE.name} describes all settings."
            ) from None
    return values


def _find(name: str, *, is_test: bool) -> tuple[str, Source]:
    option = OPTIONS[name]
    if given := os.environ.get(name):
        return given, "environment"
    if (not is_test or option.is_for_every_stack) and (given := read_file().get(name)):
        return given, ".env"
    return option.default, "default"
