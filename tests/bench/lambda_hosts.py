"""Functions in LocalStack: cold starts, warm invocations, and requests per second through API Gateway.

python -m tests.bench.lambda_hosts [--rounds 3] [--seconds 4]

A cold start is the first invocation in a new environment, and `init` is the part of it that imports the function; a
warm invocation is the median of ten. Their baselines are the project's aims. So is that of 20 functions that 20 callers
call through the API: the requests per second are those of the second half of the time, when no environments need to be
started any more, and the CPU time of LocalStack's process for each is printed with them. The other requests are
compared with LocalStack's own overhead, a proxy route to a static file, and with the gateway behind nginx, whose own
baseline is raw granian with the same bytes; hosts take turns, under wrk with two connections.

Needs the hosts of the test stack; starts LocalStack and stops it afterwards.
"""

import argparse
import http.client
import itertools
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from infra import template_map
from infra.invoke.events import read_event
from infra.localstack import cloud, deploy, functions
from infra.localstack.deployment import Artifacts
from infra.stack.profiles import profile
from infra.template_map import Function
from tests.bench.aims import Aim, report
from tests.bench.http_load import raw_granian, requests_per_second
from tests.support import services
from tests.support.http import nginx_origin
from tests.support.stack import ROOT, load_environment

_LOCALSTACK: Final = [sys.executable, "-m", "infra.localstack", "--profile", "test"]
_WARM_INVOCATIONS: Final = 10
_PATH: Final = "/api/health/live"
_CONNECTIONS: Final = 2
_STATIC: Final = "static"

_CALLERS: Final = 20
_SETTLING_SECONDS: Final = 40
_OK: Final = 500
"""An answer with a status below this one came from the function."""

COLD: Final = Aim(name="cold start, median function / 200 ms", at_most=1)
WARM: Final = Aim(name="warm invocation, median function / 15 ms", at_most=1)
SETTLED: Final = Aim(name="requests per second, 20 functions 20 wide / 150", at_least=1)
LAMBDA: Final = Aim(name="requests per second, Lambda / LocalStack's proxy route", at_least=0.5)
GATEWAY: Final = Aim(name="requests per second, gateway and nginx / raw granian", at_least=0.1)
AIMS: Final = (COLD, WARM, SETTLED, LAMBDA, GATEWAY)


