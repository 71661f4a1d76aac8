"""The copy of the template that LocalStack's community edition can deploy.

What that edition does not have is removed: RabbitMQ triggers, replaced by `infra.localstack.invoke_from_queues`; the
WebSocket API, replaced by `infra.local.live`; alarms and WAF. The stores are those of the local stack: functions get
their passwords in variables, as local hosts do, and not from Secrets Manager. Functions and API get fixed names, so
that they have the same addresses after each deployment. The rest is unchanged.
"""

import copy as copies
from collections.abc import Mapping
from typing import Any, Final

from infra.localstack import cloud
from infra.template_map import FUNCTION
from layers.core.settings import SECRETS, Settings

_API: Final = "AWS::Serverless::Api"
_UNSUPPORTED: Final = ("AWS::ApiGatewayV2::", "AWS::CloudWatch::", "AWS::WAFv2::")
_EXPLICIT_API: Final = "Api"
_IMPLICIT_API: Final = "ServerlessRestApi"
"""SAM adds this API to a template that declares none. It cannot have tags, so the copy declares one."""
_CUSTOM_ID: Final = "_custom_id_"
"""The tag from which LocalStack takes the id of an API."""
_PLACEHOLDER: Final = "local"
_LOCAL: Final = (
    *(name.upper() for name in SECRETS),
    *("LIVE_ENDPOINT_URL", "S3_ENDPOINT_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"),
)
"""Settings that differ from those on AWS."""
_ARN: Final = f"arn:aws:{{}}:{cloud.REGION}:000000000000:{{}}"
_UNUSED: Final = {
    **dict.fromkeys(
        ("DatabaseSecretArn", "ValkeySecretArn", "RabbitmqSecretArn", "CassandraSecretArn", "BrokerSecretArn"),
        _ARN.format("secretsmanager", "secret:unused"),
    ),
    "BrokerArn": _ARN.format("mq", "broker:unused:b-0"),
}
"""Parameters that must have a value, though nothing that is deployed uses them."""


def copy_of(template: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """The copy of a template that `infra.package.template_with` returned, for a stack with these settings."""
    copy: dict[str, Any] = copies.deepcopy(dict(template))
    resources = copy["Resources"]
    removed = {name for name, resource in resources.items() if resource["Type"].startswith(_UNSUPPORTED)}
    for name in removed:
        del resources[name]
    for logical_id, resource in resources.items():
        if resource["Type"] == FUNCTION:
            resource["Properties"]["FunctionName"] = cloud.function_name(logical_id)
        events = resource.get("Properties", {}).get("Events", {})
        for name in [name for name, event in events.items() if event["Type"] == "MQ"]:
            del events[name]
    variables = copy["Globals"]["Function"]["Environment"]["Variables"]
    for name in SECRETS:
        del variables[f"{name.upper()}_ARN"]
    variables |= {name: settings[name] for name in _LOCAL}
    variables["S3_REGION"] = settings.get("S3_REGION", Settings().s3_region)
    if not any(resource["Type"] == _API for resource in resources.values()):
        _declare_api(resources)
    [api] = [resource for resource in resources.values() if resource["Type"] == _API]
    api["Properties"]["Tags"] = {**api["Properties"].get("Tags", {}), _CUSTOM_ID: cloud.API_ID}
    api["Properties"]["PropagateTags"] = True  # from the stage to the API
    replacements = {f"${{{name}}}": _PLACEHOLDER for name in removed} | {
        f"${{{_IMPLICIT_API}}}": f"${{{_EXPLICIT_API}}}"
    }
    for section in ("Resources", "Outputs"):
        copy[section] = _replace(copy[section], replacements)
    return copy


def parameters(copy: Mapping[str, Any], settings: Mapping[str, str]) -> list[dict[str, str]]:
    """The settings as parameters: `S3_BUCKET: !Ref S3Bucket` means that S3Bucket gets S3_BUCKET's value."""
    variables = copy["Globals"]["Function"]["Environment"]["Variables"]
    values = {
        value["Ref"]: settings[name]
        for name, value in variables.items()
        if isinstance(value, dict) and "Ref" in value and name in settings
    }
    values["AllowedOrigins"] = settings.get("ALLOWED_ORIGINS", Settings().allowed_origins)
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in (values | _UNUSED).items()]


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
