"""Reads template.yaml, the only list of what calls what."""

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
FUNCTION = "AWS::Serverless::Function"
LAYER = "AWS::Serverless::LayerVersion"
LIVE_ROUTE = "AWS::ApiGatewayV2::Route"


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One Lambda function."""

    logical_id: str
    name: str
    """As people call it: `posts/like_post`."""
    handler: str
    """As Python imports it: `functions.posts.like_post.handler`."""
    layers: tuple[str, ...]
    """Folders under `layers/`, in the order in which Lambda applies them."""
    timeout_seconds: int
    memory_mb: int
    is_heavy: bool
    events: Mapping[str, Mapping[str, Any]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP trigger; an alias answers like its function's other route."""

    method: str
    path: str
    function: Function
    is_alias: bool


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A RabbitMQ trigger: one event source mapping."""

    name: str
    function: Function
    batch_size: int
    window_seconds: float


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule: `rate(1 hour)` or `cron(…)`."""

    expression: str
    function: Function


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's tags as what they hold: `!Ref CoreLayer` is the text `CoreLayer`."""


def _tagged(loader: _Loader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]  # no third kind


_Loader.add_multi_constructor("!", _tagged)


@functools.cache
def template() -> Mapping[str, Any]:
    """The whole template."""
    parsed: Mapping[str, Any] = yaml.load(TEMPLATE.read_text(), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    return parsed


@functools.cache
def functions() -> tuple[Function, ...]:
    """Every function, in the template's order."""
    defaults = template()["Globals"]["Function"]
    return tuple(
        _function(logical_id, resource, defaults)
        for logical_id, resource in template()["Resources"].items()
        if resource["Type"] == FUNCTION
    )


def _function(logical_id: str, resource: Mapping[str, Any], defaults: Mapping[str, Any]) -> Function:
    properties = defaults | resource["Properties"]
    module = (properties["CodeUri"] + properties["Handler"]).removesuffix(".handler")
    return Function(
        logical_id=logical_id,
        name=module.removeprefix("functions/"),
        handler=f"{module}.handler".replace("/", "."),
        layers=tuple(layer.removesuffix("Layer").lower() for layer in properties["Layers"]),
        timeout_seconds=properties["Timeout"],
        memory_mb=properties["MemorySize"],
        is_heavy=resource.get("Metadata", {}).get("Photogram", {}).get("Heavy", False),
        events=properties.get("Events", {}),
    )


def function(name: str) -> Function:
    """The function of this name (`posts/like_post`); raises `KeyError`."""
    return {each.name: each for each in functions()}[name]


def _events(kind: str) -> Iterator[tuple[Function, str, Mapping[str, Any]]]:
    for each in functions():
        for event_name, event in each.events.items():
            if event["Type"] == kind:
                yield each, event_name, event["Properties"]


def routes() -> list[Route]:
    """Every HTTP trigger."""
    return [
        Route(method=event["Method"].upper(), path=event["Path"], function=of, is_alias=name.startswith("Alias"))
        for of, name, event in _events("Api")
    ]


def heavy_routes() -> list[tuple[str, str]]:
    """Method and path of the routes whose functions are heavy."""
    return [(route.method, route.path) for route in routes() if route.function.is_heavy]


def queues() -> list[Queue]:
    """Every RabbitMQ trigger."""
    return [
        Queue(
            name=name,
            function=of,
            batch_size=event.get("BatchSize", 100),
            window_seconds=event.get("MaximumBatchingWindowInSeconds", 0.5),
        )
        for of, _, event in _events("MQ")
        for name in event["Queues"]
    ]


def schedules() -> list[Schedule]:
    """Every schedule."""
    return [Schedule(expression=event["Schedule"], function=of) for of, _, event in _events("Schedule")]


def live_routes() -> dict[str, Function]:
    """Every route of the WebSocket API: its key (`$connect`) to the function behind its integration."""
    resources = template()["Resources"]
    by_id = {each.logical_id: each for each in functions()}
    return {
        resource["Properties"]["RouteKey"]: by_id[_integrated(resources, resource["Properties"]["Target"])]
        for resource in resources.values()
        if resource["Type"] == LIVE_ROUTE
    }


def _integrated(resources: Mapping[str, Any], target: str) -> str:
    """`integrations/${ConnectIntegration}` to the logical id of its function."""
    integration = resources[target.removeprefix("integrations/${").removesuffix("}")]["Properties"]
    found = re.search(r"\$\{(\w+)\.Arn\}", integration["IntegrationUri"])
    if found is None:
        raise ValueError(f"not a function's: {integration['IntegrationUri']}")
    return found[1]


def layer_folders() -> dict[str, str]:
    """Logical id of every layer to its folder under `layers/`."""
    return {
        logical_id: logical_id.removesuffix("Layer").lower()
        for logical_id, resource in template()["Resources"].items()
        if resource["Type"] == LAYER
    }
