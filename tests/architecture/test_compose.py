"""docker-compose.yml is valid, and runs the programs of the native stack with the same configuration files.

compose_spec/ holds the schema of the Compose Specification, from compose-go 2.16.2 (Apache License 2.0).
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from infra.stack import compose, configs, env_file
from infra.stack.profiles import profile

ROOT = Path(__file__).parents[2]
SCHEMA = Path(__file__).parent / "compose_spec" / "compose-spec.json"
TEXT = (ROOT / "docker-compose.yml").read_text()


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(TEXT)
    return parsed


def test_the_compose_file_is_valid_by_the_schema(file: dict[str, Any]) -> None:
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(file)] == []


def test_the_schema_refuses_an_invalid_file(file: dict[str, Any]) -> None:
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    invalid = file | {"services": {"postgres": {"imagine": "postgres:17"}}}
    assert not validator.is_valid(invalid)


def test_compose_runs_the_same_programs_as_the_native_stack(file: dict[str, Any]) -> None:
    assert set(file["services"]) == set(compose.SERVICES)
    assert set(configs.FILES) <= set(compose.SERVICES)


def test_every_configuration_file_that_compose_names_is_rendered_for_the_native_stack() -> None:
    named = set(re.findall(r"\$\{STATE\}/config/([\w.]+)", TEXT))
    rendered = {Path(name).name for names in configs.FILES.values() for name in names}
    assert named <= rendered | {"enabled_plugins"}
    assert {"postgresql.conf", "valkey.conf", "rabbitmq.conf", "cassandra.yaml", "nginx.conf"} <= named


def test_every_variable_of_the_compose_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOGRAM_STATE", str(tmp_path))
    stack = profile("run")
    stack.state.mkdir(parents=True)
    settings = env_file.write(stack)
    compose.write_variables(stack, settings, dict.fromkeys(configs.FILES, "text"))
    written = {line.split("=")[0] for line in (stack.state / "compose.env").read_text().splitlines()}
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == written


def test_no_program_publishes_a_port_to_other_machines(file: dict[str, Any]) -> None:
    assert all("ports" not in service for service in file["services"].values())
    assert all(service["network_mode"] == "host" for service in file["services"].values())
