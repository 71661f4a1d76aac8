"""What fires by itself: the queues and the schedules of the template."""

import contextlib
import threading
from collections.abc import Callable

from infra import template_map
from infra.environments import handlers
from infra.environments.child_process import ChildProcessEnvironment
from infra.environments.handlers import HandlerNotLoaded
from infra.events import recorded
from infra.local import consume_queues, reloading, run_schedules
from infra.local.process_lock import ProcessLock

_PAUSE_SECONDS = 0.02


def import_layers() -> None:
    """Import the handlers with all that they need, so that the next import of the handlers alone takes little time."""
    queues = [queue.function for queue in template_map.queues()]
    for function in [*queues, *(schedule.function for schedule in template_map.schedules())]:
        with contextlib.suppress(HandlerNotLoaded):  # its environment reports it
            handlers.load(function.handler)
        handlers.load_drivers(function.layers)


def run(schedules_lock: ProcessLock, is_ready: Callable[[], None] = lambda: None) -> None:
    """Consume every queue and fire the schedules until SIGTERM; running functions are finished first.

    The schedules wait for the lock: no function of a schedule runs twice at the same time.
    """
    queues = consume_queues.mappings(lambda function: ChildProcessEnvironment.started(function.handler))
    stopping = reloading.stop_event()
    timers = [run_schedules.Timer(schedule, stopping) for schedule in template_map.schedules()]
    is_ready()

    def fire_schedules() -> None:
        while not schedules_lock.acquire():
            if stopping.wait(_PAUSE_SECONDS):
                return
        run_schedules.run(timers, stopping)

    schedules = threading.Thread(target=fire_schedules)
    schedules.start()
    consume_queues.consume(queues, stopping)
    schedules.join()
    recorded.write_now()
