"""Every sample works in LocalStack too: `make invoke … HOST=localstack`."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from infra import demo, template_map
from infra.invoke.hosts import LocalStackHost
from infra.template_map import Function
from tests.support.commands import invoke_commands, run
from tests.support.http import nginx_origin
from tests.support.queues import count_ready
from tests.support.samples import invoke_sample, restore_demo
from tests.support.stack import ROOT


@pytest.fixture(scope="module", autouse=True)
def whole_demo() -> Iterator[None]:
    """The demo, which is restored at the end."""
    demo.create(nginx_origin())
    yield
    restore_demo()


@pytest.mark.parametrize("function", template_map.functions(), ids=lambda function: function.name)
def test_a_sample_succeeds(function: Function) -> None:
    invoked = invoke_sample(LocalStackHost(function), function)

    assert not invoked.has_failed, invoked
    assert invoked.memory_mb > 0


@pytest.mark.parametrize("command", invoke_commands(in_localstack=True))
def test_a_command_of_the_documents_succeeds(command: str) -> None:
    done = run(command)

    assert done.returncode == 0, done.stderr


def test_a_message_that_fails_is_shown_and_not_published() -> None:
    sample = (ROOT / "events/users/copy_profile.json").read_text()
    failing = sample.replace(sample.partition('"data": "')[2].partition('"')[0], "e30=")
    before = count_ready("profile-updated.wait-1000"), count_ready("profile-updated.dead")
    done = subprocess.run(
        [sys.executable, "-m", "infra.invoke", "users/copy_profile", "-", "--host", "localstack", "--profile", "test"],
        cwd=ROOT,
        input=failing,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1, done.stderr
    assert '"queue":"profile-updated.wait-1000"' in done.stderr
    assert "END     users/copy_profile: failed" in done.stderr
    assert (count_ready("profile-updated.wait-1000"), count_ready("profile-updated.dead")) == before
