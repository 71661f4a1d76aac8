"""Fixtures that every suite may use."""

import pytest

from tests.support.people import Person, new_person
from tests.support.stack import load_environment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Suites that need the stores get the test stack's settings; unit and architecture tests run without any."""
    if any({"integration", "e2e"} & set(item.path.parts) for item in items):
        load_environment()


@pytest.fixture
def ada() -> Person:
    """Somebody."""
    return new_person("ada")


@pytest.fixture
def grace() -> Person:
    """Somebody else."""
    return new_person("grace")


@pytest.fixture
def admin() -> Person:
    """Somebody who may do more."""
    return new_person("admin", role="admin")
