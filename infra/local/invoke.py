"""Runs one function with its sample event, another event from a file, or one from standard input.

python -m infra.local.invoke posts/like_post [event.json | -] [--as ada] [--path post_id=…] [--host localstack]
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

from infra import stack_settings, template_map
from infra.local.environment import Environment, NotLoaded
from infra.local.event import STAGE
from infra.template_map import Function
from layers.core.errors import PhotogramError
from layers.core.request import SESSION_COOKIE

EVENTS = Path(__file__).parents[2] / "events"


class Unusable(Exception):
    """What was asked for cannot be done; says why."""


def function_named(name: str) -> Function:
    """The function; a `functions/posts/like_post.py` path is understood too. Raises `Unusable` with near names."""
    wanted = name.removeprefix("functions/").removesuffix(".py")
    known = {function.name: function for function in template_map.functions()}
    if wanted in known:
        return known[wanted]
    by_verb = {each.rpartition("/")[2]: each for each in known}
    near = difflib.get_close_matches(wanted, known, 3) or [
        by_verb[verb] for verb in difflib.get_close_matches(wanted.rpartition("/")[2], by_verb, 3)
    ]
    hint = f"Did you mean {', '.join(near)}?" if near else f"There are: {', '.join(sorted(known))}."
    raise Unusable(f"There is no function {name}. {hint}")


def event_from(source: str | None, function: Function) -> dict[str, Any]:
    """The event of a file, of standard input (`-`), or the sample; raises `Unusable`."""
    path = EVENTS / f"{function.name}.json" if source is None else Path(source)
    try:
        text = sys.stdin.read() if source == "-" else path.read_text()
        event = json.loads(text)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise Unusable(f"{'standard input' if source == '-' else path} is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise Unusable("An event is a JSON object.")
    return event


def signed_in(event: dict[str, Any], username: str) -> dict[str, Any]:
    """The event as this user's browser would send it, with a new session; raises `PhotogramError`."""
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


def moved(event: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The event with other values in its path; raises `Unusable` for a variable that the path lacks."""
    resource = event.get("resource") or ""
    variables = {**(event.get("pathParameters") or {})}
    if unknown := sorted(values.keys() - variables.keys()):
        raise Unusable(f"{resource or 'This event'} has no {unknown[0]} in its path.")
    variables |= values
    path = re.sub(r"{(\w+)}", lambda name: quote(variables[name[1]], safe=""), resource)
    context = {**event["requestContext"], "path": f"/{event['requestContext'].get('stage', STAGE)}{path}"}
    return {**event, "path": path, "pathParameters": variables, "requestContext": context}


def main() -> int:
    """Print log, result and duration; 1 if the function failed, 2 if it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.invoke", description=__doc__)
    parser.add_argument("function", help="as in posts/like_post")
    parser.add_argument("event", nargs="?", help="a file, or - for standard input; the sample in events/ if left out")
    parser.add_argument("--as", dest="username", metavar="USERNAME", help="sign this user in for it")
    parser.add_argument("--path", action="append", default=[], metavar="NAME=VALUE", help="a value in the path")
    parser.add_argument("--host", choices=["local", "localstack"], default="local", help="where it runs")
    given = parser.parse_args()
    try:
        function = function_named(given.function)
        event = event_from(given.event, function)
        if given.path:
            event = moved(event, dict(each.partition("=")[::2] for each in given.path))
        _use_settings()
        if given.username:
            event = signed_in(event, given.username)
        if given.host == "localstack":
            return _invoke_deployed(function, event)
        environment = Environment(function)
        environment.load()
    except (Unusable, PhotogramError, NotLoaded) as error:
        print(error, file=sys.stderr)
        return 2
    started = time.perf_counter()
    try:
        result = environment.invoke(event)
    except Exception as error:  # noqa: BLE001 (the function's, whatever it is)
        sys.excepthook(type(error), error, error.__traceback__)
        print(f"\n{function.name} failed after {_milliseconds(started)}", file=sys.stderr)
        return 1
    took = _milliseconds(started)
    sys.stdout.flush()
    print(_pretty(result))
    print(f"\n{function.name} took {took}", file=sys.stderr)
    return 0


def _invoke_deployed(function: Function, event: Mapping[str, Any]) -> int:
    """The same through Lambda's Invoke API in LocalStack."""
    from infra.localstack import cloud, functions  # noqa: PLC0415 (boto3, which our own host does without)

    started = time.perf_counter()
    try:
        outcome = functions.invoke(function, event)
    except (cloud.NotDeployed, *cloud.AWAY) as error:
        print(error, file=sys.stderr)
        return 2
    took = _milliseconds(started)
    print(outcome.log, flush=True)
    print(_pretty(outcome.payload))
    print(f"\n{function.name} {'failed after' if outcome.error else 'took'} {took} in LocalStack", file=sys.stderr)
    return 1 if outcome.error else 0


def _use_settings() -> None:
    """Those of `make run`, if it was ever run; some functions need no store."""
    try:
        stack_settings.use("run")
    except stack_settings.NotUp as error:
        print(f"{error}. Going on without its settings.", file=sys.stderr)


def _milliseconds(started: float) -> str:
    return f"{(time.perf_counter() - started) * 1000:.1f} ms"


def _pretty(result: object) -> str:
    """The result; a reply's JSON body is shown as JSON."""
    if isinstance(result, dict) and isinstance(result.get("body"), str):
        with contextlib.suppress(ValueError):
            result = {**result, "body": json.loads(result["body"])}
    return msgspec.json.format(msgspec.json.encode(result, enc_hook=str), indent=2).decode()


if __name__ == "__main__":
    sys.exit(main())
