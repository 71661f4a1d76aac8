"""Fixtures that every suite may use."""

import os
import secrets
from collections.abc import Iterator

import pytest

from infra.localstack import cloud
from layers.core.settings import SIGNING_KEY_CHARACTERS, SIGNING_KEYS
from tests.support.http import Caller
from tests.support.people import Person, new_person
from tests.support.stack import load_environment

pytest_plugins = ["tests.rule_marks"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Journeys can be made on either host."""
    parser.addoption("--host", choices=["local", "localstack"], default="local", help="where journeys are made")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Suites that need the stores get the test stack's settings; unit and architecture tests only keys to sign with."""
    if any({"integration", "e2e", "journeys", "localstack"} & set(item.path.parts) for item in items):
        load_environment()
    for name in SIGNING_KEYS:
        os.environ.setdefault(name.upper(), secrets.token_hex(SIGNING_KEY_CHARACTERS))
    if items and config.getoption("--host") == "localstack":
        os.environ["PHOTOGRAM_API"] = cloud.api_url()


@pytest.fixture(autouse=True)
def closed_connections() -> Iterator[None]:
    """The HTTP clients of a test are closed with it."""
    yield
    Caller.leave()


@pytest.fixture
def ada() -> Person:
    """A signed-in account."""
    return new_person("ada")


@pytest.fixture
def grace() -> Person:
    """Another signed-in account."""
    return new_person("grace")


@pytest.fixture
def admin() -> Person:
    """A signed-in admin."""
    return new_person("admin", role="admin")
