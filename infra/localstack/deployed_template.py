"""The copy of the template that LocalStack's community edition can deploy.

Two things are removed, which that edition does not have: RabbitMQ triggers, replaced by
`infra.localstack.invoke_from_queues`, and the WebSocket API, replaced by `infra.local.live`. The rest is unchanged.
"""

from collections.abc import Collection, Mapping
from typing import Any

from infra import package

_UNSUPPORTED = "AWS::ApiGatewayV2::"
_API_PLACEHOLDER = "local"


def copy_with(places: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, Any]:
    """The copy; `places` are the URLs of the zip files of functions and layers, by logical id."""
    copy = package.template_with(places)
    removed = {name for name, resource in copy["Resources"].items() if resource["Type"].startswith(_UNSUPPORTED)}
    copy["Globals"]["Function"]["Environment"]["Variables"]["LIVE_ENDPOINT_URL"] = settings["LIVE_ENDPOINT_URL"]
    for name in removed:
        del copy["Resources"][name]
    for resource in copy["Resources"].values():
        events = resource.get("Properties", {}).get("Events", {})
        for name in [name for name, event in events.items() if event["Type"] == "MQ"]:
            del events[name]
    copy["Resources"] = _replace_references(copy["Resources"], removed)
    return copy


def parameters(copy: Mapping[str, Any], settings: Mapping[str, str]) -> list[dict[str, str]]:
    """The settings as parameters: `DATABASE_URL: !Ref DatabaseUrl` means that DatabaseUrl gets DATABASE_URL's value."""
    variables = copy["Globals"]["Function"]["Environment"]["Variables"]
    return [
        {"ParameterKey": value["Ref"], "ParameterValue": settings[name]}
        for name, value in variables.items()
        if isinstance(value, dict) and "Ref" in value and name in settings
    ]


def _replace_references(part: Any, removed: Collection[str]) -> Any:
    """The same without references to removed resources in `!Sub`, which only permissions for the WebSocket API have."""
    match part:
        case dict():
            return {name: _replace_references(each, removed) for name, each in part.items()}
        case list():
            return [_replace_references(each, removed) for each in part]
        case str():
            for name in removed:
                part = part.replace(f"${{{name}}}", _API_PLACEHOLDER)
    return part
