"""Every sample works: its function succeeds with it, again and again, on every host (`make invoke`)."""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest

from infra import demo, template_map
from infra.invoke.accounts import Accounts
from infra.invoke.assembly import assemble
from infra.invoke.hosts import Invoked, LocalHost
from infra.template_map import Function
from layers.rabbitmq import connection
from tests.support import answers
from tests.support.hosts import free_port, running
from tests.support.http import nginx_origin
from tests.support.samples import invoke_sample, member_names, restore_demo

FUNCTIONS: Final = template_map.functions()
ROUTED: Final = {route.function.name for route in template_map.routes()}
REQUESTS: Final = [function for function in FUNCTIONS if function.name in ROUTED]

each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
each_request = pytest.mark.parametrize("function", REQUESTS, ids=lambda function: function.name)


@pytest.fixture(scope="module", autouse=True)
def whole_demo() -> Iterator[None]:
    """The demo, which is restored at the end."""
    demo.create(nginx_origin())
    yield
    restore_demo()
    connection.close()


@functools.cache
def invoke_first(name: str) -> Invoked:
    """The outcome of a function's sample in this process, once in this run."""
    function = template_map.function(name)
    return invoke_sample(LocalHost(function), function)


@pytest.fixture(scope="module")
def chalice_origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of a running `chalice local`."""
    port = free_port()
    command = [
        *(str(Path(sys.executable).with_name("chalice")), "--project-dir", "infra/chalice", "local"),
        *("--no-autoreload", "--port", str(port)),
    ]
    with running(command, address=port, log_file=tmp_path_factory.mktemp("chalice") / "log"):
        yield f"http://127.0.0.1:{port}"


@each_function
def test_a_sample_succeeds_in_process_also_the_second_time(function: Function) -> None:
    first, second = invoke_first(function.name), invoke_sample(LocalHost(function), function)

    assert not first.has_failed, first
    assert not second.has_failed, second


@each_request
@pytest.mark.parametrize("host", ["front door", "chalice local"])
def test_a_sample_gets_from_each_http_host_what_it_gets_in_process(
    function: Function, host: str, chalice_origin: str
) -> None:
    reads = "GET" in [route.method for route in template_map.routes() if route.function == function]
    here = (invoke_sample(LocalHost(function), function) if reads else invoke_first(function.name)).result
    origin = nginx_origin() if host == "front door" else chalice_origin
    with Accounts() as accounts:
        event = assemble(function, LocalHost(function).load(), accounts).event
        served = httpx.request(
            event["httpMethod"],
            origin + answers.target(event),
            headers=event["headers"],
            content=answers.body(event),
            timeout=30,
        )

    assert served.status_code == here["statusCode"], served.text
    assert member_names(served.json()) == member_names(msgspec.json.decode(here["body"]))
    assert set(here["headers"]) <= {name.lower() for name in served.headers}
