"""Lists the recorded events of a function, or shows one: `make events`.

python -m infra.invoke.recordings posts/like_post [--show ID|last|sample] [--as grace] [--profile test]

An event goes to standard output alone, so that it can be saved, edited and given to `make invoke`. The sample is shown
as it would be sent, with the ids of the running system and the cookie of a session that lasts a day, so that it also
works with the AWS CLI and `sam local invoke`.
"""

import argparse
import sys

import msgspec

from infra.environments.handlers import HandlerNotLoaded
from infra.events import recorded
from infra.events.recorded import Recording
from infra.invoke import accounts, names, report
from infra.invoke.accounts import Accounts
from infra.invoke.assembly import assemble
from infra.invoke.hosts import LocalHost
from infra.invoke.names import UsageError
from infra.stack import env_file
from infra.stack.profiles import profile
from infra.template_map import Function

SAMPLE = "sample"
_NOT_FOUND = 2


def main() -> int:
    """0 if there was something to print, otherwise 2."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.invoke.recordings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("function", help="for example posts/like_post")
    parser.add_argument("--show", metavar="ID", help=f"an id of the list, {recorded.LAST}, or {SAMPLE}")
    parser.add_argument("--as", dest="sender", metavar="USERNAME", help="who sends the sample")
    parser.add_argument("--profile", choices=["run", "test"], default="run", help="in which stack")
    arguments = parser.parse_args()
    folder = profile(arguments.profile).recordings
    try:
        env_file.apply(arguments.profile)
        function = names.find_function(arguments.function)
        if arguments.show == SAMPLE:
            _show_sample(function, arguments.sender)
        elif arguments.show:
            _show(recorded.read_event(folder, function.name, arguments.show))
        else:
            _list(function, recorded.list_events(folder, function.name))
    except (*accounts.ERRORS, HandlerNotLoaded, LookupError, env_file.NeverStarted) as error:
        print(error.args[0] if isinstance(error, LookupError) else error, file=sys.stderr)
        return _NOT_FOUND
    return 0


def _list(function: Function, found: list[Recording]) -> None:
    """Newest first."""
    if not found:
        raise UsageError(
            f"No event of {function.name} is recorded. The local hosts record events of functions that they run; "
            "PHOTOGRAM_EVENTS is how many."
        )
    print(f"{'id':<28}{'time (UTC)':<21}{'host':<10}{'status':<8}{'ms':>9}  trace id")
    for each in found:
        time = f"{each.at:%Y-%m-%d %H:%M:%S}"
        print(f"{each.id:<28}{time:<21}{each.host:<10}{each.status:<8}{each.duration_ms:>9}  {each.trace_id or ''}")


def _show(recording: Recording) -> None:
    print(f"{recording.function} {recording.id}: {recording.status} in {recording.duration_ms} ms", file=sys.stderr)
    if not recording.is_whole:
        print("The body of this event was too long to be kept.", file=sys.stderr)
    print(report.result_text(recording.result), file=sys.stderr, flush=True)
    print(msgspec.json.format(msgspec.json.encode(recording.event), indent=2).decode())


def _show_sample(function: Function, sender: str | None) -> None:
    with Accounts() as signed_in:
        request = assemble(function, LocalHost(function).load(), signed_in, sender=sender, publishes=True)
        if request.sender:
            signed_in.keep(request.sender)
    print(msgspec.json.format(msgspec.json.encode(request.event), indent=2).decode())


if __name__ == "__main__":
    sys.exit(main())
