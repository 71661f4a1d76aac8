"""Functions in LocalStack: cold start and warm invocation of each, and requests per second through API Gateway, against
LocalStack's own overhead (a proxy route to a static answer), our Chalice host and `chalice local`.

python tests/bench/lambda_hosts.py [--rounds 3] [--seconds 4]

Needs the test stack, and starts LocalStack beside it. Cold is the time of the first invocation in a new environment,
its `init` the part that the import takes; warm is the median of ten. Sides of the second part take turns; `wrk` asks
over two connections.
"""

import argparse
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from infra import template_map  # noqa: E402
from infra.local.invoke import event_from  # noqa: E402
from infra.localstack import cloud, deploy, functions  # noqa: E402
from infra.stack.profiles import profile  # noqa: E402
from infra.template_map import Function  # noqa: E402
from tests.support.hosts import free_port, running  # noqa: E402
from tests.support.http import front_door  # noqa: E402
from tests.support.stack import load_environment  # noqa: E402

LOCALSTACK = [sys.executable, "-m", "infra.localstack", "--profile", "test"]
WARM = 10
PATH = "/api/health/live"
CONNECTIONS = 2
STATIC = "static"


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    given = parser.parse_args()
    load_environment()
    subprocess.run([*LOCALSTACK, "up"], cwd=ROOT, check=True)
    try:
        _functions()
        _hosts(given.rounds, given.seconds)
    finally:
        subprocess.run([*LOCALSTACK, "down"], cwd=ROOT, check=True)


def _functions() -> None:
    made = deploy.artifacts(profile("test").state / "localstack" / "artifacts")
    print(f"{'function':<32}{'cold ms':>9}{'init ms':>9}{'warm ms':>9}")
    rows = [(function.name, *_measured(function, made)) for function in template_map.functions()]
    for name, cold, init, warm in sorted(rows, key=lambda row: -row[1]):
        print(f"{name:<32}{cold:>9.0f}{init:>9.0f}{warm:>9.1f}")
    colds, inits, warms = ([row[column] for row in rows] for column in (1, 2, 3))
    print(
        f"{'median of ' + str(len(rows)):<32}{statistics.median(colds):>9.0f}{statistics.median(inits):>9.0f}"
        f"{statistics.median(warms):>9.1f}"
    )
    print(f"cold against warm: {statistics.median(colds) / statistics.median(warms):.0f}")


def _measured(function: Function, made: deploy.Artifacts) -> tuple[float, float, float]:
    """Cold, init and warm, in milliseconds."""
    event = event_from(None, function)
    names = {"FunctionName": cloud.function_name(function.logical_id)}
    lambdas = cloud.client("lambda")
    lambdas.update_function_code(**names, S3Bucket=deploy.BUCKET, S3Key=made.key(function.logical_id))  # ends its own
    lambdas.get_waiter("function_updated_v2").wait(**names, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    cold, log = _timed(function, event)
    init = re.search(r"Init Duration: ([\d.]+) ms", log)
    warm = statistics.median(_timed(function, event)[0] for _ in range(WARM))
    return cold, float(init[1]) if init else 0.0, warm


def _timed(function: Function, event: dict[str, Any]) -> tuple[float, str]:
    started = time.perf_counter()
    outcome = functions.invoke(function, event)
    return (time.perf_counter() - started) * 1000, outcome.log


def _hosts(rounds: int, seconds: int) -> None:
    with _chalice_local() as local, _proxy() as proxied:
        sides = {
            "LocalStack, proxy route to a static answer": proxied,
            "LocalStack, API Gateway to Lambda": cloud.api_url() + PATH,
            "Chalice host behind nginx": front_door() + PATH,
            "chalice local": local + PATH,
        }
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, url in sides.items():
                rates[name].append(_rate(url, seconds))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    static, lambdas, ours, chalice = medians.values()
    print(f"\n{'GET ' + PATH:<46}{'requests/s':>11}")
    for name, median in medians.items():
        print(f"{name:<46}{median:>11.0f}")
    print(f"API Gateway to Lambda against LocalStack's own overhead: {lambdas / static:.2f}")
    print(f"Chalice host against API Gateway to Lambda: {ours / lambdas:.0f}")
    print(f"API Gateway to Lambda against chalice local: {lambdas / chalice:.2f}")
    print(f"Chalice host against chalice local: {ours / chalice:.0f}")


def _rate(url: str, seconds: int) -> float:
    """Requests per second; anything but success ends the run."""
    told = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in told:
        sys.exit(f"{url}\n{told}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found, told
    return float(found[1])


@contextmanager
def _chalice_local() -> Iterator[str]:
    port = free_port()
    command = [
        *(str(Path(sys.executable).with_name("chalice")), "--project-dir", "infra/chalice"),
        *("local", "--port", str(port), "--no-autoreload"),
    ]
    with running(command, port=port, log_file=profile("test").state / "logs" / "bench-chalice-local.log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _proxy() -> Iterator[str]:
    """A REST API of LocalStack's with one route, an HTTP proxy to a file that nginx serves."""
    gateway = cloud.client("apigateway")
    api_id = gateway.create_rest_api(name="overhead")["id"]
    try:
        [root] = gateway.get_resources(restApiId=api_id)["items"]
        resource = gateway.create_resource(restApiId=api_id, parentId=root["id"], pathPart=STATIC)["id"]
        place = {"restApiId": api_id, "resourceId": resource, "httpMethod": "GET"}
        gateway.put_method(**place, authorizationType="NONE")
        gateway.put_integration(**place, type="HTTP_PROXY", integrationHttpMethod="GET", uri=f"{front_door()}/docs/")
        gateway.create_deployment(restApiId=api_id, stageName="Prod")
        yield f"{gateway.meta.endpoint_url}/_aws/execute-api/{api_id}/Prod/{STATIC}"
    finally:
        gateway.delete_rest_api(restApiId=api_id)


if __name__ == "__main__":
    main()
