"""Requests as the three hosts hand them over."""

import base64
from typing import Any

import pytest

from layers.core.errors import Invalid, TooLarge
from layers.entrypoints.request import Request


def _request(**event: Any) -> Request:
    return Request({"requestContext": {"httpMethod": "POST", "resourcePath": "/things/{thing_id}"}, **event})


def test_route_and_method_are_read_from_the_context_where_chalice_local_leaves_them_out() -> None:
    bare = _request()
    full = Request({"httpMethod": "GET", "resource": "/r", "path": "/p", "requestContext": {}, "headers": None})

    assert (bare.method, bare.route, bare.path) == ("POST", "/things/{thing_id}", "/things/{thing_id}")
    assert (full.method, full.route, full.path) == ("GET", "/r", "/p")


@pytest.mark.parametrize(
    "event",
    [
        {"body": '{"a": "é"}'},
        {"body": '{"a": "é"}'.encode()},
        {"body": base64.b64encode('{"a": "é"}'.encode()).decode(), "isBase64Encoded": True},
    ],
    ids=["text", "bytes", "base64"],
)
def test_the_body_is_the_same_in_every_form_a_host_gives(event: dict[str, Any]) -> None:
    request = _request(**event)

    assert (request.json_text.decode(), request.content_length) == ('{"a": "é"}', 11)


@pytest.mark.parametrize("body", [None, "", "  \n", b""])
def test_an_empty_body_has_no_members(body: str | bytes | None) -> None:
    assert _request(body=body, headers={"Content-Type": "application/json"}).json_text == b""


def test_a_json_body_over_100_kib_is_too_large() -> None:
    fits = '{"a":"' + "x" * (100 * 1024 - 8) + '"}'
    assert len(_request(body=fits).json_text) == 100 * 1024

    with pytest.raises(TooLarge, match="100 KiB"):
        _ = _request(body=fits + " ").json_text


def test_url_encoded_forms_are_read() -> None:
    form = _request(headers={"Content-Type": "application/x-www-form-urlencoded"}, body="a=1&b=%C3%A9+x&c=&a=2")

    assert form.urlencoded == {"a": "2", "b": "é x", "c": ""}


def test_only_multipart_bodies_are_forms() -> None:
    with pytest.raises(Invalid, match="multipart/form-data"):
        _ = _request(headers={"content-type": "application/json"}, body="{}").form


@pytest.mark.parametrize(
    ("cookie", "session_id"),
    [
        ("session_id=abc", "abc"),
        ("a=b; session_id=abc; c=d", "abc"),
        ("session_id=a=b", "a=b"),
        ("session_id=", None),
        ("xsession_id=abc", None),
        ("", None),
    ],
)
def test_the_session_id_is_the_cookies_value(cookie: str, session_id: str | None) -> None:
    assert _request(headers={"Cookie": cookie}).session_id == session_id


@pytest.mark.rule("R-O2")
@pytest.mark.parametrize("given", ["abc", "x" * 128, "!~"])
def test_a_trace_id_of_visible_ascii_is_kept(given: str) -> None:
    assert _request(headers={"X-Trace-Id": given}).trace_id == given


@pytest.mark.rule("R-O2")
@pytest.mark.parametrize("given", ["", "a b", "é", "x" * 129, "a\n", "\t"])
def test_any_other_trace_id_is_replaced_once(given: str) -> None:
    request = _request(headers={"x-trace-id": given})

    assert request.trace_id != given
    assert request.trace_id == request.trace_id
    assert len(request.trace_id) == 36


def test_query_values_are_the_last_of_each() -> None:
    assert _request(multiValueQueryStringParameters={"limit": ["1", "2"]}).query == {"limit": "2"}
    assert _request(queryStringParameters={"limit": "3"}).query == {"limit": "3"}
    assert _request().query == {}


def test_the_address_is_the_one_that_nginx_reports() -> None:
    seen = Request(
        {
            "requestContext": {"httpMethod": "GET", "identity": {"sourceIp": "192.0.2.7"}},
            "headers": {"X-Forwarded-For": "203.0.113.9"},
        }
    )

    assert seen.address == "192.0.2.7"
    assert _request().address == "unknown"
