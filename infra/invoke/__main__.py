"""Runs one function with its sample event, an event from a file or standard input, or one that a host has recorded.

python -m infra.invoke posts/like_post [event.json | - | last] [--as ada] [--path post_id=…] [--host localstack]

The result goes to standard output, the log and the figures to standard error. A sample is sent by the demo's account
`ada`, or by the admin where the function wants one, and its ids stand for what the demo has (infra/invoke/samples.py).
"""

import argparse
import os
import sys
from typing import TextIO

from infra.environments.handlers import HandlerNotLoaded
from infra.invoke import accounts, names, report
from infra.invoke.accounts import Accounts
from infra.invoke.assembly import ANONYMOUS, assemble
from infra.invoke.hosts import LocalHost, LocalStackHost
from infra.stack import env_file
from infra.stack.profiles import Name, profile

_PATH = "PATH_"
_FAILED, _NOT_RUN = 1, 2


def main() -> int:
    """0 if the invocation succeeded, 1 if it failed, 2 if it could not be made."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.invoke", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("function", nargs="?", default="", help="for example posts/like_post")
    parser.add_argument(
        "event",
        nargs="?",
        help="a file, - for standard input, last or the id of a recorded event; by default the sample in events/",
    )
    parser.add_argument("--as", dest="sender", metavar="USERNAME", help=f"who sends it, or {ANONYMOUS}")
    parser.add_argument("--path", action="append", default=[], metavar="NAME=VALUE", help="set a variable of the path")
    parser.add_argument("--host", choices=["local", "localstack"], default="local", help="where to run it")
    parser.add_argument("--profile", choices=["run", "test"], default="run", help="in which stack")
    parser.add_argument("--live", action="store_true", help="let a queue's function publish its messages")
    arguments = parser.parse_args()
    output = _take_standard_output()
    try:
        function = names.find_function(arguments.function)
        host = LocalStackHost(function) if arguments.host == "localstack" else LocalHost(function)
        _load_settings(arguments.profile)
        variables = _path_variables() | dict(each.partition("=")[::2] for each in arguments.path)
        with Accounts() as signed_in:
            request = assemble(
                function,
                host.load(),
                signed_in,
                source=arguments.event,
                recordings=profile(arguments.profile).recordings,
                sender=arguments.sender,
                variables=variables,
                publishes=arguments.live,
            )
            report.print_start(function, request, host=host.name)
            invoked = host.invoke(request.event)
    except (*accounts.ERRORS, HandlerNotLoaded) as error:
        print(error, file=sys.stderr)
        return _NOT_RUN
    except Exception as error:
        if not _is_of_localstack(error):
            raise
        print(error, file=sys.stderr)
        return _NOT_RUN
    report.print_end(function, invoked, log=host.log if isinstance(host, LocalStackHost) else "")
    if not invoked.error:
        print(report.result_text(invoked.result), file=output, flush=True)
    return _FAILED if invoked.has_failed else 0


def _take_standard_output() -> TextIO:
    """Standard output for the result alone: from now on, what functions print goes to standard error."""
    output = os.fdopen(os.dup(1), "w")
    sys.stdout.flush()
    os.dup2(2, 1)
    return output


def _path_variables() -> dict[str, str]:
    """The variables of the path in the environment, where make puts those of its command line: PATH_post_id=…"""
    return {
        name.removeprefix(_PATH): value
        for name, value in os.environ.items()
        if name.startswith(_PATH) and name.removeprefix(_PATH).islower()
    }


def _load_settings(name: Name) -> None:
    """The settings of the stack, if it was ever started; some functions need no store."""
    try:
        env_file.apply(name)
    except env_file.NeverStarted as error:
        print(f"{error}\nContinuing without its settings.", file=sys.stderr)


def _is_of_localstack(error: Exception) -> bool:
    """Whether LocalStack does not answer or has no such function."""
    if "infra.localstack.cloud" not in sys.modules:
        return False
    from infra.localstack import cloud  # noqa: PLC0415 (imports boto3, which a local run does without)

    return isinstance(error, (cloud.NotDeployed, *cloud.ERRORS))


if __name__ == "__main__":
    sys.exit(main())
