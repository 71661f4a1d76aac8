"""A session that has ended stays ended, whatever happens to the copies in Valkey."""

import httpx
import pytest

from tests.support import services
from tests.support.http import Caller, nginx_origin

INSTANCES = 3
TIMES = 4


@pytest.mark.rule("R-A3")
def test_a_logout_while_valkey_hangs_holds_on_every_instance_as_soon_as_valkey_goes_on() -> None:
    caller = Caller("leaver")
    cookie = {"cookie": f"session_id={caller.http.cookies['session_id']}"}
    first = int(nginx_origin().rpartition(":")[2]) + 1
    asked = [f"http://localhost:{first + number}/api/v1/auth/me" for number in range(INSTANCES)]
    assert [httpx.get(url, headers=cookie).status_code for url in asked] == [200] * INSTANCES

    with services.hang("valkey"):
        assert caller.http.post("/auth/logout").status_code == 200

    assert [httpx.get(url, headers=cookie).status_code for url in asked * TIMES] == [401] * INSTANCES * TIMES
