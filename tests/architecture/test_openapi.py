"""functions/docs/openapi.json is generated from the code, and describes all that a caller must know."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from infra import template_map
from infra.openapi import document
from layers.core import limits

DOCUMENT: dict[str, Any] = json.loads(document.FILE.read_text())
OPERATIONS = [
    pytest.param(operation, id=f"{method.upper()} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]

each_operation = pytest.mark.parametrize("operation", OPERATIONS)


def _resolved(given: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for."""
    found = DOCUMENT if "$ref" in given else given
    for part in given.get("$ref", "#").split("/")[1:]:
        found = found[part]
    return found


def _schemas(within: Any, place: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of the document and where it stands."""
    if isinstance(within, list):
        for number, each in enumerate(within):
            if place.endswith("/anyOf"):
                yield f"{place}/{number}", each
            yield from _schemas(each, f"{place}/{number}")
    if not isinstance(within, dict):
        return
    for name, value in within.items():
        here = f"{place}/{name}"
        if name in ("schema", "items", "additionalProperties"):
            yield here, value
        if name == "properties" or here == "#/components/schemas":
            yield from ((f"{here}/{each}", schema) for each, schema in value.items())
        if name not in ("example", "examples"):
            yield from _schemas(value, here)


@pytest.mark.rule("R-OA1")
def test_the_file_is_what_the_code_says() -> None:
    assert document.serialize() == document.FILE.read_text(), "The API has changed: run `make openapi`"


@pytest.mark.rule("R-OA1")
def test_it_is_valid_openapi() -> None:
    errors = [
        f"{list(error.absolute_path)}: {error.message}" for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()
    ]

    assert DOCUMENT["openapi"].startswith("3.1.")
    assert errors == []


@pytest.mark.rule("R-OA1")
def test_it_has_the_routes_of_the_template_and_no_others() -> None:
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}

    assert described == {(route.method, route.path) for route in template_map.routes()}


def test_every_operation_has_an_id_of_its_own() -> None:
    ids = [operation["operationId"] for operations in DOCUMENT["paths"].values() for operation in operations.values()]

    assert len(set(ids)) == len(ids)
    assert {each for each in ids if not re.fullmatch("[a-z][A-Za-z]+", each)} == set()


@each_operation
def test_an_operation_describes_what_it_does_and_for_whom(operation: dict[str, Any]) -> None:
    assert operation["summary"].endswith(".")
    assert re.search(r"\bFor (everyone|signed-in users|verified|admins)", operation["description"])
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}


@each_operation
def test_an_operation_describes_its_answers(operation: dict[str, Any]) -> None:
    statuses = {HTTPStatus(int(status)) for status in operation["responses"]}
    needs_session = operation["security"] == [{"session": []}]

    assert sum(status.is_success for status in statuses) == 1
    assert (HTTPStatus.UNAUTHORIZED in statuses) >= needs_session
    for status, given in operation["responses"].items():
        response = _resolved(given)
        assert response["description"]
        [(media_type, content)] = response["content"].items()
        is_problem = _resolved(content["schema"])["title"] == "Problem"
        assert is_problem == (media_type == "application/problem+json")
        assert is_problem or HTTPStatus(int(status)) in (200, 201, 202, 503)
        for each in content.get("examples", {}).values():
            assert str(each["value"]["status"]) == status


@each_operation
def test_an_example_is_valid(operation: dict[str, Any]) -> None:
    for media_type in operation.get("requestBody", {}).get("content", {}).values():
        if "example" in media_type:
            schema = {**DOCUMENT, "$ref": media_type["schema"]["$ref"]}
            assert [error.message for error in Draft202012Validator(schema).iter_errors(media_type["example"])] == []


def test_no_schema_lacks_a_type() -> None:
    schemas = list(_schemas(DOCUMENT))
    without = [place for place, schema in schemas if not {"type", "enum", "$ref", "anyOf", "const"} & set(schema)]

    assert len(schemas) > 500
    assert without == []


def test_every_struct_has_a_name_of_its_own_and_a_text() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    assert {name: schema["title"] for name, schema in schemas.items()} == {name: name for name in schemas}
    assert [name for name, schema in schemas.items() if not schema.get("description")] == []


def test_fields_are_named_as_on_the_wire() -> None:
    names = {name for schema in DOCUMENT["components"]["schemas"].values() for name in schema.get("properties", {})}

    assert {"displayName", "nextCursor", "rssMB"} <= names
    assert {name for name in names if not re.fullmatch("[a-z][A-Za-z0-9]*", name)} == {"post_id"}


def test_an_answer_always_has_its_fields_but_those_that_may_be_left_out() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    assert set(schemas["Post"]["required"]) == set(schemas["Post"]["properties"])
    assert set(schemas["Feed"]["required"]) == {"posts", "nextCursor"}
    assert set(schemas["Problem"]["properties"]) - set(schemas["Problem"]["required"]) == {"errors", "queued"}


def test_the_limits_are_described() -> None:
    text = DOCUMENT["info"]["description"]

    for limit in (limits.LIKE, limits.FEED, limits.GENERAL):
        assert f"At most {limit.requests} " in text
    assert "{{" not in text


def test_an_alias_names_the_path_that_it_stands_for() -> None:
    aliases = [route for route in template_map.routes() if route.is_alias]

    assert aliases
    for alias in aliases:
        described = DOCUMENT["paths"][alias.path][alias.method.lower()]["description"]
        canonical = next(each for each in template_map.routes() if each.function == alias.function)
        assert described.startswith(f"An alias of `{canonical.method} {canonical.path}`")
