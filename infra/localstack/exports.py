"""The environment variables with which AWS's clients reach LocalStack."""

import shlex

from infra.localstack import cloud
from infra.stack.profiles import Profile

_KEY = "test"
"""LocalStack takes any key. With this one, its account is 000000000000, to which the functions are deployed."""


def variables(stack: Profile) -> dict[str, str]:
    """For the AWS CLI and AWS's SDKs; awslocal reads LOCALSTACK_HOST."""
    address = f"localhost:{stack.ports.localstack}"
    return {
        "AWS_ENDPOINT_URL": f"http://{address}",
        "LOCALSTACK_HOST": address,
        "AWS_DEFAULT_REGION": cloud.REGION,
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _KEY,
    }


def shell(stack: Profile) -> str:
    """The variables as commands of a shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables(stack).items())


def command(stack: Profile) -> str:
    """The command that sets them in the user's shell."""
    return f'eval "$(make -s localstack-env{"" if stack.name == "run" else f" PROFILE={stack.name}"})"'
