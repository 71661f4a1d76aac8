"""Deploys the template to a running LocalStack; later deployments update only what has changed."""

import base64
import contextlib
import hashlib
import json
import time
import urllib.request
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from infra import package, template_map
from infra.localstack import cloud, deployed_template

BUCKET = "photogram-artifacts"
_TAG = "photogram-fingerprint"
_DEADLINE_SECONDS = 240
_PAUSE_SECONDS = 0.2
_REPORT_SECONDS = 5
_ROUTE = "/api/health"

type Report = Callable[[str], None]
"""Takes a line about the progress."""


class DeploymentFailed(Exception):
    """The stack could not be deployed; the message contains CloudFormation's reasons."""


class Artifacts(msgspec.Struct, frozen=True):
    """The zip files of functions and layers."""

    paths: Mapping[str, Path]
    """By logical id."""
    digests: Mapping[str, str]
    """SHA-256 in hexadecimal."""

    @classmethod
    def of(cls, paths: Mapping[str, Path]) -> Self:
        """The artifacts in these files, by logical id."""
        return cls(paths, {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()})

    def key(self, logical_id: str) -> str:
        """The zip file's key in the bucket; it contains the digest, so that a key never changes its content."""
        return f"{logical_id}-{self.digests[logical_id]}.zip"

    def sha256(self, logical_id: str) -> str:
        """The digest in base64, as Lambda's API returns it."""
        return base64.b64encode(bytes.fromhex(self.digests[logical_id])).decode()


def build_artifacts(folder: Path) -> Artifacts:
    """Build all zip files in the folder; raises `infra.stack.commands.CommandFailed`."""
    return Artifacts.of(package.write_archives(folder))


def deploy(artifacts: Artifacts, settings: Mapping[str, str], report: Report) -> None:
    """Deploy the template with these artifacts and settings, and check that the API answers.

    If only code of functions or layers has changed, only that is updated; otherwise the stack is deleted and created
    again. Raises `DeploymentFailed` or `cloud.ERRORS`.
    """
    places = {name: f"s3://{BUCKET}/{artifacts.key(name)}" for name in artifacts.paths}
    copy = deployed_template.copy_with(places, settings)
    parameters = deployed_template.parameters(copy, settings)
    fingerprint = _fingerprint(copy, parameters, artifacts)
    deployed = _deployed_fingerprint()
    _upload(artifacts)
    if deployed == fingerprint:
        layers, functions = _update_layers(artifacts), _update_code(artifacts)
        for kind, changed in (("Layers", layers), ("Code", functions)):
            if changed:
                report(f"{kind} updated: {', '.join(changed)}")
        if not layers and not functions:
            report("Nothing has changed")
    else:
        if deployed is not None:
            report("More than code has changed: deleting the stack…")
            _delete()
        _create(copy, parameters, fingerprint, report)
    _check_api()


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
    try:
        [stack] = cloud.client("cloudformation").describe_stacks(StackName=cloud.STACK)["Stacks"]
    except cloud.ERRORS:
        return None
    if stack["StackStatus"] == "DELETE_COMPLETE":
        return None
    tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}
    return tags.get(_TAG, "") if stack["StackStatus"] == "CREATE_COMPLETE" else ""


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


def _update_code(artifacts: Artifacts) -> list[str]:
    """Update the code of each function that has changed; the names of those functions."""
    lambdas = cloud.client("lambda")
    deployed = {
        each["FunctionName"]: each["CodeSha256"]
        for page in lambdas.get_paginator("list_functions").paginate()
        for each in page["Functions"]
    }
    names = _names_of_functions()
    changed = [
        each
        for each in template_map.functions()
        if deployed[names[each.logical_id]] != artifacts.sha256(each.logical_id)
    ]
    for each in changed:
        lambdas.update_function_code(
            FunctionName=names[each.logical_id], S3Bucket=BUCKET, S3Key=artifacts.key(each.logical_id)
        )
    _wait_for_updates([names[each.logical_id] for each in changed])
    return [each.name for each in changed]


def _update_layers(artifacts: Artifacts) -> list[str]:
    """Publish each layer that has changed and attach it to the functions that list it; the folders of those layers."""
    lambdas = cloud.client("lambda")
    newest: dict[str, str] = {}
    changed = []
    for logical_id, folder in template_map.layer_folders().items():
        [latest] = lambdas.list_layer_versions(LayerName=logical_id, MaxItems=1)["LayerVersions"]
        content = lambdas.get_layer_version(LayerName=logical_id, VersionNumber=latest["Version"])["Content"]
        if content["CodeSha256"] != artifacts.sha256(logical_id):
            place = {"S3Bucket": BUCKET, "S3Key": artifacts.key(logical_id)}
            latest = lambdas.publish_layer_version(
                LayerName=logical_id, Content=place, CompatibleRuntimes=latest["CompatibleRuntimes"]
            )
            changed.append(folder)
        newest[folder] = latest["LayerVersionArn"]
    names = _names_of_functions()
    affected = [each for each in template_map.functions() if set(each.layers) & set(changed)]
    for each in affected:
        lambdas.update_function_configuration(
            FunctionName=names[each.logical_id], Layers=[newest[folder] for folder in each.layers]
        )
    _wait_for_updates([names[each.logical_id] for each in affected])
    return changed


def _wait_for_updates(names: Collection[str]) -> None:
    waiter = cloud.client("lambda").get_waiter("function_updated_v2")
    for name in names:
        waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})


def _names_of_functions() -> dict[str, str]:
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in _resources()
        if each["ResourceType"] == "AWS::Lambda::Function"
    }


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
    cloud.clear_names()
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
