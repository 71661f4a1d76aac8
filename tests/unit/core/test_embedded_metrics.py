"""Metrics on AWS: what functions count is written to the log in CloudWatch's embedded metric format."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from layers.core import embedded_metrics
from layers.core.embedded_metrics import Counter, Gauge, Histogram
from layers.core.settings import settings
from tests.support.stack import ROOT

HEALTH = """
import json, pathlib
from functions.health.get_health import handler
event = json.loads(pathlib.Path("events/health/get_health.json").read_text())
for _ in range(2):
    handler(event, None)
"""


@pytest.fixture(autouse=True)
def namespace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As the template sets it."""
    monkeypatch.setenv("METRICS_NAMESPACE", "Photogram")
    settings.cache_clear()
    yield
    settings.cache_clear()


def _embedded(text: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if "_aws" in line]


def test_one_line_has_all_that_was_counted_with_the_same_labels(capsys: pytest.CaptureFixture[str]) -> None:
    requests = Counter("requests", "Requests", ["route", "status"])
    seconds = Histogram("seconds", "Seconds", ["route", "status"])
    for took in (0.25, 0.5):
        requests.labels("/posts", "200").inc()
        seconds.labels("/posts", "200").observe(took)
    requests.labels("/posts", "404").inc(3)
    embedded_metrics.flush()

    found, missing = sorted(_embedded(capsys.readouterr().out), key=lambda line: line["status"])
    assert (found["route"], found["requests_total"], found["seconds"]) == ("/posts", [1, 1], [0.25, 0.5])
    assert (missing["route"], missing["requests_total"]) == ("/posts", [3])
    [described] = found["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == "Photogram"
    assert set(described["Dimensions"][0]) == {"route", "status"}
    assert {each["Name"]: each["Unit"] for each in described["Metrics"]} == {
        "requests_total": "Count",
        "seconds": "Seconds",
    }


def test_what_is_written_is_counted_from_zero_again(capsys: pytest.CaptureFixture[str]) -> None:
    Gauge("state", "State").set(2)
    Counter("nothing", "Nothing").inc(0)
    embedded_metrics.flush()
    embedded_metrics.flush()

    [line] = _embedded(capsys.readouterr().out)
    assert line["state"] == [2]
    assert "nothing_total" not in line


def test_more_than_a_hundred_times_are_all_written(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = Histogram("seconds", "Seconds")
    for number in range(250):
        seconds.observe(number)
    embedded_metrics.flush()

    written = [value for line in _embedded(capsys.readouterr().out) for value in line["seconds"]]
    assert sorted(written) == list(range(250))


@pytest.mark.parametrize(("given", "lines"), [("Photogram", 2), ("", 0)])
def test_a_function_on_lambda_writes_at_the_end_of_each_invocation(given: str, lines: int) -> None:
    variables = {"AWS_LAMBDA_FUNCTION_NAME": "GetHealth", "METRICS_NAMESPACE": given}
    done = subprocess.run(
        [sys.executable, "-c", HEALTH],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )

    written = [line for line in _embedded(done.stdout) if "instagram_http_requests_total" in line]
    assert len(written) == lines
    for line in written:
        assert line["instagram_http_requests_total"] == [1]
        assert len(line["instagram_http_request_duration_seconds"]) == 1
        assert (line["method"], line["route"], line["status_code"]) == ("GET", "/api/health", "200")
