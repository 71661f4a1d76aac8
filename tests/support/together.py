"""Many calls at the same moment."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from layers.postgres import connection as postgres
from layers.rabbitmq import connection as rabbitmq
from layers.valkey import connection as valkey


def together[Given, Got](function: Callable[[Given], Got], given: Iterable[Given]) -> list[Got]:
    """The function's answer for each, all called at once, each on connections of its own."""
    several = list(given)
    start = threading.Barrier(len(several))

    def one(each: Given) -> Got:
        start.wait(timeout=10)
        try:
            return function(each)
        finally:
            for store in (postgres, valkey, rabbitmq):
                store.close()

    with ThreadPoolExecutor(len(several)) as pool:
        return list(pool.map(one, several))
