"""The template for LocalStack differs from template.yaml only in what its community edition does not support."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from infra import package, template_map
from infra.localstack import deployed_template
from infra.template_map import TEMPLATE
from layers.core.settings import SECRETS, Settings

SETTINGS = {name.upper(): "http://127.0.0.1:1" for name in (*SECRETS, *Settings.__struct_fields__)}
ORIGINAL: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
PLACES = {
    name: f"s3://bucket/{name}.zip"
    for name in [*template_map.layer_folders(), *(each.logical_id for each in template_map.functions())]
}
COPY = deployed_template.copy_of(package.template_with(PLACES), SETTINGS)
FUNCTIONS = template_map.functions()
UNSUPPORTED = {
    name
    for name, each in ORIGINAL["Resources"].items()
    if each["Type"].startswith(("AWS::ApiGatewayV2::", "AWS::CloudWatch::", "AWS::WAFv2::"))
}
OF_STORES = [
    *(name for secret in SECRETS for name in (secret.upper(), f"{secret.upper()}_ARN")),
    *("LIVE_ENDPOINT_URL", "S3_ENDPOINT_URL", "S3_REGION", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"),
]
"""Variables with the address or a password of a store, which is the local one."""


def _differences(original: object, copy: object, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The paths at which the two differ."""
    if isinstance(original, list) and isinstance(copy, list) and len(original) == len(copy):
        original, copy = ({str(number): each for number, each in enumerate(every)} for every in (original, copy))
    if isinstance(original, dict) and isinstance(copy, dict):
        paths: set[tuple[str, ...]] = set()
        for name in original.keys() | copy.keys():
            paths |= _differences(original.get(name), copy.get(name), (*path, name))
        return paths
    return set() if original == copy else {path}


def _expected() -> set[tuple[str, ...]]:
    paths: set[tuple[str, ...]] = {("Globals", "Function", "Environment", "Variables", name) for name in OF_STORES}
    paths.add(("Parameters", "Architecture", "AllowedValues"))
    paths |= {("Resources", "Api"), ("Outputs", "ApiUrl", "Value", "Fn::Sub")}
    for name, resource in ORIGINAL["Resources"].items():
        place = ("Resources", name)
        if name in UNSUPPORTED:
            paths.add(place)
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            paths |= {(*place, "Metadata", "BuildMethod"), (*place, "Properties", "ContentUri")}
        elif resource["Type"] == "AWS::Serverless::Function":
            paths |= {(*place, "Metadata", "BuildMethod"), (*place, "Metadata", "ContextPath")}
            paths |= {(*place, "Properties", "CodeUri"), (*place, "Properties", "FunctionName")}
            events = [(*place, "Properties", "Events", key) for key in resource["Properties"].get("Events", {})]
            paths |= {event for event in events if _at(ORIGINAL, event)["Type"] == "MQ"}
            paths |= {(*event, "Properties", "RestApiId") for event in events if _at(ORIGINAL, event)["Type"] == "Api"}
    return paths


def test_only_what_is_unsupported_and_the_addresses_of_stores_differ_and_only_names_are_added() -> None:
    differences = _differences(ORIGINAL, COPY)
    references = {place for place in differences if "Fn::Sub" in place and place[1] != "ApiUrl"}

    assert differences - references == _expected()
    assert len(UNSUPPORTED) > 5
    for *place, _ in references:
        assert "${LiveApi}" in _at(ORIGINAL, place)["Fn::Sub"]
        assert _at(COPY, place)["Fn::Sub"] == re.sub(r"\$\{Live\w+\}", "local", _at(ORIGINAL, place)["Fn::Sub"])


def test_functions_get_passwords_in_variables() -> None:
    variables = COPY["Globals"]["Function"]["Environment"]["Variables"]

    assert {name: variables[name.upper()] for name in SECRETS} == dict.fromkeys(SECRETS, "http://127.0.0.1:1")
    assert "SecretArn" not in json.dumps(COPY["Globals"])


def _at(template: Any, place: Sequence[str]) -> Any:
    for name in place:
        template = template[int(name) if isinstance(template, list) else name]
    return template


@pytest.mark.parametrize("kind", ["Api", "Schedule"])
def test_every_route_and_schedule_is_in_the_copy(kind: str) -> None:
    def triggers(template: dict[str, Any]) -> set[tuple[str, str]]:
        return {
            (name, key)
            for name, resource in template["Resources"].items()
            for key, event in resource.get("Properties", {}).get("Events", {}).items()
            if event["Type"] == kind
        }

    assert triggers(COPY) == triggers(ORIGINAL)
    assert triggers(COPY)


def test_each_setting_of_the_stack_becomes_a_parameter() -> None:
    given = {each["ParameterKey"]: each["ParameterValue"] for each in deployed_template.parameters(COPY, SETTINGS)}
    variables = COPY["Globals"]["Function"]["Environment"]["Variables"].values()

    assert {each["Ref"] for each in variables if isinstance(each, dict) and "Ref" in each} <= set(given)
    assert {name for name, each in ORIGINAL["Parameters"].items() if "Default" not in each} <= set(given)
    assert given["S3Bucket"] == given["AllowedOrigins"] == "http://127.0.0.1:1"


def test_functions_and_api_have_the_same_names_in_each_deployment() -> None:
    names = {
        each.logical_id: _at(COPY, ["Resources", each.logical_id, "Properties", "FunctionName"]) for each in FUNCTIONS
    }

    assert names == {logical_id: f"photogram-{logical_id}" for logical_id in names}
    assert _at(COPY, ["Resources", "Api", "Properties", "Tags"]) == {"_custom_id_": "photogram"}
    assert "${Api}" in _at(COPY, ["Outputs", "ApiUrl", "Value", "Fn::Sub"])
