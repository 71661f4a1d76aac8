"""The environments that are alive, over all functions: of too many the one that was idle longest ends."""

import threading

from localstack_process_executor.environment import Environment


class Fleet:
    """Knows which environment was used last."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._lock = threading.Lock()
        self._used: dict[Environment, None] = {}
        """The one that was used last at the end."""

    def use(self, environment: Environment) -> None:
        """This one is used now; room is made for it. All at work at once may be more than there may be idle."""
        with self._lock:
            self._used.pop(environment, None)
            self._used[environment] = None
            others = [each for each in self._used if each is not environment and each.is_running]
        too_many = len(others) + 1 - self._at_most
        for each in others:
            if too_many <= 0:
                return
            too_many -= each.stop_if_idle()

    def leave(self, environment: Environment) -> None:
        """This one is closed."""
        with self._lock:
            self._used.pop(environment, None)
