"""`make invoke`: runs one function, and explains wrong arguments."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra import invoke
from infra.invoke import UsageError

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
    log, _, result = done.stdout.partition("\n")

    assert done.returncode == 0, done.stderr
    assert json.loads(log)["function"] == "get_health"
    assert json.loads(result)["body"]["status"] == "ok"
    assert "health/get_health took" in done.stderr


def test_an_event_comes_from_standard_input() -> None:
    sample = json.loads((ROOT / "events/health/get_live.json").read_text())
    sample["headers"]["x-trace-id"] = "typed"
    done = _invoke("health/get_live", "-", stdin=json.dumps(sample))

    assert '"x-trace-id": "typed"' in done.stdout


@pytest.mark.parametrize("name", ["posts/like_post", "functions/posts/like_post.py"])
def test_a_function_is_found_by_name_or_file(name: str) -> None:
    assert invoke.find_function(name).logical_id == "LikePost"


@pytest.mark.parametrize("name", ["posts/like_pots", "like_post", "postslike_post"])
def test_similar_names_are_suggested(name: str) -> None:
    with pytest.raises(UsageError, match=r"Did you mean .*posts/like_post"):
        invoke.find_function(name)


def test_without_similar_names_all_are_listed() -> None:
    with pytest.raises(UsageError, match=r"Functions: .*posts/like_post"):
        invoke.find_function("zzzzzzzz")


def test_a_file_without_an_event_is_refused_with_the_reason(tmp_path: Path) -> None:
    function = invoke.find_function("posts/like_post")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")

    for file, reason in {"none.json": "No such file", "broken.json": "is not JSON", "list.json": "JSON object"}.items():
        with pytest.raises(UsageError, match=reason):
            invoke.read_event(str(tmp_path / file), function)


def test_a_variable_of_the_path_can_be_set() -> None:
    function = invoke.find_function("posts/like_post")
    event = invoke.with_path(invoke.read_event(None, function), {"post_id": "x/y"})

    assert event["pathParameters"] == {"post_id": "x/y"}
    assert event["path"] == "/api/v1/posts/x%2Fy/like"
    assert event["requestContext"]["path"] == "/Prod/api/v1/posts/x%2Fy/like"
    with pytest.raises(UsageError, match="has no variable user"):
        invoke.with_path(event, {"user": "ada"})


def test_the_exit_code_is_2_for_wrong_arguments_and_1_for_a_failing_function() -> None:
    assert _invoke("no/such").returncode == 2
    assert _invoke("users/copy_profile", "-", stdin="{}").returncode == 1
