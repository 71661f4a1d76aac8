"""Puts the event of an invocation together from all that was asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from infra.environments.handlers import Handler
from infra.events import redaction
from infra.invoke import events, samples
from infra.invoke.accounts import Accounts
from infra.invoke.names import UsageError
from infra.template_map import Function

ANONYMOUS: Final = "anonymous"
"""In place of a username: nobody is signed in."""


class Request(msgspec.Struct, frozen=True):
    """What is invoked."""

    event: dict[str, Any]
    sender: str | None
    """The account that was signed in; None if nobody was, or if the event has a session of its own."""


def assemble(
    function: Function,
    handler: Handler,
    accounts: Accounts,
    *,
    source: str | None = None,
    recordings: Path | None = None,
    sender: str | None = None,
    variables: Mapping[str, str] | None = None,
    publishes: bool = False,
) -> Request:
    """The event of a source, filled and prepared, with a session. Raises `accounts.ERRORS`.

    The source is a file, `-`, `last` or the id of a recording in the folder `recordings`, or None for the sample.
    Without a `sender`, a sample is sent by the account that it is meant for, a recorded event by the account that sent
    it, and another event with a session as it is.
    """
    event = events.with_password(events.read_event(source, function, recordings))
    is_sample = source is None
    if sender is not None and "headers" not in event:
        raise UsageError(f"The event of {function.name} has no headers, so nobody can be signed in.")
    if variables:
        event = events.with_path(event, variables)
    recorded_account = redaction.account_in(events.cookie(event))
    if sender is None and recorded_account:
        sender = str(recorded_account)
    keeps_session = sender is None and not is_sample and bool(events.cookie(event))
    if sender is None and not keeps_session:
        sender = samples.default_sender(function, event, handler)
    sender = None if sender == ANONYMOUS else sender
    event = samples.fill(event, sender, accounts)
    if is_sample:
        samples.prepare(event, function, sender, accounts)
    if "headers" in event and not keeps_session:
        event = events.with_session(event, accounts.sign_in(sender) if sender else None)
    if events.is_of_queue(event) and not publishes:
        event = events.withholding(event)
    return Request(event, sender)
