"""The connection to Valkey: scripts, lost connections, rest."""

import time

import pytest
from hiredis import ReplyError

from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.valkey import admission, connection, fragments, timelines
from layers.valkey.connection import Script
from tests.support.proxies import Proxy
from tests.support.stores import valkey
from tests.support.waiting import LATE_SECONDS, until


def _answers() -> bool:
    try:
        timelines.push([], new_id())
    except StoreUnavailable:
        return False
    return True


def test_scripts_survive_their_removal_from_valkey() -> None:
    assert _answers()
    valkey().script_flush()

    assert _answers()


def test_a_connection_closed_while_idle_is_replaced_before_anything_is_sent() -> None:
    assert _answers()
    valkey().client_kill("{}:{}".format(*connection._local.connection.address))

    assert _answers()
    assert not connection.has_missed_writes()


def test_a_defect_in_a_script_is_not_an_unavailable_store() -> None:
    class Broken(Script):
        text = b"return redis.call('GET')"

    with pytest.raises(ReplyError):
        Broken()()

    assert _answers()


def test_while_it_is_down_calls_fail_at_once_and_it_is_tried_again_after_a_second(proxy: Proxy) -> None:
    proxy.close()
    assert not _answers()
    started = time.monotonic()
    for _ in range(100):
        assert not _answers()
    assert time.monotonic() - started < 0.5

    proxy.open()
    until(_answers, seconds=3)


@pytest.mark.rule("R-D2")
def test_a_valkey_that_hangs_is_given_up_after_half_a_second(proxy: Proxy) -> None:
    assert _answers()
    proxy.hang()
    started = time.monotonic()

    assert not _answers()
    assert time.monotonic() - started < 0.5 + LATE_SECONDS


def test_it_counts_as_down_until_the_revocations_were_applied(proxy: Proxy) -> None:
    assert _answers()
    assert not admission.needs_revocations()
    proxy.close()
    assert not _answers()
    assert not admission.needs_revocations()  # nothing to ask it while it rests
    proxy.open()
    until(_answers)

    assert admission.needs_revocations()
    admission.apply_revocations([])
    assert not admission.needs_revocations()


def test_keys_that_missed_a_write_are_removed_before_anything_else_is_asked(proxy: Proxy) -> None:
    viewer_id, post_id = new_id(), new_id()
    valkey().hset(b"saved:" + viewer_id.bytes, post_id.bytes, "0")
    proxy.close()
    assert not fragments.update_save(viewer_id, post_id, is_saved=True)
    proxy.open()
    until(_answers)

    assert not valkey().exists(b"saved:" + viewer_id.bytes)
