"""Lists, shows, replays and discards dead letters: the messages in the dead-letter queues of RabbitMQ.

python -m infra.dead_letters list|show ID|replay ID|discard ID [--queue NAME]

A replay publishes the letter to its queue and removes it from the dead-letter queue after RabbitMQ has confirmed that.
If the command is interrupted in between, the letter remains and a second replay delivers it again; handlers are
idempotent, so it takes effect once.
"""

import argparse
import contextlib
import hashlib
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

from infra import template_map
from infra.stack import env_file
from layers.core.errors import StoreUnavailable
from layers.rabbitmq import connection, retries
from layers.rabbitmq.messages import ERROR_HEADER, TRACE_HEADER, QueueMessage

ALL = "all"
_ID_LENGTH = 16


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a dead-letter queue."""

    message: QueueMessage
    """Its queue is the one that it failed in, to which a replay publishes it."""
    tag: int
    died_at: datetime | None
    """None if another program has published it to the dead-letter queue."""

    @property
    def id(self) -> str:
        """The message id, or a hash of queue and body; copies of a message have the same."""
        content = self.message.queue.encode() + b"\0" + self.message.body
        return self.message.properties["messageId"] or hashlib.sha256(content).hexdigest()[:_ID_LENGTH]

    @property
    def error(self) -> str:
        """Why it is a dead letter."""
        deaths = self.message.properties["headers"].get("x-death")
        if deaths:
            return f"RabbitMQ dead-lettered the message: {deaths[0]['reason']}"
        return self.message.header(ERROR_HEADER) or "unknown"

    @property
    def age(self) -> timedelta | None:
        """How long it has been a dead letter, in whole seconds; None if that is unknown."""
        if self.died_at is None:
            return None
        return timedelta(seconds=int((datetime.now(UTC) - self.died_at).total_seconds()))


def read(queues: Sequence[str]) -> Iterator[DeadLetter]:
    """The dead letters of these queues, oldest first; they stay in their queues, in their order.

    Raises `LookupError` with the name of a missing queue, and `StoreUnavailable`.
    """
    with _open_channel() as channel:
        yield from _take(channel, queues)


def replay(queues: Sequence[str], wanted: str) -> Iterator[DeadLetter]:
    """Replay the letters with this id, or `all` of them; each is returned after it was replayed. Raises as `read`."""
    with _open_channel() as channel:
        for letter in _take(channel, queues):
            if wanted in (ALL, letter.id):
                retries.publish_replay(letter.message)
                channel.basic_ack(letter.tag)
                yield letter


def discard(queues: Sequence[str], wanted: str) -> Iterator[DeadLetter]:
    """Discard the letters with this id, or `all` of them; each is returned after it was discarded. Raises as `read`."""
    with _open_channel() as channel:
        for letter in _take(channel, queues):
            if wanted in (ALL, letter.id):
                channel.basic_ack(letter.tag)
                yield letter


@contextlib.contextmanager
def _open_channel() -> Iterator[BlockingChannel]:
    """A channel; when it is closed, RabbitMQ returns all messages that were taken and not acknowledged."""
    try:
        opened = pika.BlockingConnection(connection.parameters())
        try:
            yield opened.channel()
        finally:
            with contextlib.suppress(pika.exceptions.ConnectionWrongStateError):
                opened.close()
    except connection.UNAVAILABLE_ERRORS as error:
        raise StoreUnavailable("rabbitmq") from error


def _take(channel: BlockingChannel, queues: Sequence[str]) -> Iterator[DeadLetter]:
    """Take as many letters as there are now: one that fails again during a replay is not taken a second time."""
    for queue in queues:
        connection.queue_depth(queue)  # raises LookupError before anything is replayed
        for _ in range(connection.queue_depth(f"{queue}.dead")):
            method, properties, body = channel.basic_get(f"{queue}.dead")
            if method is None:  # another command has taken it
                break
            yield _dead_letter(queue, method.delivery_tag, properties, body)


def _dead_letter(queue: str, tag: int, properties: pika.BasicProperties, body: bytes) -> DeadLetter:
    headers = properties.headers or {}
    died_at = headers["x-death"][0]["time"] if headers.get("x-death") else None
    if died_at is None and properties.timestamp is not None:
        died_at = datetime.fromtimestamp(properties.timestamp, UTC)
    named = {"contentType": properties.content_type, "messageId": properties.message_id, "headers": headers}
    message = QueueMessage(queue=queue, body=body, properties=named, redelivered=True)
    return DeadLetter(message=message, tag=tag, died_at=died_at)


def main() -> int:
    """Print the result; 1 if RabbitMQ is not available, 2 if there is no such letter or queue."""
    arguments = _parse()
    queues = [arguments.queue] if arguments.queue else sorted({queue.name for queue in template_map.queues()})
    try:
        env_file.apply(arguments.profile)
        return _run(arguments, queues)
    except LookupError as error:
        print(f"RabbitMQ has no queue {error.args[0]}.", file=sys.stderr)
        return 2
    except StoreUnavailable:
        print("RabbitMQ is not available. Run the command again when it is.", file=sys.stderr)
        return 1
    except env_file.NeverStarted as error:
        print(error, file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace, queues: Sequence[str]) -> int:
    match arguments.command:
        case "list":
            return _print_list(queues)
        case "show":
            return _print_letters(queues, arguments.id)
        case "replay":
            return _print_changes(replay(queues, arguments.id), arguments.id, "replayed")
        case _:
            return _print_changes(discard(queues, arguments.id), arguments.id, "discarded")


def _parse() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--queue", metavar="NAME", help="only dead letters of this queue")
    common.add_argument("--profile", choices=["run", "test"], default="run", help="in which stack")
    parser = argparse.ArgumentParser(prog="python -m infra.dead_letters", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", parents=[common], help="print a summary of each letter")
    for name, described, ids in (
        ("show", "print a letter with its headers and its body", "the letter's id"),
        ("replay", "publish a letter to its queue again", "the letter's id, or all"),
        ("discard", "delete a letter", "the letter's id, or all"),
    ):
        commands.add_parser(name, parents=[common], help=described).add_argument("id", help=ids)
    return parser.parse_args()


def _print_list(queues: Sequence[str]) -> int:
    summaries = [_summary(letter) for letter in read(queues)]
    if not summaries:
        print("There are no dead letters.")
    for summary in summaries:
        print(summary)
    return 0


def _print_letters(queues: Sequence[str], wanted: str) -> int:
    letters = [letter for letter in read(queues) if letter.id == wanted]
    for letter in letters:
        print(_summary(letter))
        for name, value in letter.message.properties["headers"].items():
            print(f"  {name}: {_printable(str(value))}")
        print(f"\n{letter.message.body.decode(errors='replace')}\n")
    return 0 if letters else _print_missing(wanted)


def _print_changes(letters: Iterator[DeadLetter], wanted: str, change: str) -> int:
    count = 0
    for count, letter in enumerate(letters, start=1):  # noqa: B007 (the number of the last one is used)
        print(f"{change}: {_summary(letter)}", flush=True)
    if not count and wanted != ALL:
        return _print_missing(wanted)
    print(f"Dead letters {change}: {count}")
    return 0


def _print_missing(wanted: str) -> int:
    print(f"There is no dead letter {wanted}.", file=sys.stderr)
    return 2


def _summary(letter: DeadLetter) -> str:
    message = letter.message
    facts = [
        letter.id,
        f"queue {message.queue}",
        f"attempts {message.attempt}",
        f"trace {message.header(TRACE_HEADER) or 'unknown'}",
        f"age {'unknown' if letter.age is None else letter.age}",
        f"{len(message.body):,} bytes",
    ]
    return f"{_printable('  '.join(facts))}\n  {_printable(letter.error)}"


def _printable(text: str) -> str:
    """The text on one line, without characters that control a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


if __name__ == "__main__":
    sys.exit(main())
