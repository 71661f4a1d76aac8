"""The template for LocalStack differs from template.yaml only in what its community edition does not support."""

from collections.abc import Sequence
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from infra import package, template_map
from infra.localstack import deployed_template
from infra.template_map import TEMPLATE

LIVE = "http://127.0.0.1:1"
ORIGINAL: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
PLACES = {
    name: f"s3://bucket/{name}.zip"
    for name in [*template_map.layer_folders(), *(each.logical_id for each in template_map.functions())]
}
COPY = deployed_template.copy_of(package.template_with(PLACES), {"LIVE_ENDPOINT_URL": LIVE})
FUNCTIONS = template_map.functions()
UNSUPPORTED = {name for name, each in ORIGINAL["Resources"].items() if each["Type"].startswith("AWS::ApiGatewayV2::")}


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
    paths: set[tuple[str, ...]] = {
        ("Globals", "Function", "Environment", "Variables", "LIVE_ENDPOINT_URL"),
        ("Resources", "Api"),
        ("Outputs", "ApiUrl", "Value", "Fn::Sub"),
    }
    for name, resource in ORIGINAL["Resources"].items():
        place = ("Resources", name)
        if name in UNSUPPORTED:
            paths.add(place)
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            paths |= {(*place, "Metadata"), (*place, "Properties", "ContentUri")}
        elif resource["Type"] == "AWS::Serverless::Function":
            paths |= {(*place, "Properties", "CodeUri"), (*place, "Properties", "FunctionName")}
            events = [(*place, "Properties", "Events", key) for key in resource["Properties"].get("Events", {})]
            paths |= {event for event in events if _at(ORIGINAL, event)["Type"] == "MQ"}
            paths |= {(*event, "Properties", "RestApiId") for event in events if _at(ORIGINAL, event)["Type"] == "Api"}
    return paths


def test_only_queues_and_live_connections_are_removed_and_only_names_are_added() -> None:
    differences = _differences(ORIGINAL, COPY)
    references = {place for place in differences if "Fn::Sub" in place and place[0] == "Resources"}

    assert differences - references == _expected()
    assert len(UNSUPPORTED) > 5
    for *place, _ in references:
        assert "${LiveApi}" in _at(ORIGINAL, place)["Fn::Sub"]
        assert _at(COPY, place)["Fn::Sub"] == _at(ORIGINAL, place)["Fn::Sub"].replace("${LiveApi}", "local")


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
    variables = ORIGINAL["Globals"]["Function"]["Environment"]["Variables"]
    settings = dict.fromkeys(variables, "value")

    given = deployed_template.parameters(COPY, settings)

    assert {each["ParameterKey"] for each in given} == set(ORIGINAL["Parameters"]) - {"BrokerArn", "BrokerSecretArn"}
    assert all(each["ParameterValue"] == "value" for each in given)


def test_functions_and_api_have_the_same_names_in_each_deployment() -> None:
    names = {
        each.logical_id: _at(COPY, ["Resources", each.logical_id, "Properties", "FunctionName"]) for each in FUNCTIONS
    }

    assert names == {logical_id: f"photogram-{logical_id}" for logical_id in names}
    assert _at(COPY, ["Resources", "Api", "Properties", "Tags"]) == {"_custom_id_": "photogram"}
    assert "${Api}" in _at(COPY, ["Outputs", "ApiUrl", "Value", "Fn::Sub"])
