"""Reads template.yaml, the only list of functions and their triggers."""

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
_PACKAGES = {"core": ("core", "entrypoints", "services")}
"""Layers whose archive contains other packages than the one of their name; layers/Makefile builds the archives."""


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One Lambda function."""

    logical_id: str
    name: str
    """For example `posts/like_post`."""
    handler: str
    """The import path, for example `functions.posts.like_post.handler`."""
    layers: tuple[str, ...]
    """Names of layers in lower case, without `Layer`, in the order in which Lambda applies them."""
    timeout_seconds: int
    memory_mb: int
    is_heavy: bool
    max_files: int = 0
    """How many files its form may hold; 0 if it takes no form."""
    environments: int = 1
    """How many environments each of its queues may use at the same time."""
    events: Mapping[str, Mapping[str, Any]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP trigger."""

    method: str
    path: str
    function: Function
    is_alias: bool
    """Whether this is a second route of its function."""


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
    """Reads a node with one of CloudFormation's tags as its value: `!Ref CoreLayer` as the string `CoreLayer`."""


def _construct_value(loader: _Loader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]  # the only other kind of node


_Loader.add_multi_constructor("!", _construct_value)


@functools.cache
def template() -> Mapping[str, Any]:
    """The parsed template, its tags removed."""
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
    metadata = resource.get("Metadata", {}).get("Photogram", {})
    module = (properties["CodeUri"] + properties["Handler"]).removesuffix(".handler")
    return Function(
        logical_id=logical_id,
        name=module.removeprefix("functions/"),
        handler=f"{module}.handler".replace("/", "."),
        layers=tuple(layer.removesuffix("Layer").lower() for layer in properties["Layers"]),
        timeout_seconds=properties["Timeout"],
        memory_mb=properties["MemorySize"],
        is_heavy=metadata.get("Heavy", False),
        max_files=metadata.get("Files", 0),
        environments=metadata.get("Environments", 1),
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
        Route(method=event["Method"].upper(), path=event["Path"], function=function, is_alias=name.startswith("Alias"))
        for function, name, event in _events("Api")
    ]


def heavy_routes() -> list[Route]:
    """The routes whose functions are heavy."""
    return [route for route in routes() if route.function.is_heavy]


def upload_routes() -> list[Route]:
    """The routes whose functions take forms with files."""
    return [route for route in routes() if route.function.max_files]


def queues() -> list[Queue]:
    """Every RabbitMQ trigger."""
    return [
        Queue(
            name=name,
            function=function,
            batch_size=event.get("BatchSize", 100),
            window_seconds=event.get("MaximumBatchingWindowInSeconds", 0.5),
        )
        for function, _, event in _events("MQ")
        for name in event["Queues"]
    ]


def schedules() -> list[Schedule]:
    """Every schedule."""
    return [Schedule(expression=event["Schedule"], function=function) for function, _, event in _events("Schedule")]


def live_routes() -> dict[str, Function]:
    """The function of each route of the WebSocket API, by the route's key (`$connect`)."""
    resources = template()["Resources"]
    by_id = {each.logical_id: each for each in functions()}
    return {
        resource["Properties"]["RouteKey"]: by_id[_integrated_function(resources, resource["Properties"]["Target"])]
        for resource in resources.values()
        if resource["Type"] == LIVE_ROUTE
    }


def _integrated_function(resources: Mapping[str, Any], target: str) -> str:
    """The logical id of the function of a route's target such as `integrations/${ConnectIntegration}`."""
    integration = resources[target.removeprefix("integrations/${").removesuffix("}")]["Properties"]
    match = re.search(r"\$\{(\w+)\.Arn\}", integration["IntegrationUri"])
    if match is None:
        raise ValueError(f"This IntegrationUri names no function: {integration['IntegrationUri']}")
    return match[1]


def layer_packages() -> dict[str, tuple[str, ...]]:
    """The packages below `layers/` that the archive of each layer contains, by logical id."""
    return {logical_id: _PACKAGES.get(name, (name,)) for logical_id, name in layer_folders().items()}


def layer_folders() -> dict[str, str]:
    """The folder below `layers/` of each layer, by logical id."""
    return {
        logical_id: logical_id.removesuffix("Layer").lower()
        for logical_id, resource in template()["Resources"].items()
        if resource["Type"] == LAYER
    }
