"""Limits the number of environments of one LocalStack."""

import threading

from .environment import Environment
from .sandbox import Function, Sandbox


class PoolExhausted(Exception):
    """The limit is reached, and every environment is in use."""


class Pool:
    """Starts environments. At the limit, it ends the one that has been idle longest."""

    def __init__(self, sandbox: Sandbox, limit: int) -> None:
        self._sandbox = sandbox
        self._limit = limit
        self._lock = threading.Lock()
        self._environments: list[Environment] = []

    def start(self, function: Function) -> Environment:
        """Start an environment, reserved for the caller and not yet initialised; raises `PoolExhausted`."""
        with self._lock:
            self._environments = [each for each in self._environments if not each.has_ended]
            if len(self._environments) >= self._limit:
                self._end_longest_idle()
            environment = Environment(function, self._sandbox)
            self._environments.append(environment)
            return environment

    def _end_longest_idle(self) -> None:
        for environment in sorted(self._environments, key=lambda each: each.idle_since):
            if environment.reserve():
                environment.stop()
                environment.release()
                self._environments.remove(environment)
                return
        raise PoolExhausted(f"All {self._limit} environments are in use.")
