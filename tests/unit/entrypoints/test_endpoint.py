"""HTTP entry points: what a signature asks for is what a handler gets."""

import base64
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
import pytest

from layers.core import errors
from layers.core.files import File, Files
from layers.core.models import Page, Shape, UserRef
from layers.entrypoints.health_probe import health_probe
from layers.entrypoints.request import Request
from layers.entrypoints.response import Accepted, Created
from tests.support.calls import Upload, multipart


class Body(Shape, frozen=True, kw_only=True):
    """A body."""

    display_name: Annotated[str, msgspec.Meta(max_length=5)]
    count: int = 1


def _event(**given: Any) -> dict[str, Any]:
    return {
        "httpMethod": "GET",
        "path": "/things/1",
        "resource": "/things/{thing_id}",
        "headers": {},
        "pathParameters": {},
        "requestContext": {"identity": {"sourceIp": "192.0.2.1"}},
        "body": None,
        "isBase64Encoded": False,
    } | given


def _answer(reply: dict[str, Any]) -> Any:
    return msgspec.json.decode(reply["body"])


def test_path_query_and_body_arrive_typed() -> None:
    given: dict[str, object] = {}

    @health_probe
    def handler(thing_id: UUID, user: UserRef, query: Page, body: Body) -> None:
        given.update(thing_id=thing_id, user=user, query=query, body=body)

    thing_id = uuid4()
    reply = handler(
        _event(
            pathParameters={"thing_id": str(thing_id), "user": "Ada_L"},
            multiValueQueryStringParameters={"limit": ["5", "7"], "unknown": ["x"]},
            body='{"displayName": "Ada", "role": "admin"}',
        ),
        None,
    )

    assert reply["statusCode"] == 200
    assert given == {"thing_id": thing_id, "user": "ada_l", "query": Page(limit=7), "body": Body(display_name="Ada")}


@pytest.mark.rule("R-V1")
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"pathParameters": {"thing_id": "1"}}, "thing_id"),
        ({"pathParameters": {"thing_id": uuid4().hex}}, "thing_id"),
        ({"multiValueQueryStringParameters": {"limit": ["0"]}}, "limit"),
        ({"multiValueQueryStringParameters": {"limit": ["-1"]}}, "limit"),
        ({"multiValueQueryStringParameters": {"limit": ["many"]}}, "limit"),
        ({"multiValueQueryStringParameters": {"limit": ["1.5"]}}, "limit"),
        ({"body": "{}"}, "displayName"),
        ({"body": '{"displayName": "longer"}'}, "displayName"),
        ({"body": '{"displayName": 5}'}, "displayName"),
        ({"body": '{"displayName": "x", "count": []}'}, "count"),
    ],
)
def test_what_is_wrong_is_400_and_named(change: dict[str, Any], field: str) -> None:
    @health_probe
    def handler(thing_id: UUID, query: Page, body: Body) -> None:
        raise AssertionError

    good = {"pathParameters": {"thing_id": str(uuid4())}, "body": '{"displayName": "x"}'}
    reply = handler(_event(**(good | change)), None)

    assert reply["statusCode"] == 400
    assert reply["headers"]["content-type"] == "application/problem+json"
    assert [error["field"] for error in _answer(reply)["errors"]] == [field]


class BodyForm(Body, frozen=True, kw_only=True):
    """The same as a form."""

    pictures: Annotated[tuple[File, ...], Files(names=("media",), at_most=2)] = ()


def test_a_body_is_read_as_a_form_or_as_json_whichever_was_sent() -> None:
    given: list[tuple[BodyForm | None, Body | None]] = []

    @health_probe
    def handler(form: BodyForm | None, body: Body | None) -> None:
        given.append((form, body))

    boundary, content = multipart([Upload(b"bytes")], {"displayName": "Ada"})
    as_form = {"content-type": f"multipart/form-data; boundary={boundary}"}
    handler(_event(headers=as_form, body=base64.b64encode(content).decode(), isBase64Encoded=True), None)
    handler(_event(body='{"displayName": "Ada", "files": [{"field": "f", "name": "n", "data": "AAAA"}]}'), None)

    form = BodyForm(display_name="Ada", pictures=(File(field="media", name="photo.jpg", data=b"bytes"),))
    assert given == [(form, None), (None, Body(display_name="Ada"))]


@pytest.mark.parametrize("returned", [Created({"a": 1}), Accepted({"a": 1})])
def test_the_return_value_decides_the_status(returned: object) -> None:
    @health_probe
    def handler() -> object:
        return returned

    reply = handler(_event(), None)

    assert reply["statusCode"] == (201 if isinstance(returned, Created) else 202)
    assert _answer(reply) == {"a": 1}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Invalid("x"), 400),
        (errors.WrongCredentials(), 401),
        (errors.AccountBanned(), 403),
        (errors.PostNotFound(), 404),
        (errors.AlreadyTaken(), 409),
        (errors.FileTooLarge(), 413),
        (errors.UnsupportedImage(), 415),
        (errors.ImageTooLarge(), 422),
        (errors.StoreUnavailable("database"), 503),
        (ZeroDivisionError("at 10.0.0.7 in SELECT secret"), 500),
    ],
)
def test_every_failure_is_a_problem_document(error: Exception, status: int) -> None:
    @health_probe
    def handler() -> None:
        raise error

    reply = handler(_event(), None)
    document = _answer(reply)

    assert reply["statusCode"] == document["status"] == status
    assert isinstance(document["error"], str)
    assert document["error"]
    assert "SELECT" not in reply["body"]
    assert reply["headers"]["cache-control"] == "no-store"


def test_an_unavailable_store_gives_retry_after_and_the_object_store_queued_false() -> None:
    @health_probe
    def handler() -> None:
        raise errors.StoreUnavailable("storage", retry_after=7)

    reply = handler(_event(), None)

    assert reply["headers"]["retry-after"] == "7"
    assert _answer(reply)["queued"] is False


def test_stored_media_keys_leave_signed_and_typed_text_leaves_as_typed() -> None:
    thing_id = uuid4()

    @health_probe
    def handler() -> object:
        return {"url": f"\x01processed/large/{thing_id}_1080.jpg", "typed": '\\u0001 "\\u0001x/' + str(thing_id)}

    answer = _answer(handler(_event(), None))

    assert answer["url"].startswith("http")
    assert answer["url"].endswith(f"/{thing_id}_1080.jpg")
    assert answer["typed"] == '\\u0001 "\\u0001x/' + str(thing_id)


def test_a_request_is_read_from_what_chalice_local_sends_too() -> None:
    event = {
        "requestContext": {"httpMethod": "POST", "resourcePath": "/things", "identity": {"sourceIp": "192.0.2.9"}},
        "headers": {"Cookie": "a=b; session_id=s-1; c=d"},
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "body": b'{"a": 1}',
    }
    request = Request(event)

    assert (request.method, request.route, request.address, request.session_id) == (
        "POST",
        "/things",
        "192.0.2.9",
        "s-1",
    )
    assert request.json_text == b'{"a": 1}'
