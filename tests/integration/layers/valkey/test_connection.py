"""The connection to Valkey: scripts, lost connections, rest."""

import time

import pytest
from hiredis import ReplyError

from layers.core.ids import new_id
from layers.valkey import admission, connection, fragments
from layers.valkey.connection import Script
from tests.support.proxies import Proxy
from tests.support.stores import valkey, valkey_answers
from tests.support.waiting import LATE_SECONDS, until


def test_scripts_survive_their_removal_from_valkey() -> None:
    assert valkey_answers()
    valkey().script_flush()

    assert valkey_answers()


def test_a_connection_closed_while_idle_is_replaced_before_anything_is_sent() -> None:
    assert valkey_answers()
    valkey().client_kill("{}:{}".format(*connection._local.connection.address))

    assert valkey_answers()
    assert not connection.has_missed_writes()


def test_a_defect_in_a_script_is_not_an_unavailable_store() -> None:
    class Broken(Script):
        text = b"return redis.call('GET')"

    with pytest.raises(ReplyError):
        Broken()()

    assert valkey_answers()


def test_while_it_is_down_calls_fail_at_once_and_it_is_tried_again_after_a_second(proxy: Proxy) -> None:
    proxy.close()
    assert not valkey_answers()
    started = time.monotonic()
    for _ in range(100):
        assert not valkey_answers()
    assert time.monotonic() - started < 0.5

    proxy.open()
    until(valkey_answers, seconds=3)


@pytest.mark.rule("R-D2")
def test_a_valkey_that_hangs_is_given_up_after_half_a_second(proxy: Proxy) -> None:
    assert valkey_answers()
    proxy.hang()
    started = time.monotonic()

    assert not valkey_answers()
    assert time.monotonic() - started < 0.5 + LATE_SECONDS


def test_it_counts_as_down_until_the_revocations_were_applied(proxy: Proxy) -> None:
    assert valkey_answers()
    assert not admission.needs_revocations()
    proxy.close()
    assert not valkey_answers()
    assert not admission.needs_revocations()  # nothing to ask it while it rests
    proxy.open()
    until(valkey_answers)

    assert admission.needs_revocations()
    admission.apply_revocations([])
    assert not admission.needs_revocations()


def test_keys_that_missed_a_write_are_removed_before_anything_else_is_asked(proxy: Proxy) -> None:
    viewer_id, post_id = new_id(), new_id()
    valkey().hset(b"saved:" + viewer_id.bytes, post_id.bytes, "0")
    proxy.close()
    assert not fragments.update_save(viewer_id, post_id, is_saved=True)
    proxy.open()
    until(valkey_answers)

    assert not valkey().exists(b"saved:" + viewer_id.bytes)
