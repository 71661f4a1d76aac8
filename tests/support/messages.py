"""Direct messages, as clients send and read them."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from uuid import UUID

from functions.messages import list_conversations, list_messages, mark_read, open_conversation, open_group, send_message
from layers.cassandra import connection, messages
from layers.cassandra.messages import StoredMessage
from tests.support.calls import Reply, call
from tests.support.people import Person


def ask(module: ModuleType, person: Person, conversation_id: object, **given: Any) -> Reply:
    """One request about a conversation."""
    path = {"conversation_id": conversation_id} | given.pop("path", {})
    return call(module, session_id=person.session_id, path=path, **given)


def open_pair(person: Person, other: Person) -> UUID:
    """Their conversation."""
    reply = call(open_conversation, session_id=person.session_id, body={"recipientId": str(other.id)})
    assert reply.status == 201, reply.body
    return UUID(reply.json["conversationId"])


def create_group(person: Person, *others: Person, name: str = "Hikers") -> UUID:
    """A group of them all."""
    body = {"name": name, "userIds": [str(other.id) for other in others]}
    reply = call(open_group, session_id=person.session_id, body=body)
    assert reply.status == 201, reply.body
    return UUID(reply.json["conversationId"])


def send_text(person: Person, conversation_id: UUID, content: str = "Hello", **given: object) -> dict[str, Any]:
    """A message that was accepted."""
    reply = ask(send_message, person, conversation_id, body={"content": content, **given})
    assert reply.status == 201, reply.body
    message: dict[str, Any] = reply.json["message"]
    return message


def store(conversation_id: UUID, message: StoredMessage) -> None:
    """Write a message to Cassandra alone, as a request does that is slow to tell Valkey."""
    bucket = messages.find_bucket(conversation_id, message.message_id)
    if not bucket.is_announced:
        messages.announce(conversation_id, bucket.starts_at)
    messages.add(conversation_id, bucket.starts_at, message)


def read(person: Person, conversation_id: UUID, **query: object) -> list[dict[str, Any]]:
    """The messages that a person reads, the newest first."""
    reply = ask(list_messages, person, conversation_id, query=query)
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = reply.json["messages"]
    return found


def read_as_far_as(person: Person, conversation_id: UUID, message: dict[str, Any]) -> None:
    """Mark it read."""
    reply = ask(mark_read, person, conversation_id, body={"lastMessageId": message["messageId"]})
    assert (reply.status, reply.json) == (200, {"success": True})


def inbox(person: Person, **query: object) -> list[dict[str, Any]]:
    """The person's conversations."""
    reply = call(list_conversations, session_id=person.session_id, query=query)
    assert reply.status == 200, reply.body
    conversations: list[dict[str, Any]] = reply.json["conversations"]
    return conversations


def entry(person: Person, conversation_id: UUID) -> dict[str, Any]:
    """The conversation in the person's list."""
    [found] = [one for one in inbox(person, limit=100) if one["conversationId"] == str(conversation_id)]
    return found


@contextmanager
def cassandra_requests() -> Iterator[list[Any]]:
    """What this process sends to Cassandra in the block: statements and batches."""
    connection.check()
    assert connection._current is not None
    session = connection._current.session
    send, sent = session.execute_async, []

    def send_and_record(request: Any, *args: Any, **kwargs: Any) -> Any:
        sent.append(request)
        return send(request, *args, **kwargs)

    session.execute_async = send_and_record
    try:
        yield sent
    finally:
        del session.execute_async
