"""Accounts and profiles while PostgreSQL or Valkey is down."""

import pytest

from functions.auth import get_me
from functions.users import follow_user, get_profile
from tests.support.calls import call
from tests.support.people import Person
from tests.support.proxies import Proxies, stores_answer
from tests.support.waiting import until


@pytest.mark.rule("R-D1")
def test_without_the_database_me_and_profiles_answer_from_their_copies(
    ada: Person, grace: Person, proxies: Proxies
) -> None:
    me = call(get_me, session_id=ada.session_id)
    profile = call(get_profile, session_id=ada.session_id, path={"user": grace.username})
    assert (me.status, profile.status) == (200, 200)
    proxies.database.close()

    assert call(get_me, session_id=ada.session_id).json == me.json
    assert call(get_profile, session_id=ada.session_id, path={"user": grace.username}).json == profile.json


@pytest.mark.rule("R-D1")
def test_a_copy_that_could_not_be_stored_without_valkey_is_stored_when_it_is_back(
    ada: Person, proxies: Proxies
) -> None:
    proxies.valkey.close()
    assert call(get_me, session_id=ada.session_id).status == 200
    proxies.valkey.open()
    until(stores_answer)
    me = call(get_me, session_id=ada.session_id)
    proxies.database.close()

    assert (me.status, call(get_me, session_id=ada.session_id).json) == (200, me.json)


@pytest.mark.rule("R-D1")
def test_without_the_database_what_has_no_copy_and_what_writes_is_503(
    ada: Person, grace: Person, proxies: Proxies
) -> None:
    call(get_me, session_id=ada.session_id)
    call(get_profile, path={"user": grace.username})
    proxies.database.close()
    refused = [
        call(get_profile, session_id=ada.session_id, path={"user": grace.username}),  # the copy is for other viewers
        call(get_profile, session_id=ada.session_id, path={"user": ada.username}),
        call(follow_user, session_id=ada.session_id, path={"user": grace.id}),
    ]

    assert [reply.status for reply in refused] == [503] * 3
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)


@pytest.mark.rule("R-D1")
def test_without_valkey_me_and_profiles_come_from_the_rows(ada: Person, grace: Person, proxies: Proxies) -> None:
    proxies.valkey.close()

    assert call(get_me, session_id=ada.session_id).status == 200
    reply = call(get_profile, session_id=ada.session_id, path={"user": grace.username})
    assert reply.status == 200
    assert "ratelimit-limit" not in reply.headers
