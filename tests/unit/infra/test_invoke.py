"""Running one function by hand: what is refused, and how clearly."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import invoke
from infra.local.invoke import Unusable

ROOT = Path(__file__).parents[3]


def _invoked(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.local.invoke", *words],
        check=False,
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
    )


def test_a_function_runs_with_its_sample() -> None:
    told = _invoked("health/get_health")
    log, _, result = told.stdout.partition("\n")

    assert told.returncode == 0, told.stderr
    assert json.loads(log)["function"] == "get_health"
    assert json.loads(result)["body"]["status"] == "ok"
    assert "health/get_health took" in told.stderr


def test_an_event_comes_from_standard_input() -> None:
    sample = json.loads((ROOT / "events/health/get_live.json").read_text())
    sample["headers"]["x-trace-id"] = "typed"
    told = _invoked("health/get_live", "-", given=json.dumps(sample))

    assert '"x-trace-id": "typed"' in told.stdout


@pytest.mark.parametrize("name", ["posts/like_post", "functions/posts/like_post.py"])
def test_a_function_is_found_by_name_or_file(name: str) -> None:
    assert invoke.function_named(name).logical_id == "LikePost"


@pytest.mark.parametrize("name", ["posts/like_pots", "like_post", "postslike_post"])
def test_near_names_are_suggested(name: str) -> None:
    with pytest.raises(Unusable, match=r"Did you mean .*posts/like_post"):
        invoke.function_named(name)


def test_without_near_names_all_are_listed() -> None:
    with pytest.raises(Unusable, match=r"There are: .*posts/like_post"):
        invoke.function_named("zzzzzzzz")


def test_what_is_no_event_is_said(tmp_path: Path) -> None:
    function = invoke.function_named("posts/like_post")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")

    for file, reason in {"none.json": "No such file", "broken.json": "is not JSON", "list.json": "JSON object"}.items():
        with pytest.raises(Unusable, match=reason):
            invoke.event_from(str(tmp_path / file), function)


def test_a_value_in_the_path_can_be_given() -> None:
    function = invoke.function_named("posts/like_post")
    event = invoke.moved(invoke.event_from(None, function), {"post_id": "x/y"})

    assert event["pathParameters"] == {"post_id": "x/y"}
    assert event["path"] == "/api/v1/posts/x%2Fy/like"
    assert event["requestContext"]["path"] == "/Prod/api/v1/posts/x%2Fy/like"
    with pytest.raises(Unusable, match="no user in its path"):
        invoke.moved(event, {"user": "ada"})


def test_misuse_ends_with_2_and_a_failing_function_with_1() -> None:
    assert _invoked("no/such").returncode == 2
    assert _invoked("users/copy_profile", "-", given="{}").returncode == 1
