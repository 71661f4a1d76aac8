"""Writes that Valkey missed because it hung, or because a circuit breaker was open, are in every later answer."""

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


@pytest.mark.rule("R-DM1")
def test_messages_are_in_the_next_list_also_while_a_process_still_takes_valkey_for_unavailable() -> None:
    ada, grace = Caller("ada"), Caller("grace")
    opened = ada.http.post("/messages/conversations", json={"recipientId": grace.id}).json()
    talk = f"/messages/conversations/{opened['conversationId']}"
    sent: list[str] = []

    def say() -> None:
        sent.append(f"message {len(sent)}")
        assert ada.http.post(talk, json={"content": sent[-1]}).status_code == 201

    def check() -> None:
        heard = [message["content"] for message in grace.http.get(talk).json()["messages"]]
        assert heard == sent[::-1]

    say()
    check()
    for _ in range(3):
        with services.hang("valkey"):
            for _ in range(8):
                say()
        for _ in range(8):
            check()
            say()
        check()
