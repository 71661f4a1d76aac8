"""The triggers other than HTTP: the queue consumer and the schedule runner, in one process.

python -m infra.local.run_triggers [--reload]

Their functions have environments in child processes, which are forked before this process has threads and so share the
memory of what it has imported.
"""

import argparse
import functools

from infra.local import reloading
from infra.local.generations import Work
from infra.local.process_lock import ProcessLock


def main() -> None:
    """Consume every queue of the template and fire its schedules, until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.run_triggers", description=__doc__)
    parser.add_argument("--reload", action="store_true", help="run the current code after each edit")
    arguments = parser.parse_args()
    schedules_lock = ProcessLock()

    def import_code() -> Work:
        from infra.local import triggers  # noqa: PLC0415 (each process of the newest code imports it)

        if arguments.reload:
            triggers.import_layers()
        return functools.partial(triggers.run, schedules_lock)

    if arguments.reload:
        reloading.run(import_code, reloads=True)
    else:
        import_code()(lambda: None)


if __name__ == "__main__":
    main()
