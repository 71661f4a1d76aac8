"""What the three API instances have in common."""

import pytest

from infra.stack.profiles import profile
from layers.postgres import users
from layers.postgres.connection import transaction
from tests.support.http import PASSWORD, Caller

INSTANCES = [f"http://localhost:{port}/api/v1" for port in profile("test").ports.api]


def _statuses(caller: Caller) -> list[int]:
    """What each instance answers to the caller's cookie, for a list that needs no more than a session."""
    return [caller.http.get(f"{instance}/users/me/saved").status_code for instance in INSTANCES]


@pytest.mark.rule("R-A3")
@pytest.mark.parametrize("instance", range(len(INSTANCES)))
def test_logout_on_one_instance_ends_the_session_on_all(instance: int) -> None:
    ada = Caller("ada")
    session_id = ada.http.cookies["session_id"]
    assert _statuses(ada) == [200, 200, 200]
    assert ada.http.post(f"{INSTANCES[instance]}/auth/logout").status_code == 200
    ada.http.cookies.set("session_id", session_id)

    assert _statuses(ada) == [401, 401, 401]


@pytest.mark.rule("R-A3")
@pytest.mark.parametrize("instance", range(len(INSTANCES)))
def test_a_ban_on_one_instance_ends_the_sessions_on_all(instance: int) -> None:
    ada, admin = Caller("ada"), Caller("admin")
    with transaction() as db:
        users.grant(db, username=admin.username, role="admin")
    admin.http.post("/auth/login", json={"username": admin.username, "password": PASSWORD}).raise_for_status()
    assert _statuses(ada) == [200, 200, 200]
    assert admin.http.delete(f"{INSTANCES[instance]}/admin/users/{ada.id}").status_code == 200

    assert _statuses(ada) == [401, 401, 401]
