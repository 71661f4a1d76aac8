"""Deploys the template to a running LocalStack; later deployments update only what has changed or differs."""

import contextlib
import hashlib
import json
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra import package, template_map
from infra.localstack import cloud, deployed_template, deployment
from infra.localstack.deployment import Artifacts, Deployment
from infra.localstack.observed import CODE, Observed
from infra.stack import env_file
from infra.stack.profiles import Profile
from infra.template_map import FUNCTION, LAYER

BUCKET = "photogram-artifacts"
_TAG = "photogram-fingerprint"
_DEADLINE_SECONDS = 240
_PAUSE_SECONDS = 0.2
_REPORT_SECONDS = 5
_ROUTE = "/api/health"
_UPDATES = 8
"""How many functions are updated at the same time."""

type Report = Callable[[str], None]
"""Takes a line about the progress."""


class DeploymentFailed(Exception):
    """The stack could not be deployed; the message contains CloudFormation's reasons."""


def build_artifacts(folder: Path) -> Artifacts:
    """Build all zip files in the folder; raises `infra.stack.commands.CommandFailed`."""
    return Artifacts.of(package.write_archives(folder))


def deploy(stack: Profile, artifacts: Artifacts, report: Report) -> None:
    """Deploy template.yaml with these artifacts and the stack's settings, and check that the API answers.

    If nothing but code and configuration of functions, or code of layers, differs, only that is updated; otherwise the
    stack is deleted and created again. Raises `DeploymentFailed` or `cloud.ERRORS`.
    """
    _deploy(stack, package.template_with(_places(artifacts)), artifacts, report)


def restore(stack: Profile, report: Report) -> None:
    """Deploy the last deployment if LocalStack has lost it; today's code has no effect. Raises as `deploy`."""
    last = deployment.load(stack)
    if last is not None and _deployed_fingerprint() is None:
        report(f"Deploying again what was deployed at {last.at:%Y-%m-%d %H:%M:%S} UTC…")
        _deploy(stack, last.template, last.artifacts(stack), report, at=last.at)


def is_deployed() -> bool:
    """Whether LocalStack has a stack whose creation was completed; raises `cloud.ERRORS` if it does not answer."""
    return bool(_deployed_fingerprint())


def _places(artifacts: Artifacts) -> dict[str, str]:
    return {name: f"s3://{BUCKET}/{artifacts.key(name)}" for name in artifacts.paths}


def _deploy(
    stack: Profile, template: Mapping[str, Any], artifacts: Artifacts, report: Report, at: datetime | None = None
) -> None:
    settings = env_file.for_functions(env_file.read(stack))
    copy = deployed_template.copy_of(template, settings)
    parameters = deployed_template.parameters(copy, settings)
    fingerprint = _fingerprint(copy, parameters, artifacts)
    last, deployed = deployment.load(stack), _deployed_fingerprint()
    _upload(artifacts)
    if last is not None and deployed == fingerprint and _can_be_updated(last):
        layers = _update(copy, artifacts, last, report)
    else:
        if deployed is not None:
            report("More than functions and layers has changed: deleting the stack…")
            _delete()
        _create(copy, parameters, fingerprint, report)
        layers = {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in _resources()
            if each["ResourceType"] == "AWS::Lambda::LayerVersion"
        }
        layers = {name: next(arn for key, arn in layers.items() if key.startswith(name)) for name in _ids(copy, LAYER)}
        last = None
    _check_api()
    if last is None or last.digests != artifacts.digests:
        deployment.store(
            stack,
            Deployment(
                at=at or datetime.now(UTC),
                template=template,
                digests=artifacts.digests,
                layers=layers,
                observed=Observed.read(),
            ),
            artifacts,
        )


def _fingerprint(copy: Mapping[str, Any], parameters: object, artifacts: Artifacts) -> str:
    """A hash of everything but the code of functions and layers.

    Only code is updated in place: LocalStack's update of a deployed API reports success, but the API no longer answers.
    """
    text = json.dumps([copy, parameters], sort_keys=True)
    for logical_id in artifacts.paths:
        text = text.replace(artifacts.key(logical_id), logical_id)
    return hashlib.sha256(text.encode()).hexdigest()


def _deployed_fingerprint() -> str | None:
    """The fingerprint of the deployed stack; empty if its creation was not completed, None if there is no stack."""
    formation = cloud.client("cloudformation")
    try:
        [stack] = formation.describe_stacks(StackName=cloud.STACK)["Stacks"]
    except formation.exceptions.ClientError:
        return None
    if stack["StackStatus"] == "DELETE_COMPLETE":
        return None
    tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}
    return tags.get(_TAG, "") if stack["StackStatus"] == "CREATE_COMPLETE" else ""


def _can_be_updated(last: Deployment) -> bool:
    """Whether only existing functions differ from the deployment: nothing else is updated in place."""
    observed = Observed.read()
    in_both = last.observed.functions.keys() & observed.functions.keys()
    return last.observed.differences(observed).keys() <= in_both


