"""Secrets in AWS Secrets Manager, each read once by an environment."""

import functools
from typing import TYPE_CHECKING, Final

from layers.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider

_CONNECT_SECONDS: Final = 0.9
_ANSWER_SECONDS: Final = 1.8


@functools.cache
def read(arn: str) -> str:
    """The text of the secret with this ARN. Raises `StoreUnavailable`.

    It is not read again: a rotated secret takes effect in new environments.
    """
    from aws_lambda_powertools.utilities.parameters import GetParameterError  # noqa: PLC0415 (it imports boto3)

    try:
        return str(_provider().get(arn))
    except GetParameterError as error:
        raise StoreUnavailable("secrets") from error


@functools.cache
def _provider() -> "SecretsProvider":
    from aws_lambda_powertools.utilities.parameters import SecretsProvider  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    return SecretsProvider(
        boto_config=Config(
            connect_timeout=_CONNECT_SECONDS, read_timeout=_ANSWER_SECONDS, retries={"total_max_attempts": 2}
        )
    )
