"""The copy of the template that LocalStack's community edition can deploy.

What that edition does not have is removed: RabbitMQ triggers, replaced by `infra.localstack.invoke_from_queues`; the
WebSocket API, replaced by `infra.local.live`; alarms and WAF. The stores are those of the local stack: functions get
their passwords in variables, as local hosts do, and not from Secrets Manager. The rest is unchanged.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from infra import package
from infra.localstack.cloud import REGION
from layers.core.settings import SECRETS, Settings

_UNSUPPORTED: Final = ("AWS::ApiGatewayV2::", "AWS::CloudWatch::", "AWS::WAFv2::")
_PLACEHOLDER: Final = "local"
_LOCAL: Final = (
    *(name.upper() for name in SECRETS),
    *("LIVE_ENDPOINT_URL", "S3_ENDPOINT_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"),
)
"""Settings that differ from those on AWS."""
_ARN: Final = f"arn:aws:{{}}:{REGION}:000000000000:{{}}"
_UNUSED: Final = {
    **dict.fromkeys(
        ("DatabaseSecretArn", "ValkeySecretArn", "RabbitmqSecretArn", "CassandraSecretArn", "BrokerSecretArn"),
        _ARN.format("secretsmanager", "secret:unused"),
    ),
    "BrokerArn": _ARN.format("mq", "broker:unused:b-0"),
}
"""Parameters that must have a value, though nothing that is deployed uses them."""


def copy_with(places: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, Any]:
    """The copy; `places` are the URLs of the zip files of functions and layers, by logical id."""
    copy = package.template_with(places)
    removed = {name for name, resource in copy["Resources"].items() if resource["Type"].startswith(_UNSUPPORTED)}
    for name in removed:
        del copy["Resources"][name]
    for resource in copy["Resources"].values():
        events = resource.get("Properties", {}).get("Events", {})
        for name in [name for name, event in events.items() if event["Type"] == "MQ"]:
            del events[name]
    variables = copy["Globals"]["Function"]["Environment"]["Variables"]
    for name in SECRETS:
        del variables[f"{name.upper()}_ARN"]
    variables |= {name: settings[name] for name in _LOCAL}
    variables["S3_REGION"] = settings.get("S3_REGION", Settings().s3_region)
    for section in ("Resources", "Outputs"):
        copy[section] = _replace_references(copy[section], removed)
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


def _replace_references(part: Any, removed: Collection[str]) -> Any:
    """The same without references to removed resources in `!Sub`, which only addresses and permissions have."""
    match part:
        case dict():
            return {name: _replace_references(each, removed) for name, each in part.items()}
        case list():
            return [_replace_references(each, removed) for each in part]
        case str():
            for name in removed:
                part = part.replace(f"${{{name}}}", _PLACEHOLDER)
    return part
