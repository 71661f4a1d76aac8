"""How LocalStack is started."""

import subprocess
import sys

import psutil
import pytest

from infra.stack.profiles import profile
from tests.support import services
from tests.support.stack import ROOT


def test_it_listens_on_loopback_alone() -> None:
    port = profile("test").ports.localstack
    listening = {
        each.laddr.ip
        for each in psutil.net_connections("tcp")
        if each.laddr and each.status == "LISTEN" and each.laddr.port == port
    }

    assert listening == {"127.0.0.1"}


def _run(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments, "--profile", "test"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(600)
def test_hosts_that_reload_still_do_when_localstack_is_started_beside_them() -> None:
    _run("infra.stack", "up", "--reload")
    try:
        before = services.process("api")
        _run("infra.localstack", "up")

        assert services.process("api") == before
        assert "--reload" in before.cmdline()
    finally:
        _run("infra.stack", "up")
        _run("infra.localstack", "start")
    assert "--reload" not in services.process("api").cmdline()


def test_the_local_trigger_hosts_are_stopped() -> None:
    assert {"localstack", "invoker", "api"} <= services.running()
    assert "triggers" not in services.running()
