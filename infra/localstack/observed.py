"""What is deployed in LocalStack, as its own API describes it."""

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from infra.localstack import cloud

DEFAULTS: Mapping[str, Any] = {
    "Description": "",
    "DeadLetterConfig": {},
    "Environment": {},
    "EphemeralStorage": {"Size": 512},
    "Handler": "",
    "KMSKeyArn": "",
    "Layers": [],
    "LoggingConfig": {},
    "MemorySize": 128,
    "Role": "",
    "Runtime": "",
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}
"""The parts of a function's configuration that are compared, with Lambda's defaults; all can be updated."""
CODE = "CodeSha256"


class Observed(msgspec.Struct, frozen=True):
    """Functions, routes and schedules; two of them can be compared."""

    functions: dict[str, dict[str, Any]]
    """Configuration by name; `Layers` are ARNs."""
    routes: dict[str, str]
    """By method and path, what is called."""
    rules: dict[str, str]
    """By name, when EventBridge calls which targets."""

    @classmethod
    def read(cls) -> Self:
        """Ask LocalStack; raises `cloud.ERRORS`."""
        return cls(_functions(), _routes(), _rules())

    def differences(self, other: "Observed") -> dict[str, list[str]]:
        """By name of what differs, the parts that differ; a part is `missing` or `added` as a whole."""
        found = {
            name: _different_parts(self.functions.get(name), other.functions.get(name))
            for name in sorted(self.functions.keys() | other.functions.keys())
        }
        for here, there in ((self.routes, other.routes), (self.rules, other.rules)):
            for name in sorted(here.keys() | there.keys()):
                found[name] = _different_parts(here.get(name), there.get(name))
        return {name: parts for name, parts in found.items() if parts}


def _different_parts(here: Any, there: Any) -> list[str]:
    if there is None:
        return ["missing"]
    if here is None:
        return ["added"]
    if isinstance(here, dict):
        return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    return [] if here == there else ["changed"]


def _functions() -> dict[str, dict[str, Any]]:
    pages = cloud.client("lambda").get_paginator("list_functions").paginate()
    found = [each for page in pages for each in page["Functions"]]
    return {
        each["FunctionName"]: {
            CODE: each[CODE],
            **{part: each.get(part, default) for part, default in DEFAULTS.items()},
            "Layers": [layer["Arn"] for layer in each.get("Layers", ())],
        }
        for each in found
        if each["FunctionName"].startswith(f"{cloud.STACK}-")
    }


def _routes() -> dict[str, str]:
    gateway = cloud.client("apigateway")
    try:
        pages = gateway.get_paginator("get_resources").paginate(restApiId=cloud.API_ID, embed=["methods"])
        resources = [each for page in pages for each in page["items"]]
    except gateway.exceptions.NotFoundException:
        return {}
    return {
        f"{method} {resource['path']}": details.get("methodIntegration", {}).get("uri", "")
        for resource in resources
        for method, details in resource.get("resourceMethods", {}).items()
    }


def _rules() -> dict[str, str]:
    events = cloud.client("events")
    return {
        rule["Name"]: " ".join(
            [
                rule["State"],
                rule.get("ScheduleExpression", ""),
                *sorted(target["Arn"] for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]),
            ]
        )
        for rule in events.list_rules(NamePrefix=f"{cloud.STACK}-")["Rules"]
    }
