"""`make invoke`: runs one function, and explains wrong arguments."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.invoke import events, hosts, names
from infra.invoke.hosts import Invoked
from infra.invoke.names import UsageError

ROOT = Path(__file__).parents[3]


def _invoke(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.invoke", *arguments],
        check=False,
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
    )


def test_a_function_runs_with_its_sample() -> None:
    done = _invoke("health/get_health")
    start, log, end, report = done.stderr.splitlines()[-4:]

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["body"]["status"] == "ok"
    assert start.startswith("START   health/get_health")
    assert json.loads(log)["function"] == "get_health"
    assert end == "END     health/get_health: 200"
    assert re.fullmatch(r"REPORT  duration [\d.]+ ms; cold, [\d.]+ ms to import; memory \d+ MB of 512 MB, .+", report)


def test_an_event_comes_from_standard_input() -> None:
    sample = json.loads((ROOT / "events/health/get_live.json").read_text())
    sample["headers"]["x-trace-id"] = "typed"
    done = _invoke("health/get_live", "-", stdin=json.dumps(sample))

    assert '"x-trace-id": "typed"' in done.stdout


@pytest.mark.parametrize("name", ["posts/like_post", "functions/posts/like_post.py"])
def test_a_function_is_found_by_name_or_file(name: str) -> None:
    assert names.find_function(name).logical_id == "LikePost"


@pytest.mark.parametrize("name", ["posts/like_pots", "like_post", "postslike_post"])
def test_similar_names_are_suggested(name: str) -> None:
    with pytest.raises(UsageError, match=r"Did you mean .*posts/like_post"):
        names.find_function(name)


def test_without_similar_names_all_are_listed() -> None:
    with pytest.raises(UsageError, match=r"Functions: .*posts/like_post"):
        names.find_function("zzzzzzzz")


def test_a_file_without_an_event_is_refused_with_the_reason(tmp_path: Path) -> None:
    function = names.find_function("posts/like_post")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")

    for file, reason in {"none.json": "No such file", "broken.json": "is not JSON", "list.json": "JSON object"}.items():
        with pytest.raises(UsageError, match=reason):
            events.read_event(str(tmp_path / file), function)


def test_a_variable_of_the_path_can_be_set() -> None:
    function = names.find_function("posts/like_post")
    event = events.with_path(events.read_event(None, function), {"post_id": "x/y"})

    assert event["pathParameters"] == {"post_id": "x/y"}
    assert event["path"] == "/api/v1/posts/x%2Fy/like"
    assert event["requestContext"]["path"] == "/Prod/api/v1/posts/x%2Fy/like"
    with pytest.raises(UsageError, match="has no variable user"):
        events.with_path(event, {"user": "ada"})


def test_the_exit_status_is_2_for_wrong_arguments_and_1_for_a_failing_function() -> None:
    unknown_route = {
        **json.loads((ROOT / "events/health/get_live.json").read_text()),
        "headers": {"origin": "http://x"},
    }
    unknown_route["httpMethod"] = unknown_route["requestContext"]["httpMethod"] = "POST"

    assert _invoke("no/such").returncode == 2
    assert _invoke("health/get_live", "--path", "post_id=1").returncode == 2
    assert _invoke("users/copy_profile", "--as", "ada").returncode == 2
    assert _invoke("users/copy_profile", "-", stdin="{}").returncode == 1
    assert _invoke("health/get_live", "-", stdin=json.dumps(unknown_route)).returncode == 1


@pytest.mark.parametrize(
    ("invoked", "status", "has_failed"),
    [
        ({"result": {"statusCode": 302}}, "302", False),
        ({"result": {"statusCode": 400}}, "400", True),
        ({"result": None}, "done", False),
        ({"result": {"batchItemFailures": [{"itemIdentifier": "1"}]}}, "failed", True),
        ({"result": {"batchItemFailures": []}}, "done", False),
        ({"failures": ("ValueError",)}, "failed", True),
        ({"error": "ValueError: no"}, "raised", True),
    ],
)
def test_an_invocation_fails_by_its_status_its_error_or_its_messages(
    invoked: dict[str, Any],
    status: str,
    has_failed: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    outcome = Invoked(duration_ms=1, init_ms=None, memory_mb=1, **invoked)

    assert (outcome.status, outcome.has_failed) == (status, has_failed)


def test_lambdas_own_lines_say_how_long_it_took_and_whether_it_was_cold() -> None:
    log = (
        "START RequestId: 1 Version: 7\n"
        '{"message":"message","queue":"q","outcome":"ValueError","duration_ms":1}\n'
        "END RequestId: 1\n"
        "REPORT RequestId: 1\tDuration: 12.34 ms\tBilled Duration: 60 ms\tMemory Size: 512 MB\t"
        "Max Memory Used: 61 MB\tInit Duration: 48.10 ms\n"
    )
    invoked, lines = hosts.read_lambda_log(log)

    assert invoked == {"failures": ("ValueError",), "duration_ms": 12.34, "init_ms": 48.1, "memory_mb": 61}
    assert lines == '{"message":"message","queue":"q","outcome":"ValueError","duration_ms":1}\n'
    assert hosts.read_lambda_log(log.replace("\tInit Duration: 48.10 ms", ""))[0]["init_ms"] is None
