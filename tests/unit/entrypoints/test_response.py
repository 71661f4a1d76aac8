"""Answers and refusals."""

from http import HTTPStatus

import msgspec
import pytest

from layers.core import errors
from layers.entrypoints.response import (
    Accepted,
    Created,
    SignedIn,
    SignedOut,
    Unhealthy,
    describe_problem,
    status_of,
    unwrap,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Invalid.field("caption", "at most 2200 characters"), 400),
        (errors.SignInRequired(), 401),
        (errors.WrongCredentials(), 401),
        (errors.NotAllowed(), 403),
        (errors.AccountBanned(), 403),
        (errors.PostNotFound(), 404),
        (errors.UserNotFound(), 404),
        (errors.StoryNotFound(), 404),
        (errors.AlreadyTaken(), 409),
        (errors.TooLarge(), 413),
        (errors.FileTooLarge(), 413),
        (errors.UnsupportedImage(), 415),
        (errors.ImageTooLarge(), 422),
        (errors.UnreadableImage(), 422),
        (errors.TooMany("feed", retry_after=1), 429),
        (errors.StoreUnavailable("database"), 503),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_refusal_is_a_problem_document_with_a_text_for_a_person(error: Exception, status: int) -> None:
    said, body = describe_problem(error)
    document = msgspec.json.decode(body)

    assert (said, document["status"], document["title"]) == (status, status, HTTPStatus(status).phrase)
    assert document["error"] == document["detail"] == str(error)
    assert len(document["error"]) > 5


def test_a_field_error_names_the_field() -> None:
    _, body = describe_problem(errors.Invalid.field("caption", "at most 2200 characters"))

    assert msgspec.json.decode(body)["errors"] == [{"field": "caption", "detail": "at most 2200 characters"}]


def test_a_bad_picture_is_an_error_of_its_form_field() -> None:
    _, body = describe_problem(errors.UnsupportedImage("cat.gif: a GIF", file="media"))

    assert msgspec.json.decode(body)["errors"] == [{"field": "media", "detail": "cat.gif: a GIF"}]


@pytest.mark.parametrize(
    "error", [ValueError("SELECT password_hash"), KeyError("/srv"), errors.PhotogramError("secret")]
)
def test_an_unexpected_error_is_a_500_without_details(error: Exception) -> None:
    status, body = describe_problem(error)

    assert status is HTTPStatus.INTERNAL_SERVER_ERROR
    assert (
        msgspec.json.decode(body)["error"]
        == "The server failed unexpectedly. If it happens again, please report this answer's x-trace-id."
    )
    assert str(error).encode() not in body


def test_without_the_object_store_the_client_is_told_that_nothing_is_queued() -> None:
    assert msgspec.json.decode(describe_problem(errors.StoreUnavailable("storage"))[1])["queued"] is False
    assert "queued" not in msgspec.json.decode(describe_problem(errors.StoreUnavailable("database"))[1])


def test_a_subclass_needs_no_row_of_its_own() -> None:
    class CommentNotFound(errors.NotFound):
        """There is no such comment."""

    assert status_of(CommentNotFound()) is HTTPStatus.NOT_FOUND
    assert str(CommentNotFound()) == "There is no such comment."


@pytest.mark.parametrize(
    ("returned", "status"),
    [
        ({"a": 1}, 200),
        (Created({"a": 1}), 201),
        (Accepted({"a": 1}), 202),
        (SignedIn({"a": 1}, "id"), 200),
        (SignedIn(Created({"a": 1}), "id"), 201),
        (SignedOut({"a": 1}), 200),
        (Unhealthy({"a": 1}), 503),
    ],
)
def test_the_return_value_of_a_handler_decides_its_status(returned: object, status: int) -> None:
    assert unwrap(returned) == (status, {"a": 1})
