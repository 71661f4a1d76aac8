"""The template, as CloudFormation gets it, follows AWS's advice: rights, secrets, failures, logs, alarms."""

import ast
import functools
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from infra import check_template, template_map
from infra.template_map import TEMPLATE, Function
from layers.core.settings import SECRETS, SIGNING_KEY_CHARACTERS
from layers.entrypoints import cors
from tests.support import reached_code
from tests.support.bucket_actions import ACTIONS_OF
from tests.support.stack import ROOT

FUNCTIONS: Final = template_map.functions()
PARAMETERS: Final = template_map.template()["Parameters"]
BACKGROUND: Final = [each for each in FUNCTIONS if any(e["Type"] in {"MQ", "Schedule"} for e in each.events.values())]
SCHEDULED: Final = [each.function for each in template_map.schedules()]

POLICY_OF: Final = {
    "media_link_secret": "LinksPolicy",
    "cursor_secret": "CursorsPolicy",
    "database_url": "PostgresPolicy",
    "valkey_url": "ValkeyPolicy",
    "cassandra_password": "CassandraPolicy",
    "rabbitmq_url": "RabbitmqPolicy",
}
"""The policy that lets a function read a secret."""

FANS_OUT_NEVER: Final = {"auth/register", "users/update_profile", "admin/remove_user", "admin/unban_user"}
"""Functions that give events to the relay, which sends live events for a published post only; theirs are others."""

each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)


@functools.cache
def _resources() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = check_template.translate().document["Resources"]
    return found


