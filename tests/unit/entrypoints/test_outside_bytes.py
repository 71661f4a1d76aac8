"""Bytes from outside in every form: cursors, cookies and messages of live connections are read or refused."""

import base64
import re
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.live import receive
from layers.core import cursors, untrusted_json
from layers.core.errors import Invalid
from layers.entrypoints.request import SESSION_COOKIE, session_id_in
from layers.rabbitmq.messages import ATTEMPT_HEADER, QueueMessage
from layers.services import live_events

_VIEWER: Final = UUID(int=7)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="
_KEYS: Final = st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(max_size=20))
_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.rule("R-F6")
@given(
    st.text(max_size=400)
    | st.text(_LETTERS, max_size=400)
    | st.binary(max_size=300).map(lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode())
)
@example("A" * 100_000)
@example("\ud800")
def test_a_cursor_of_any_text_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        cursors.decode(cursor, "list", _VIEWER, tuple[int, str])


@pytest.mark.rule("R-F6")
@given(_KEYS, st.data())
def test_a_cursor_with_another_payload_or_a_part_of_one_is_refused(keys: tuple[int, str], data: st.DataObject) -> None:
    raw = base64.urlsafe_b64decode(cursors.encode("list", _VIEWER, keys) + "===")
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = data.draw(
        st.sampled_from([raw[:at], raw + b"\0", raw[:12] + msgspec.msgpack.encode((1, "other"))])
        | st.binary(min_size=1, max_size=1).map(lambda byte: raw[:at] + byte + raw[at + 1 :])
    )
    if changed != raw:
        with pytest.raises(Invalid):
            cursors.decode(base64.urlsafe_b64encode(changed).rstrip(b"=").decode(), "list", _VIEWER, tuple[int, str])


@given(st.text(max_size=300) | st.lists(st.text(max_size=9), max_size=20).map(f"{SESSION_COOKIE}=".join))
@example(f"{SESSION_COOKIE}=" * 10_000)
@example(";" * 100_000)
def test_a_cookie_of_any_text_has_a_value_of_its_own_or_none(cookie: str) -> None:
    found = session_id_in({"cookie": cookie})

    assert found is None or (found and f"{SESSION_COOKIE}={found}" in cookie and ";" not in found)


@given(st.text(st.characters(exclude_characters=";", exclude_categories=["Cs", "Z", "Cc"]), min_size=1), st.text())
def test_the_session_is_found_among_other_cookies(value: str, other: str) -> None:
    others = other.replace(SESSION_COOKIE, "").replace(";", "")

    assert session_id_in({"cookie": f"x={others}; {SESSION_COOKIE}={value}; y={others}"}) == value


@given(_JSON | st.text())
def test_an_event_id_of_any_text_is_read_or_refused(after: object) -> None:
    try:
        frame = untrusted_json.decode(msgspec.json.encode({"action": "resume", "after": after}), receive.Resume)
        found = live_events.parse_event_id(frame.after)
    except (msgspec.ValidationError, Invalid):
        return
    assert found is None or re.fullmatch(r"[0-9]+-[0-9]+", found)


@given(st.dictionaries(st.sampled_from([ATTEMPT_HEADER, "bytes"]) | st.text(), _JSON, max_size=3), _JSON)
@example({ATTEMPT_HEADER: {"bytes": 5}}, None)
@example({ATTEMPT_HEADER: {"bytes": ["x"]}}, None)
@example({ATTEMPT_HEADER: "²"}, None)
def test_headers_of_a_queue_of_any_form_are_read(headers: dict[str, Any], value: object) -> None:
    headers |= {"other": value}
    message = QueueMessage(queue="q", body=b"", properties={"headers": headers}, redelivered=False)

    assert 0 <= message.attempt < 10_000
    assert all(message.header(name) is None or isinstance(message.header(name), str) for name in headers)
