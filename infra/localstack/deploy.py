"""Deploys the template to a running LocalStack, and afterwards only what has changed."""

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
_TELL_SECONDS = 5
_ROUTE = "/api/health"

type Tell = Callable[[str], None]


class Failed(Exception):
    """The stack is not deployed; says what CloudFormation said."""


class Artifacts(msgspec.Struct, frozen=True):
    """The zip files of one state of the code."""

    paths: Mapping[str, Path]
    """By logical id."""
    digests: Mapping[str, str]
    """SHA-256 in hexadecimal."""

    @classmethod
    def of(cls, paths: Mapping[str, Path]) -> Self:
        """The files as they are now."""
        return cls(paths, {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()})

    def key(self, logical_id: str) -> str:
        """Where its zip lies in the bucket; another content lies elsewhere."""
        return f"{logical_id}-{self.digests[logical_id]}.zip"

    def sha256(self, logical_id: str) -> str:
        """Its digest as Lambda tells it, in base64."""
        return base64.b64encode(bytes.fromhex(self.digests[logical_id])).decode()


def artifacts(folder: Path) -> Artifacts:
    """All of them, written anew; raises `infra.stack.commands.Failed`."""
    return Artifacts.of(package.write_archives(folder))


def deploy(made: Artifacts, settings: Mapping[str, str], tell: Tell) -> None:
    """Nothing differs from the artifacts and the template when this returns, and a route answers. Raises `Failed`."""
    copy = deployed_template.copy_with({name: f"s3://{BUCKET}/{made.key(name)}" for name in made.paths}, settings)
    parameters = deployed_template.parameters(copy, settings)
    wanted = _fingerprint(copy, parameters, made)
    deployed = _deployed_fingerprint()
    _upload(made)
    if deployed == wanted:
        layers, functions = _update_layers(made), _update_code(made)
        for kind, changed in (("Layers", layers), ("Code", functions)):
            if changed:
                tell(f"{kind} updated: {', '.join(changed)}")
        if not layers and not functions:
            tell("Nothing has changed")
    else:
        if deployed is not None:
            tell("Removing the stack: more than code has changed…")
            _delete()
        _create(copy, parameters, wanted, tell)
    _call_a_route()


def _fingerprint(copy: Mapping[str, Any], parameters: object, made: Artifacts) -> str:
    """Of all but the code of functions and layers, which alone can be updated.

    An update of a deployed API reports success, and loses it.
    """
    text = json.dumps([copy, parameters], sort_keys=True)
    for logical_id in made.paths:
        text = text.replace(made.key(logical_id), logical_id)
    return hashlib.sha256(text.encode()).hexdigest()


def _deployed_fingerprint() -> str | None:
    """The deployed stack's; empty for one that is not whole, None if there is none."""
    try:
        [stack] = cloud.client("cloudformation").describe_stacks(StackName=cloud.STACK)["Stacks"]
    except cloud.AWAY:
        return None
    if stack["StackStatus"] == "DELETE_COMPLETE":
        return None
    tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}
    return tags.get(_TAG, "") if stack["StackStatus"] == "CREATE_COMPLETE" else ""


def _upload(made: Artifacts) -> None:
    s3 = cloud.client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": cloud.REGION})
    there = {
        each["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        for each in page.get("Contents", ())
    }
    for name, path in made.paths.items():
        if made.key(name) not in there:
            s3.put_object(Bucket=BUCKET, Key=made.key(name), Body=path.read_bytes())


def _update_code(made: Artifacts) -> list[str]:
    """Give each function the code that it lacks; the names of those that had other code."""
    functions = cloud.client("lambda")
    deployed = {
        each["FunctionName"]: each["CodeSha256"]
        for page in functions.get_paginator("list_functions").paginate()
        for each in page["Functions"]
    }
    names = _names_of_functions()
    changed = [
        each for each in template_map.functions() if deployed[names[each.logical_id]] != made.sha256(each.logical_id)
    ]
    for each in changed:
        functions.update_function_code(
            FunctionName=names[each.logical_id], S3Bucket=BUCKET, S3Key=made.key(each.logical_id)
        )
    _wait_for_updates([names[each.logical_id] for each in changed])
    return [each.name for each in changed]


def _update_layers(made: Artifacts) -> list[str]:
    """Publish each layer that has changed, and give it to the functions that declare it; the names of those layers."""
    lambdas = cloud.client("lambda")
    newest: dict[str, str] = {}
    changed = []
    for logical_id, folder in template_map.layer_folders().items():
        [latest] = lambdas.list_layer_versions(LayerName=logical_id, MaxItems=1)["LayerVersions"]
        content = lambdas.get_layer_version(LayerName=logical_id, VersionNumber=latest["Version"])["Content"]
        if content["CodeSha256"] != made.sha256(logical_id):
            place = {"S3Bucket": BUCKET, "S3Key": made.key(logical_id)}
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


def _create(copy: Mapping[str, Any], parameters: list[dict[str, str]], fingerprint: str, tell: Tell) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(copy).encode())
    formation = cloud.client("cloudformation")
    formation.create_stack(
        StackName=cloud.STACK,
        TemplateURL=f"{formation.meta.endpoint_url}/{BUCKET}/template.json",
        Parameters=parameters,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Tags=[{"Key": _TAG, "Value": fingerprint}],
    )
    _wait("CREATE_COMPLETE", tell)


def _delete() -> None:
    cloud.forget()
    cloud.client("cloudformation").delete_stack(StackName=cloud.STACK)
    _wait("DELETE_COMPLETE", lambda _: None)


def _wait(wanted: str, tell: Tell) -> None:
    """Until the stack is so; tells how far it is. Raises `Failed`."""
    formation = cloud.client("cloudformation")
    started = told = time.monotonic()
    while True:
        try:
            [stack] = formation.describe_stacks(StackName=cloud.STACK)["Stacks"]
        except cloud.AWAY:
            if wanted == "DELETE_COMPLETE":
                return
            raise
        status = stack["StackStatus"]
        if status == wanted:
            return
        now = time.monotonic()
        if not status.endswith("_IN_PROGRESS") or now - started > _DEADLINE_SECONDS:
            raise Failed(f"The stack is {status}:\n" + "\n".join(_reasons()))
        if now - told > _TELL_SECONDS:
            told = now
            resources = _resources()
            made = sum(each["ResourceStatus"] == wanted for each in resources)
            tell(f"  {made} of {len(resources)} resources, {now - started:.0f} s")
        time.sleep(_PAUSE_SECONDS)


def _resources() -> list[dict[str, Any]]:
    pages = cloud.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=cloud.STACK)
    return [each for page in pages for each in page["StackResourceSummaries"]]


def _reasons() -> list[str]:
    """What CloudFormation says of each resource that failed."""
    events = cloud.client("cloudformation").describe_stack_events(StackName=cloud.STACK)["StackEvents"]
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    ]


def _call_a_route() -> None:
    """A deployment counts when the API answers."""
    url = cloud.api_url() + _ROUTE
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 (our own address)
            answer.read()
    except OSError as error:
        raise Failed(f"The stack is deployed, but {url} does not answer: {error}") from error
