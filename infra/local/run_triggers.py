"""The triggers other than HTTP: the queue consumer and the schedule runner, in one process.

python -m infra.local.run_triggers [--reload]

Their functions have environments in child processes, which are forked before this process has threads and so share the
memory of what it has imported.
"""

import argparse
import threading

from infra import template_map
from infra.environments.child_process import ChildProcessEnvironment
from infra.events import recorded
from infra.local import consume_queues, reloading, run_schedules


def main() -> None:
    """Consume every queue of the template and fire its schedules, until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.run_triggers", description=__doc__)
    parser.add_argument("--reload", action="store_true", help="restart when the code changes")
    arguments = parser.parse_args()
    queues = consume_queues.mappings(lambda function: ChildProcessEnvironment.started(function.handler))

    def work(stopping: threading.Event) -> None:
        timers = [run_schedules.Timer(schedule, stopping) for schedule in template_map.schedules()]
        schedules = threading.Thread(target=run_schedules.run, args=[timers, stopping])
        schedules.start()
        consume_queues.consume(queues, stopping)
        schedules.join()
        recorded.write_now()

    reloading.run("infra.local.run_triggers", work, reloads=arguments.reload)


if __name__ == "__main__":
    main()
