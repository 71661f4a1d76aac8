"""The copy of the template that LocalStack's community edition can deploy.

It lacks what that edition has not: RabbitMQ triggers (the invoker stands in for them) and WebSocket APIs (the local
one does, which pushes for every function of the stack). All else is the template.
"""

from collections.abc import Collection, Mapping
from typing import Any

from infra import package

_UNKNOWN = "AWS::ApiGatewayV2::"
_MISSING_API = "local"


def copy_with(places: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, Any]:
    """The copy, with the code of its functions and layers at these places, by logical id."""
    copy = package.template_with(places)
    unknown = {name for name, resource in copy["Resources"].items() if resource["Type"].startswith(_UNKNOWN)}
    copy["Globals"]["Function"]["Environment"]["Variables"]["LIVE_ENDPOINT_URL"] = settings["LIVE_ENDPOINT_URL"]
    for name in unknown:
        del copy["Resources"][name]
    for resource in copy["Resources"].values():
        events = resource.get("Properties", {}).get("Events", {})
        for name in [name for name, event in events.items() if event["Type"] == "MQ"]:
            del events[name]
    copy["Resources"] = _without(copy["Resources"], unknown)
    return copy


def parameters(copy: Mapping[str, Any], settings: Mapping[str, str]) -> list[dict[str, str]]:
    """The stack's settings as the template's parameters: `DATABASE_URL: !Ref DatabaseUrl` gives DatabaseUrl its."""
    variables = copy["Globals"]["Function"]["Environment"]["Variables"]
    return [
        {"ParameterKey": value["Ref"], "ParameterValue": settings[name]}
        for name, value in variables.items()
        if isinstance(value, dict) and "Ref" in value and name in settings
    ]


def _without(part: Any, unknown: Collection[str]) -> Any:
    """The same, where `!Sub` names none of these resources any more: rights to call a missing API harm nobody."""
    match part:
        case dict():
            return {name: _without(each, unknown) for name, each in part.items()}
        case list():
            return [_without(each, unknown) for each in part]
        case str():
            for name in unknown:
                part = part.replace(f"${{{name}}}", _MISSING_API)
    return part
