"""In LocalStack, with the deployed template: `make localstack PROFILE=test` first."""

from collections.abc import Iterator

import pytest

from tests.support.http import Caller


@pytest.fixture(autouse=True)
def closed_connections() -> Iterator[None]:
    """Whoever joined during a test leaves with it."""
    yield
    Caller.leave()
