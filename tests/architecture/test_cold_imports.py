"""What takes long to load waits for its first use: a cold start in Lambda pays for it only if it is needed."""

import os
import subprocess
import sys
from typing import Final

from infra import template_map
from tests.support.stack import ROOT

LOADED_AT_FIRST_USE: Final = {"boto3", "cassandra", "prometheus_client", "psycopg"}

LOAD: Final = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sys.modules)
"""


def _loaded_modules(**environment: str) -> set[str]:
    """The top-level modules that are loaded when all functions are."""
    modules = [function.handler.rpartition(".")[0] for function in template_map.functions()]
    command = [sys.executable, "-c", LOAD, *modules]
    run = subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


def test_functions_in_lambda_load_no_driver_and_no_metrics() -> None:
    assert _loaded_modules(AWS_LAMBDA_FUNCTION_NAME="f") & LOADED_AT_FIRST_USE == set()


def test_functions_on_the_hosts_count() -> None:
    assert _loaded_modules() & LOADED_AT_FIRST_USE == {"prometheus_client"}
