"""How long property tests look: in CI for the same examples each time, in `make soak` for ten times as many others."""

import os

from hypothesis import HealthCheck, settings

_NAME = "PHOTOGRAM_EXAMPLES"
EXAMPLES = int(os.environ.get(_NAME, "60"))


def bounded(examples: int, *, steps: int = 50) -> settings:
    """Settings of a test that tries so many examples; a state machine takes so many steps in each."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=_NAME not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
