"""The history checker: mixed actions over HTTP with a ledger, faults in every part meanwhile, and a check at the end.

python -m infra.stack.with_settings --profile test tests.history [--faults N] [--actions N] [--seed N] [--report FILE]

Exit status 1 after a loss or any other violation. It must be alone on the test stack.
"""

import argparse
import asyncio
import random
import secrets
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from infra.stack import env_file
from infra.stack.profiles import profile
from tests.history import faults
from tests.history.disks import own_disks
from tests.history.report import markdown
from tests.history.run import Report, Run
from tests.support.behind_proxies import behind_proxies, origin


def main() -> int:
    """0 if nothing was lost and nobody saw what they should not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=12)
    parser.add_argument("--actions", type=int, default=500)
    parser.add_argument("--accounts", type=int, default=24)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--report", type=Path, help="where to write the report")
    options = parser.parse_args()
    stack = profile("test")
    if urlsplit(env_file.read(stack)["VALKEY_URL"]).port != stack.ports.valkey:
        sys.exit("The test stack has other ports than PHOTOGRAM_STORE_PORTS says")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {options.seed}", flush=True)
    report = _run(options)
    text = markdown(report)
    print(text)
    if options.report:
        options.report.write_text(text)
    return 1 if report.ledger.violations else 0


def _run(options: argparse.Namespace) -> Report:
    chance = random.Random(options.seed)
    faults.undo_all()
    with own_disks() as folders, behind_proxies() as proxies:
        order = faults.in_turn(faults.catalogue(proxies, folders, chance), chance)
        faults.wait_for_all()
        run = Run(
            options.seed, fault_count=options.faults, action_count=options.actions, origin=origin(proxies["nginx"])
        )
        return asyncio.run(run.run(order, options.accounts))


if __name__ == "__main__":
    sys.exit(main())
