"""The gateway against raw granian that answers the same bytes, beside `chalice local`.

python -m tests.bench.gateway [--rounds 5] [--seconds 2]

The route does nothing (`GET /api/health/live`), so that the ratio shows what the gateway adds: the REST event, Chalice,
the entry point and the log line. Each host is one process with one worker; hosts take turns, under wrk with four
connections. `chalice local` is a development server and no baseline: it is shown without an aim.
"""

import argparse
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psutil

from tests.bench.aims import Aim, report
from tests.bench.http_load import chalice_local, gateway, raw_granian, requests_per_second
from tests.support.stack import load_environment

_PATH: Final = "/api/health/live"
_CONNECTIONS: Final = 4

RATE: Final = Aim(name="requests per second, gateway / raw granian", at_least=0.2)
AIMS: Final = (RATE,)


def main() -> None:
    """Measure the hosts in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="how long wrk runs each time")
    arguments = parser.parse_args()
    load_environment()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served, port = stack.enter_context(gateway(folder))
        body = served.http.get(_PATH).content
        hosts = {
            "gateway": (served, port),
            "raw granian": stack.enter_context(raw_granian(folder, body)),
            "chalice local": stack.enter_context(chalice_local(folder)),
        }
        rates: dict[str, list[float]] = {name: [] for name in hosts}
        costs: dict[str, list[float]] = {name: [] for name in hosts}
        for _ in range(arguments.rounds):
            for name, (host, port) in hosts.items():
                process = psutil.Process(host.process.pid)
                used = sum(process.cpu_times()[:2])
                url = f"http://127.0.0.1:{port}{_PATH}"
                rate = requests_per_second(url, connections=_CONNECTIONS, seconds=arguments.seconds)
                rates[name].append(rate)
                costs[name].append((sum(process.cpu_times()[:2]) - used) / (rate * arguments.seconds))
    rate_of = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in costs.items():
        print(f"{name + ':':<15}{rate_of[name]:9,.0f} requests/s, {statistics.median(values) * 1e6:6.0f} us CPU each")
    print(f"gateway / chalice local: {rate_of['gateway'] / rate_of['chalice local']:.1f}")
    report("gateway", {RATE: rate_of["gateway"] / rate_of["raw granian"]})


if __name__ == "__main__":
    main()