def _of_type(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of all resources of a type, by logical id."""
    return {name: each["Properties"] for name, each in _resources().items() if each["Type"] == kind}


def _role(function: Function) -> dict[str, Any]:
    properties: dict[str, Any] = _resources()[f"{function.logical_id}Role"]["Properties"]
    return properties


def _reached(function: Function) -> frozenset[reached_code.Definition]:
    return reached_code.reached_from(function.handler.rpartition(".")[0])


# ── Secrets ─────────────────────────────────────────────────────────────────


def test_no_secret_is_a_parameter_or_a_variable() -> None:
    variables = template_map.template()["Globals"]["Function"]["Environment"]["Variables"]

    assert [name for name, each in PARAMETERS.items() if "NoEcho" in each] == []
    assert {name.upper() for name in SECRETS} & set(variables) == set()
    assert {f"{name.upper()}_ARN" for name in SECRETS} <= set(variables)
    assert [name for name in variables if "PASSWORD" in name or "SECRET" in name if not name.endswith("_ARN")] == []


def test_keys_for_signatures_are_generated_and_long_enough() -> None:
    generated = {name: each["GenerateSecretString"] for name, each in _of_type("AWS::SecretsManager::Secret").items()}

    assert set(generated) == {"MediaLinkSecret", "CursorSecret"}
    assert all(each["PasswordLength"] >= SIGNING_KEY_CHARACTERS for each in generated.values())
    assert {_resources()[name]["DeletionPolicy"] for name in generated} == {"Retain"}


def test_what_has_no_safe_value_has_no_default() -> None:
    assert [name for name, each in PARAMETERS.items() if name.endswith("SecretArn") and "Default" in each] == []
    for name in ("OwnOrigins", "MediaBaseUrl", "UploadsUrl", "BrokerArn", "S3Bucket"):
        assert "Default" not in PARAMETERS[name], name
    assert PARAMETERS["AllowedOrigins"]["Default"] == ""
    assert PARAMETERS["SecureCookies"]["Default"] == "true"
    assert PARAMETERS["ReservedConcurrency"]["Default"] == 0


# ── Rights ──────────────────────────────────────────────────────────────────


def _secrets_read(function: Function) -> set[str]:
    """The secrets that the code of a function reads: `settings().database_url`, wherever it stands."""
    nodes = [reached_code.definition(each) for each in _reached(function) if each[0] != "layers.core.settings"]
    return {
        attribute.attr
        for node in nodes
        if node is not None
        for attribute in ast.walk(node)
        if isinstance(attribute, ast.Attribute) and isinstance(attribute.value, ast.Call)
        if isinstance(attribute.value.func, ast.Name) and attribute.value.func.id == "settings"
        if attribute.attr in SECRETS
    }


def _needed_policies(function: Function) -> set[str]:
    needed = {"FunctionPolicy"}
    if function.layers != ("core",):  # without a store there is nothing to link to
        needed |= {POLICY_OF[name] for name in _secrets_read(function)}
    sends = ("layers.services.live_events", "_management_api") in _reached(function)
    if sends and function.name not in FANS_OUT_NEVER:
        needed.add("LivePolicy")
    if any(event["Type"] == "MQ" for event in function.events.values()):
        needed.add("QueuePolicy")
    return needed


@each_function
def test_a_function_has_the_policies_that_its_code_needs(function: Function) -> None:
    attached = [each["Ref"] for each in _role(function)["ManagedPolicyArns"] if isinstance(each, dict)]

    assert len(attached) == len(set(attached))
    assert set(attached) == _needed_policies(function)


@each_function
def test_a_function_may_do_with_files_what_its_code_does(function: Function) -> None:
    called = {name for module, name in _reached(function) if module == "layers.media.connection"}
    needed = set[str]().union(*(ACTIONS_OF.get(name, set()) for name in called))
    statements = [each for each in _statements(_role(function)) if "s3:" in json.dumps(each)]

    assert {action for each in statements for action in each["Action"]} == needed
    bucket = "arn:${AWS::Partition}:s3:::${S3Bucket}"
    for each in statements:
        assert {resource["Fn::Sub"] for resource in each["Resource"]} <= {bucket, f"{bucket}/*"}
        assert ({"Fn::Sub": bucket} in each["Resource"]) == ("s3:ListBucket" in each["Action"])


def test_health_may_read_no_secret() -> None:
    health = template_map.function("health/get_health")

    assert [each for each in _role(health)["ManagedPolicyArns"] if isinstance(each, dict)] == [
        {"Ref": "FunctionPolicy"}
    ]
    assert list(_statements(_role(health))) == []


def _statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The statements of the policies within a role or a managed policy; both branches of a condition."""
    for policy in role.get("Policies", [role] if "PolicyDocument" in role else []):
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def test_no_statement_allows_everything() -> None:
    statements = [
        statement
        for kind in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
        for each in _of_type(kind).values()
        for statement in _statements(each)
        if statement["Effect"] == "Allow"
    ]
    actions = [action for each in statements for action in _listed(each["Action"])]
    everywhere = {action for each in statements if each["Resource"] == "*" for action in _listed(each["Action"])}

    assert len(statements) > 20
    assert [action for action in actions if "*" in action] == []
    assert everywhere == {"ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@each_function
def test_a_role_has_at_most_ten_managed_policies(function: Function) -> None:
    """IAM's limit for a new account."""
    assert len(_role(function)["ManagedPolicyArns"]) <= 10


# ── Functions ───────────────────────────────────────────────────────────────


@each_function
def test_a_function_runs_as_the_parameters_say(function: Function) -> None:
    properties = _of_type("AWS::Lambda::Function")[function.logical_id]

    assert properties["VpcConfig"]["Fn::If"][0] == "IsInVpc"
    assert properties["KmsKeyArn"]["Fn::If"][:2] == ["HasKey", {"Ref": "KmsKeyArn"}]
    assert properties["ReservedConcurrentExecutions"]["Fn::If"][0] == "ReservesConcurrency"
    assert properties["TracingConfig"] == {"Mode": {"Ref": "Tracing"}}
    assert properties["LoggingConfig"] == {"LogGroup": {"Ref": "FunctionLogs"}}
    assert properties["Architectures"] == [{"Ref": "Architecture"}]


def test_layers_are_of_the_architecture_of_the_functions() -> None:
    layers = _of_type("AWS::Lambda::LayerVersion").values()

    assert [each["CompatibleArchitectures"] for each in layers] == [[{"Ref": "Architecture"}]] * len(layers)


@pytest.mark.parametrize("function", SCHEDULED, ids=lambda function: function.name)
def test_no_event_of_a_schedule_is_lost_unseen(function: Function) -> None:
    queue = {"Fn::GetAtt": ["FailedEvents", "Arn"]}
    config = _resources()[f"{function.logical_id}EventInvokeConfig"]["Properties"]
    [rule] = [each for name, each in _of_type("AWS::Events::Rule").items() if name.startswith(function.logical_id)]

    assert config["DestinationConfig"]["OnFailure"]["Destination"] == queue
    assert [target["DeadLetterConfig"]["Arn"] for target in rule["Targets"]] == [queue]
    assert any(
        each["Action"] == "sqs:SendMessage" and each["Resource"] == queue for each in _statements(_role(function))
    )


def test_no_region_is_fixed() -> None:
    assert re.findall(r"\b(?:us|eu|ap|sa|ca|me|af|il)-[a-z]+-\d\b", TEMPLATE.read_text()) == []


# ── The API ─────────────────────────────────────────────────────────────────


def test_every_path_answers_preflights() -> None:
    paths = _of_type("AWS::ApiGateway::RestApi")["ServerlessRestApi"]["Body"]["paths"]
    assert set(paths) == {route.path for route in template_map.routes()}
    for methods in paths.values():
        integration = methods["options"]["x-amazon-apigateway-integration"]
        headers = integration["responses"]["default"]["responseParameters"]
        given = {name.removeprefix("method.response.header.").lower(): value for name, value in headers.items()}
        assert given["access-control-allow-methods"] == f"'{cors.METHODS}'"
        assert given["access-control-allow-credentials"] == "'true'"
        assert given["access-control-allow-headers"] == "'content-type,idempotency-key,x-trace-id'"
        assert "AllowedOrigins" in json.dumps(given["access-control-allow-origin"])


def test_pages_of_other_origins_can_read_the_errors_of_api_gateway() -> None:
    body = _of_type("AWS::ApiGateway::RestApi")["ServerlessRestApi"]["Body"]
    allowed = body["paths"]["/api/v1/posts"]["options"]["x-amazon-apigateway-integration"]["responses"]["default"]
    origin = allowed["responseParameters"]["method.response.header.Access-Control-Allow-Origin"]
    for name in ("DEFAULT_4XX", "DEFAULT_5XX"):
        headers = body["x-amazon-apigateway-gateway-responses"][name]["responseParameters"]
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == origin
        assert headers["gatewayresponse.header.Access-Control-Allow-Credentials"] == "'true'"


def test_stages_have_limits_and_access_logs() -> None:
    api = _of_type("AWS::ApiGateway::Stage")["ServerlessRestApiProdStage"]
    live = _of_type("AWS::ApiGatewayV2::Stage")["LiveStage"]

    assert api["TracingEnabled"]["Fn::If"][0] == "IsTraced"
    for logs in (api["AccessLogSetting"], live["AccessLogSettings"]):
        name, settings, _ = logs["Fn::If"]
        assert name == "LogsAccess"
        assert settings["DestinationArn"] == {"Fn::GetAtt": ["ApiLogs", "Arn"]}
        assert json.loads(settings["Format"])["status"] == "$context.status"
    for limits in (api["MethodSettings"][0], live["DefaultRouteSettings"]):
        assert limits["ThrottlingRateLimit"] == {"Ref": "ApiRequestsPerSecond"}
        assert limits["ThrottlingBurstLimit"] == {"Ref": "ApiBurst"}


# ── Logs and alarms ─────────────────────────────────────────────────────────


def test_every_log_ends_and_can_have_a_key() -> None:
    groups = _of_type("AWS::Logs::LogGroup")

    assert set(groups) == {"FunctionLogs", "ApiLogs"}
    for group in groups.values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert group["KmsKeyId"]["Fn::If"][:2] == ["HasKey", {"Ref": "KmsKeyArn"}]


def _watched(alarm: str, dimension: str) -> list[Any]:
    """The values of a dimension in all metrics of an alarm."""
    return [
        each["Value"]
        for metric in _of_type("AWS::CloudWatch::Alarm")[alarm]["Metrics"]
        for each in metric.get("MetricStat", {}).get("Metric", {}).get("Dimensions", [])
        if each["Name"] == dimension
    ]


def test_errors_that_no_request_shows_raise_an_alarm() -> None:
    live = {each.logical_id for each in template_map.live_routes().values()}
    watched = {each["Ref"] for each in _watched("BackgroundErrors", "FunctionName")}

    assert watched == {each.logical_id for each in BACKGROUND}
    assert {each["Ref"] for each in _watched("LiveErrors", "FunctionName")} == live
    assert sorted(_watched("DeadLetters", "Queue")) == sorted(f"{queue.name}.dead" for queue in template_map.queues())


def test_every_alarm_tells_the_topic() -> None:
    alarms = _of_type("AWS::CloudWatch::Alarm")
    expected = {"ApiErrors", "ApiLatency", "FunctionThrottles", "BackgroundErrors", "LiveErrors"}

    assert set(alarms) == expected | {"FailedEventsWaiting", "DeadLetters"}
    for alarm in alarms.values():
        assert alarm["AlarmActions"]["Fn::If"][:2] == ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}]]
        assert len(alarm.get("Metrics", [])) <= 10  # CloudWatch's limit
        assert alarm["TreatMissingData"] == "notBreaching"


# ── Tools ───────────────────────────────────────────────────────────────────


def test_each_check_that_checkov_leaves_out_has_a_reason() -> None:
    lines = [line for line in (ROOT / ".checkov.yaml").read_text().splitlines() if line.startswith("  - ")]

    assert lines
    assert [line for line in lines if not re.fullmatch(r"  - CKV_AWS_\d+  # .{20,}", line)] == []
