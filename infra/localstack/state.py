"""Prints what is deployed in LocalStack, and what differs from that."""

from collections.abc import Mapping, Sequence

from infra import template_map
from infra.localstack import cloud, deploy, deployment
from infra.localstack.folders import MARK
from infra.localstack.observed import CODE, Observed
from infra.stack import env_file, supervision
from infra.stack.profiles import Profile

_SHOWN = 10
"""How many differences are named."""


def print_status(stack: Profile) -> int:
    """Print the deployment; nothing if LocalStack does not run. 1 if what should be deployed is not."""
    supervisord = supervision.connect(stack)
    if supervisord is None or "localstack" not in supervision.running(supervisord):
        return 0
    env_file.apply(stack.name)
    if deployment.is_locked(stack):
        print("The functions are being deployed to LocalStack now")
        return 1
    last = deployment.load(stack)
    try:
        if last is None or not deploy.is_deployed():
            print("LocalStack has no complete deployment. Deploy the functions with: make localstack")
            return 1
        now = Observed.read()
        differences = last.observed.differences(now)
    except cloud.ERRORS as error:
        print(f"LocalStack does not say what is deployed: {error}")
        return 1
    number = len(last.observed.functions)
    print(f"LocalStack runs {number} functions, deployed at {last.at:%Y-%m-%d %H:%M:%S} UTC: {cloud.api_url()}")
    if hot := [name for name, each in now.functions.items() if each[CODE] == MARK]:
        print(f"{len(hot)} of them run from the folders of the code. Deploy zip files again with: make localstack")
        differences = {name: parts for name, parts in differences.items() if name not in hot}
    if differences:
        print(f"Since then were changed: {_describe(differences)}. Mend this with: make localstack")
    return 0


def _describe(differences: Mapping[str, Sequence[str]]) -> str:
    names = {cloud.function_name(each.logical_id): each.name for each in template_map.functions()}
    shown = [f"{names.get(name, name)} ({', '.join(parts)})" for name, parts in differences.items()]
    further = [f"{len(shown) - _SHOWN} others"] if len(shown) > _SHOWN else []
    return ", ".join([*shown[:_SHOWN], *further])
