"""The copy of the template that LocalStack's community edition can deploy.

Two things are removed, which that edition does not have: RabbitMQ triggers, replaced by
`infra.localstack.invoke_from_queues`, and the WebSocket API, replaced by `infra.local.live`. Functions and API get
fixed names, so that they have the same addresses after each deployment. The rest is unchanged.
"""

import copy as copies
from collections.abc import Mapping
from typing import Any

from infra.localstack import cloud
from infra.template_map import FUNCTION

_API = "AWS::Serverless::Api"
_UNSUPPORTED = "AWS::ApiGatewayV2::"
_EXPLICIT_API = "Api"
_IMPLICIT_API = "ServerlessRestApi"
"""SAM adds this API to a template that declares none. It cannot have tags, so the copy declares one."""
_CUSTOM_ID = "_custom_id_"
"""The tag from which LocalStack takes the id of an API."""


def copy_of(template: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """The copy of a template that `infra.package.template_with` returned, for a stack with these settings."""
    copy: dict[str, Any] = copies.deepcopy(dict(template))
    resources = copy["Resources"]
    removed = {name for name, resource in resources.items() if resource["Type"].startswith(_UNSUPPORTED)}
    copy["Globals"]["Function"]["Environment"]["Variables"]["LIVE_ENDPOINT_URL"] = settings["LIVE_ENDPOINT_URL"]
    for name in removed:
        del resources[name]
    for logical_id, resource in resources.items():
        if resource["Type"] == FUNCTION:
            resource["Properties"]["FunctionName"] = cloud.function_name(logical_id)
        events = resource.get("Properties", {}).get("Events", {})
        for name in [name for name, event in events.items() if event["Type"] == "MQ"]:
            del events[name]
    if not any(resource["Type"] == _API for resource in resources.values()):
        _declare_api(resources)
    [api] = [resource for resource in resources.values() if resource["Type"] == _API]
    api["Properties"]["Tags"] = {**api["Properties"].get("Tags", {}), _CUSTOM_ID: cloud.API_ID}
    api["Properties"]["PropagateTags"] = True  # from the stage to the API
    replacements = {f"${{{name}}}": "local" for name in removed} | {f"${{{_IMPLICIT_API}}}": f"${{{_EXPLICIT_API}}}"}
    for section in ("Resources", "Outputs"):
        copy[section] = _replace(copy[section], replacements)
    return copy


def parameters(copy: Mapping[str, Any], settings: Mapping[str, str]) -> list[dict[str, str]]:
    """The settings as parameters: `DATABASE_URL: !Ref DatabaseUrl` means that DatabaseUrl gets DATABASE_URL's value."""
    variables = copy["Globals"]["Function"]["Environment"]["Variables"]
    return [
        {"ParameterKey": value["Ref"], "ParameterValue": settings[name]}
        for name, value in variables.items()
        if isinstance(value, dict) and "Ref" in value and name in settings
    ]


def _declare_api(resources: dict[str, Any]) -> None:
    """Declare the API that SAM would add, and let each route name it."""
    resources[_EXPLICIT_API] = {"Type": _API, "Properties": {"StageName": "Prod"}}
    for resource in resources.values():
        for event in resource["Properties"].get("Events", {}).values():
            if event["Type"] == "Api":
                event["Properties"]["RestApiId"] = {"Ref": _EXPLICIT_API}


def _replace(part: Any, replacements: Mapping[str, str]) -> Any:
    """The same with these texts in its strings replaced."""
    match part:
        case dict():
            return {name: _replace(each, replacements) for name, each in part.items()}
        case list():
            return [_replace(each, replacements) for each in part]
        case str():
            for text, other in replacements.items():
                part = part.replace(text, other)
    return part
