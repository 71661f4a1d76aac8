"""The queue consumer of LocalStack, whose community edition has no event source mappings for Amazon MQ.

python -m infra.localstack.invoke_from_queues

Polls the queues as `infra.local.consume_queues` does, and invokes the deployed functions through Lambda's API.
"""

from infra.local import consume_queues, reloading
from infra.localstack.functions import DeployedFunction


def main() -> None:
    """Consume every queue of the template until SIGTERM."""
    consume_queues.consume(consume_queues.mappings(DeployedFunction), reloading.stop_event())


if __name__ == "__main__":
    main()
