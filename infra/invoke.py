"""Runs one function with its sample event, an event from a file, or an event from standard input.

python -m infra.invoke posts/like_post [event.json | -] [--as ada] [--path post_id=…] [--host localstack]
"""

import argparse
import contextlib
import difflib
import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from infra import template_map
from infra.environments.handlers import HandlerNotLoaded
from infra.environments.in_process import InProcessEnvironment
from infra.events.rest import STAGE
from infra.stack import env_file
from infra.template_map import Function
from layers.core.errors import PhotogramError
from layers.entrypoints.request import SESSION_COOKIE

EVENTS = Path(__file__).parents[1] / "events"


class UsageError(Exception):
    """The arguments are wrong; the message says what and what to do."""


def find_function(name: str) -> Function:
    """The function of this name, or of this path (`functions/posts/like_post.py`).

    Raises `UsageError` that suggests similar names.
    """
    wanted = name.removeprefix("functions/").removesuffix(".py")
    functions = {function.name: function for function in template_map.functions()}
    if wanted in functions:
        return functions[wanted]
    by_file = {each.rpartition("/")[2]: each for each in functions}
    similar = difflib.get_close_matches(wanted, functions, 3) or [
        by_file[file] for file in difflib.get_close_matches(wanted.rpartition("/")[2], by_file, 3)
    ]
    hint = f"Did you mean {', '.join(similar)}?" if similar else f"Functions: {', '.join(sorted(functions))}."
    raise UsageError(f"There is no function {name}. {hint}")


def read_event(source: str | None, function: Function) -> dict[str, Any]:
    """The event in a file, in standard input (`-`), or the function's sample (None); raises `UsageError`."""
    path = EVENTS / f"{function.name}.json" if source is None else Path(source)
    try:
        text = sys.stdin.read() if source == "-" else path.read_text()
        event = json.loads(text)
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{'Standard input' if source == '-' else path} is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise UsageError("An event must be a JSON object.")
    return event


def sign_in(event: dict[str, Any], username: str) -> dict[str, Any]:
    """Start a session for the user; the event with its cookie. Raises `PhotogramError`."""
    from layers.core.models import UserRef  # noqa: PLC0415 (most invocations need no database)
    from layers.postgres import sessions, users  # noqa: PLC0415
    from layers.postgres.connection import transaction  # noqa: PLC0415

    with transaction() as db:
        profile = users.read_profile(db, ref=UserRef.parse(username), viewer=None)
        session_id = sessions.start(db, user_id=profile.id)
    cookie = f"{SESSION_COOKIE}={session_id}"
    return {
        **event,
        "headers": {**(event.get("headers") or {}), "cookie": cookie},
        "multiValueHeaders": {**(event.get("multiValueHeaders") or {}), "cookie": [cookie]},
    }


def with_path(event: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The event with these values of path variables; raises `UsageError` for a variable that its path does not have."""
    resource = event.get("resource") or ""
    variables = {**(event.get("pathParameters") or {})}
    if unknown := sorted(values.keys() - variables.keys()):
        raise UsageError(f"The path of {resource or 'this event'} has no variable {unknown[0]}.")
    variables |= values
    path = re.sub(r"{(\w+)}", lambda name: quote(variables[name[1]], safe=""), resource)
    context = {**event["requestContext"], "path": f"/{event['requestContext'].get('stage', STAGE)}{path}"}
    return {**event, "path": path, "pathParameters": variables, "requestContext": context}


def main() -> int:
    """Print log, result and duration; 1 if the function failed, 2 if it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m infra.invoke", description=__doc__)
    parser.add_argument("function", help="for example posts/like_post")
    parser.add_argument("event", nargs="?", help="a file, or - for standard input; by default the sample in events/")
    parser.add_argument("--as", dest="username", metavar="USERNAME", help="sign in as this user")
    parser.add_argument("--path", action="append", default=[], metavar="NAME=VALUE", help="set a variable of the path")
    parser.add_argument("--host", choices=["local", "localstack"], default="local", help="where to run it")
    arguments = parser.parse_args()
    try:
        function = find_function(arguments.function)
        event = read_event(arguments.event, function)
        if arguments.path:
            event = with_path(event, dict(each.partition("=")[::2] for each in arguments.path))
        _load_settings()
        if arguments.username:
            event = sign_in(event, arguments.username)
        if arguments.host == "localstack":
            return _invoke_deployed(function, event)
        environment = InProcessEnvironment(function)
        environment.load()
    except (UsageError, PhotogramError, HandlerNotLoaded) as error:
        print(error, file=sys.stderr)
        return 2
    started = time.perf_counter()
    try:
        result = environment.invoke(event)
    except Exception as error:  # noqa: BLE001 (a function may raise anything)
        sys.excepthook(type(error), error, error.__traceback__)
        print(f"\n{function.name} failed after {_milliseconds(started)}", file=sys.stderr)
        return 1
    duration = _milliseconds(started)
    sys.stdout.flush()
    print(_pretty(result))
    print(f"\n{function.name} took {duration}", file=sys.stderr)
    return 0


def _invoke_deployed(function: Function, event: Mapping[str, Any]) -> int:
    """Invoke the function through Lambda's Invoke API in LocalStack."""
    from infra.localstack import cloud, functions  # noqa: PLC0415 (imports boto3, which takes longer than a local run)

    started = time.perf_counter()
    try:
        outcome = functions.invoke(function, event)
    except (cloud.NotDeployed, *cloud.ERRORS) as error:
        print(error, file=sys.stderr)
        return 2
    duration = _milliseconds(started)
    print(outcome.log, flush=True)
    print(_pretty(outcome.payload))
    print(f"\n{function.name} {'failed after' if outcome.error else 'took'} {duration} in LocalStack", file=sys.stderr)
    return 1 if outcome.error else 0


def _load_settings() -> None:
    """The settings of `make run`, if the stack was ever started; some functions need no store."""
    try:
        env_file.apply("run")
    except env_file.NeverStarted as error:
        print(f"{error}\nContinuing without its settings.", file=sys.stderr)


def _milliseconds(started: float) -> str:
    return f"{(time.perf_counter() - started) * 1000:.1f} ms"


def _pretty(result: object) -> str:
    """The result as indented JSON; the JSON body of an HTTP reply is shown as JSON, not as a string."""
    if isinstance(result, dict) and isinstance(result.get("body"), str):
        with contextlib.suppress(ValueError):
            result = {**result, "body": json.loads(result["body"])}
    return msgspec.json.format(msgspec.json.encode(result, enc_hook=str), indent=2).decode()


if __name__ == "__main__":
    sys.exit(main())
