"""GET /api/v1/openapi.json."""

import pytest

from functions.docs import get_openapi
from infra.openapi import document
from tests.support.calls import call
from tests.support.people import Person


@pytest.mark.rule("R-OA1")
def test_the_description_of_the_api_needs_no_session() -> None:
    answer = call(get_openapi)

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["openapi"] == document.document()["openapi"]
    assert "/api/v1/posts/{post_id}" in answer.json["paths"]


@pytest.mark.rule("R-OA1")
def test_a_session_does_not_change_the_description(ada: Person) -> None:
    assert call(get_openapi, session_id=ada.session_id).body == call(get_openapi).body == document.FILE.read_bytes()