def main() -> None:
    """Start LocalStack, measure, print and stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="how long wrk runs each time")
    arguments = parser.parse_args()
    load_environment()
    subprocess.run([*_LOCALSTACK, "up"], cwd=ROOT, check=True)
    try:
        measured = _measure_functions() | _measure_many() | _measure_hosts(arguments.rounds, arguments.seconds)
    finally:
        subprocess.run([*_LOCALSTACK, "down"], cwd=ROOT, check=True)
    report("lambda_hosts", measured)


def _measure_functions() -> dict[Aim, float]:
    artifacts = deploy.build_artifacts(profile("test").state / "localstack" / "artifacts")
    print(f"{'function':<32}{'cold ms':>9}{'init ms':>9}{'warm ms':>9}")
    times = {function.name: _measure_function(function, artifacts) for function in template_map.functions()}
    cold, init, warm = (statistics.median(values) for values in zip(*times.values(), strict=True))
    rows = [*sorted(times.items(), key=lambda row: -row[1][0]), (f"median of {len(times)}", (cold, init, warm))]
    for name, row in rows:
        print(f"{name:<32}{row[0]:>9.0f}{row[1]:>9.0f}{row[2]:>9.1f}")
    return {COLD: cold / 200, WARM: warm / 15}


def _measure_function(function: Function, artifacts: Artifacts) -> tuple[float, float, float]:
    """Cold, init and warm, in milliseconds."""
    event = read_event(None, function)
    names = {"FunctionName": cloud.function_name(function.logical_id)}
    lambdas = cloud.client("lambda")
    # New code ends the function's environments.
    lambdas.update_function_code(**names, S3Bucket=deploy.BUCKET, S3Key=artifacts.key(function.logical_id))
    lambdas.get_waiter("function_updated_v2").wait(**names, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    cold, log = _invoke(function, event)
    init = re.search(r"Init Duration: ([\d.]+) ms", log)
    warm = statistics.median(_invoke(function, event)[0] for _ in range(_WARM_INVOCATIONS))
    return cold, float(init[1]) if init else 0.0, warm


def _invoke(function: Function, event: dict[str, Any]) -> tuple[float, str]:
    """The milliseconds that an invocation takes, and its log."""
    started = time.perf_counter()
    outcome = functions.invoke(function, event)
    return (time.perf_counter() - started) * 1000, outcome.log


def _measure_many() -> dict[Aim, float]:
    """20 functions, called by 20 callers in turn, each of which begins with another function."""
    routes = [route for route in template_map.routes() if route.method == "GET" and not route.is_alias][:_CALLERS]
    paths = [urlsplit(cloud.api_url()).path + read_event(None, route.function)["path"] for route in routes]
    localstack = services.process("localstack")
    began, answered = time.monotonic(), list[float]()
    failed = list[int]()

    def call(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", profile("test").ports.localstack, timeout=60)
        turns = itertools.count(first)
        while time.monotonic() - began < _SETTLING_SECONDS:
            connection.request("GET", paths[next(turns) % len(paths)])
            answer = connection.getresponse()
            answer.read()
            answered.append(time.monotonic() - began)
            if answer.status >= _OK:
                failed.append(answer.status)
        connection.close()

    cpu = sum(localstack.cpu_times()[:2])
    with ThreadPoolExecutor(_CALLERS) as threads:
        list(threads.map(call, range(_CALLERS)))
    milliseconds = (sum(localstack.cpu_times()[:2]) - cpu) * 1000 / len(answered)
    settled = [seconds for seconds in answered if seconds > _SETTLING_SECONDS / 2]
    rate = len(settled) / (_SETTLING_SECONDS / 2)
    print(
        f"\n{len(paths)} functions, {_CALLERS} callers: {rate:.0f} requests/s when settled, {milliseconds:.1f} ms of "
        f"LocalStack's CPU time for each, {len(failed)} failed"
    )
    return {SETTLED: rate / 150}


def _measure_hosts(rounds: int, seconds: int) -> dict[Aim, float]:
    body = httpx.get(nginx_origin() + _PATH).content
    with tempfile.TemporaryDirectory() as folder, raw_granian(Path(folder), body) as (_, port), _proxy_route() as proxy:
        urls = {
            "LocalStack, proxy route to a static file": proxy,
            "LocalStack, API Gateway to Lambda": cloud.api_url() + _PATH,
            "gateway behind nginx": nginx_origin() + _PATH,
            "raw granian": f"http://127.0.0.1:{port}{_PATH}",
        }
        rates: dict[str, list[float]] = {name: [] for name in urls}
        for _ in range(rounds):
            for name, url in urls.items():
                rates[name].append(requests_per_second(url, connections=_CONNECTIONS, seconds=seconds))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\n{'GET ' + _PATH:<46}{'requests/s':>11}")
    for name, median in medians.items():
        print(f"{name:<46}{median:>11.0f}")
    static, lambdas, gateway, raw = medians.values()
    print(f"gateway behind nginx / API Gateway to Lambda: {gateway / lambdas:.0f}")
    return {LAMBDA: lambdas / static, GATEWAY: gateway / raw}


@contextmanager
def _proxy_route() -> Iterator[str]:
    """The URL of a REST API in LocalStack with one route, an HTTP proxy to a file that nginx serves."""
    gateway = cloud.client("apigateway")
    api_id = gateway.create_rest_api(name="overhead")["id"]
    try:
        [root] = gateway.get_resources(restApiId=api_id)["items"]
        resource = gateway.create_resource(restApiId=api_id, parentId=root["id"], pathPart=_STATIC)["id"]
        method = {"restApiId": api_id, "resourceId": resource, "httpMethod": "GET"}
        gateway.put_method(**method, authorizationType="NONE")
        gateway.put_integration(**method, type="HTTP_PROXY", integrationHttpMethod="GET", uri=f"{nginx_origin()}/docs/")
        gateway.create_deployment(restApiId=api_id, stageName="Prod")
        yield f"{gateway.meta.endpoint_url}/_aws/execute-api/{api_id}/Prod/{_STATIC}"
    finally:
        gateway.delete_rest_api(restApiId=api_id)


if __name__ == "__main__":
    main()
