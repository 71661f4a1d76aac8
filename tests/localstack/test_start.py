"""How LocalStack is started."""

import psutil

from infra.stack.profiles import profile
from tests.support import services


def test_it_listens_on_loopback_alone() -> None:
    port = profile("test").ports.localstack
    listening = {
        each.laddr.ip
        for each in psutil.net_connections("tcp")
        if each.laddr and each.status == "LISTEN" and each.laddr.port == port
    }

    assert listening == {"127.0.0.1"}


def test_the_local_trigger_hosts_are_stopped() -> None:
    assert {"localstack", "invoker", "api"} <= services.running()
    assert "triggers" not in services.running()