def _upload(artifacts: Artifacts) -> None:
    s3 = cloud.client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": cloud.REGION})
    existing = {
        each["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        for each in page.get("Contents", ())
    }
    for name, path in artifacts.paths.items():
        if artifacts.key(name) not in existing:
            s3.put_object(Bucket=BUCKET, Key=artifacts.key(name), Body=path.read_bytes())


def _update(copy: Mapping[str, Any], artifacts: Artifacts, last: Deployment, report: Report) -> dict[str, str]:
    """Publish layers that have changed, and update each function that differs from what is wanted; the layers' ARNs."""
    changed = [name for name in last.layers if last.digests[name] != artifacts.digests[name]]
    layers = {**last.layers, **{name: _publish(copy, name, artifacts) for name in changed}}
    observed = Observed.read().functions
    names = {each.logical_id: each.name for each in template_map.functions()}
    codes, mended, outdated = [], [], {}
    for logical_id in _ids(copy, FUNCTION):
        name, place = cloud.function_name(logical_id), names.get(logical_id, logical_id)
        arns = [layers[each["Ref"]] for each in copy["Resources"][logical_id]["Properties"]["Layers"]]
        wanted = {**last.observed.functions[name], CODE: artifacts.sha256(logical_id), "Layers": arns}
        differing = {part for part, value in wanted.items() if observed[name][part] != value}
        if differing:
            outdated[logical_id] = {part: value for part, value in wanted.items() if part in differing}
        if wanted[CODE] != last.observed.functions[name][CODE]:
            codes.append(place)
        if by_hand := sorted(part for part in differing if observed[name][part] != last.observed.functions[name][part]):
            mended.append(f"{place} ({', '.join(by_hand)})")
    with ThreadPoolExecutor(_UPDATES) as threads:
        list(threads.map(lambda logical_id: _update_function(logical_id, outdated[logical_id], artifacts), outdated))
    for what, which in (
        ("Layers updated", [name.removesuffix("Layer").lower() for name in changed]),
        ("Code updated", codes),
        ("Differed from the deployment, and was mended", mended),
    ):
        if which:
            report(f"{what}: {', '.join(which)}")
    if not outdated and not changed:
        report("Nothing differs")
    return layers


def _publish(copy: Mapping[str, Any], layer: str, artifacts: Artifacts) -> str:
    """Publish a version of a layer; its ARN."""
    arn: str = cloud.client("lambda").publish_layer_version(
        LayerName=layer,
        Content={"S3Bucket": BUCKET, "S3Key": artifacts.key(layer)},
        CompatibleRuntimes=copy["Resources"][layer]["Properties"]["CompatibleRuntimes"],
    )["LayerVersionArn"]
    return arn


def _update_function(logical_id: str, wanted: Mapping[str, Any], artifacts: Artifacts) -> None:
    """Give a function these parts of its configuration, and its code if that is one of them."""
    lambdas, name = cloud.client("lambda"), cloud.function_name(logical_id)
    if configuration := {part: value for part, value in wanted.items() if part != CODE}:
        lambdas.update_function_configuration(FunctionName=name, **configuration)
        wait_for_update(name)
    if CODE in wanted:
        lambdas.update_function_code(FunctionName=name, S3Bucket=BUCKET, S3Key=artifacts.key(logical_id))
        wait_for_update(name)


def wait_for_update(name: str) -> None:
    """Wait until LocalStack has applied the last update of a function."""
    # Unlike `function_updated_v2`, it does not ask for a link to the code, which takes LocalStack long to make.
    waiter = cloud.client("lambda").get_waiter("function_updated")
    waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})


def _ids(copy: Mapping[str, Any], kind: str) -> Iterable[str]:
    return [name for name, resource in copy["Resources"].items() if resource["Type"] == kind]


def _create(copy: Mapping[str, Any], parameters: list[dict[str, str]], fingerprint: str, report: Report) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(copy).encode())
    formation = cloud.client("cloudformation")
    formation.create_stack(
        StackName=cloud.STACK,
        TemplateURL=f"{formation.meta.endpoint_url}/{BUCKET}/template.json",
        Parameters=parameters,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Tags=[{"Key": _TAG, "Value": fingerprint}],
    )
    _wait("CREATE_COMPLETE", report)


def _delete() -> None:
    cloud.client("cloudformation").delete_stack(StackName=cloud.STACK)
    _wait("DELETE_COMPLETE", lambda _: None)


def _wait(target: str, report: Report) -> None:
    """Wait until the stack has the target status, and report the progress; raises `DeploymentFailed`."""
    formation = cloud.client("cloudformation")
    started = reported = time.monotonic()
    while True:
        try:
            [stack] = formation.describe_stacks(StackName=cloud.STACK)["Stacks"]
        except cloud.ERRORS:
            if target == "DELETE_COMPLETE":
                return
            raise
        status = stack["StackStatus"]
        if status == target:
            return
        now = time.monotonic()
        if not status.endswith("_IN_PROGRESS") or now - started > _DEADLINE_SECONDS:
            raise DeploymentFailed(f"The stack's status is {status}:\n" + "\n".join(_failure_reasons()))
        if now - reported > _REPORT_SECONDS:
            reported = now
            with contextlib.suppress(*cloud.ERRORS):  # LocalStack's list can fail while a resource is being added
                resources = _resources()
                complete = sum(each["ResourceStatus"] == target for each in resources)
                report(f"  {complete} of {len(resources)} resources after {now - started:.0f} s")
        time.sleep(_PAUSE_SECONDS)


def _resources() -> list[dict[str, Any]]:
    pages = cloud.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=cloud.STACK)
    return [each for page in pages for each in page["StackResourceSummaries"]]


def _failure_reasons() -> list[str]:
    """CloudFormation's reason for each resource that failed."""
    events = cloud.client("cloudformation").describe_stack_events(StackName=cloud.STACK)["StackEvents"]
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    ]


def _check_api() -> None:
    """Call one route; raises `DeploymentFailed` if it does not answer."""
    url = cloud.api_url() + _ROUTE
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 (our own address)
            answer.read()
    except OSError as error:
        raise DeploymentFailed(f"The stack is deployed, but {url} does not answer: {error}") from error
