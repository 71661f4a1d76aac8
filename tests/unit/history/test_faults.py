"""The order of the faults of the history checker."""

import itertools
import random
from collections import Counter
from contextlib import nullcontext

from tests.history import faults
from tests.history.faults import Fault

FAULTS = [
    *(Fault("kill", part, nullcontext, (0, 1)) for part in ("postgres", "valkey", "nginx")),
    *(Fault("hang", part, nullcontext, (1, 2)) for part in ("postgres", "valkey")),
]


def order(seed: int, number: int) -> list[tuple[str, float]]:
    made = itertools.islice(faults.in_turn(FAULTS, random.Random(seed)), number)
    return [(fault.name, seconds) for fault, seconds in made]


def test_the_order_and_the_lengths_follow_from_the_number() -> None:
    assert order(1, 40) == order(1, 40)
    assert order(1, 40) != order(2, 40)


def test_every_kind_comes_before_one_comes_again_and_so_does_every_part_of_a_kind() -> None:
    names = [name for name, _ in order(3, 12)]
    assert {name.split()[0] for name in names[:2]} == {"kill", "hang"}
    assert Counter(names) == {
        "kill postgres": 2,
        "kill valkey": 2,
        "kill nginx": 2,
        "hang postgres": 3,
        "hang valkey": 3,
    }


def test_a_fault_lasts_as_long_as_it_may() -> None:
    assert all(1 <= seconds <= 2 for name, seconds in order(4, 40) if name.startswith("hang"))
