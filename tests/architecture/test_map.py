"""template.yaml is consistent with the code, the sample events and AWS's rules."""

import ast
import importlib
import json
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra import check_template, template_map
from infra.events import rest
from infra.events.schedule import next_time
from infra.template_map import Function, Route
from layers.core.events import QUEUES
from layers.core.settings import SECRETS, Settings
from layers.entrypoints.declarations import declared_fields

ROOT = Path(__file__).parents[2]
FUNCTIONS = template_map.functions()

each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)


def _source(function: Function) -> Path:
    return ROOT / "functions" / f"{function.name}.py"


def _triggers(function: Function) -> list[str]:
    """How the first line of a handler's file must begin, for each trigger."""
    found = []
    for name, given in function.events.items():
        properties = given["Properties"]
        match given["Type"]:
            case "Api" if not name.startswith("Alias"):
                found.append(f"{properties['Method']} {properties['Path']}")
            case "MQ":
                found += [f"Queue {queue}" for queue in properties["Queues"]]
            case "Schedule":
                rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", properties["Schedule"])
                assert rate, "this test does not know how to describe this schedule"
                found.append(f"Every {rate[2]}" if rate[1] == "1" else f"Every {rate[1]} {rate[2]}s")
    return found + [f"Live {key}" for key, each in template_map.live_routes().items() if each == function]


def test_the_template_has_triggers_of_every_type() -> None:
    assert len(FUNCTIONS) >= 25
    assert template_map.routes()
    assert template_map.queues()
    assert template_map.schedules()


@pytest.mark.parametrize("route", template_map.routes(), ids=lambda route: f"{route.method} {route.path}")
def test_the_template_says_how_many_files_a_form_may_hold(route: Route) -> None:
    module, _, name = route.function.handler.rpartition(".")
    form = getattr(importlib.import_module(module), name).signature.form
    declared = [field.files.at_most for field in declared_fields(form) if field.files] if form else []

    assert route.function.max_files == sum(declared)


def test_handlers_on_disk_are_the_handlers_of_the_template() -> None:
    on_disk = {path.relative_to(ROOT / "functions").with_suffix("").as_posix() for path in _handlers()}

    assert on_disk == {function.name for function in FUNCTIONS}


def _handlers() -> list[Path]:
    return [path for path in (ROOT / "functions").glob("*/*.py") if path.name != "__init__.py"]


def test_functions_holds_no_python_files_but_handlers() -> None:
    files = {path for path in (ROOT / "functions").rglob("*.py") if path.name != "__init__.py"}

    assert files == set(_handlers())


@each_function
def test_a_functions_logical_id_is_made_from_its_file_name(function: Function) -> None:
    words = function.name.rpartition("/")[2].split("_")

    assert function.logical_id == "".join(word.title() for word in words)


@each_function
def test_a_function_has_one_trigger_and_its_docstring_starts_with_it(function: Function) -> None:
    module = ast.parse(_source(function).read_text())
    first_line = (ast.get_docstring(module) or "").splitlines()[0]
    (trigger,) = _triggers(function)

    assert first_line.startswith(f"{trigger}: "), first_line
    assert first_line.endswith("."), first_line


@each_function
def test_an_alias_has_a_canonical_route(function: Function) -> None:
    kinds = {(name.startswith("Alias"), given["Type"]) for name, given in function.events.items()}

    assert (True, "Api") not in kinds or (False, "Api") in kinds


def test_no_route_is_listed_twice() -> None:
    listed = [(route.method, route.path) for route in template_map.routes()]

    assert len(listed) == len(set(listed))


def test_one_variable_per_level_of_a_path() -> None:
    variables = defaultdict(set)
    for route in template_map.routes():
        parts = route.path.split("/")
        for level, part in enumerate(parts):
            if part.startswith("{"):
                variables["/".join(parts[:level])].add(part)

    assert variables
    assert {before: names for before, names in variables.items() if len(names) > 1} == {}


@pytest.mark.parametrize("route", template_map.routes(), ids=lambda route: f"{route.method} {route.path}")
def test_a_paths_variables_are_the_handlers_arguments(route: template_map.Route) -> None:
    module, _, name = route.function.handler.rpartition(".")
    handler = getattr(importlib.import_module(module), name)

    assert [name for name, _ in handler.signature.path] == re.findall(r"{(\w+)}", route.path)


def test_the_events_mirror_the_functions() -> None:
    on_disk = {path.relative_to(ROOT / "events").with_suffix("").as_posix() for path in (ROOT / "events").rglob("*.*")}

    assert on_disk == {function.name for function in FUNCTIONS}


@each_function
def test_a_sample_event_is_of_its_trigger(function: Function) -> None:
    sample = json.loads((ROOT / "events" / f"{function.name}.json").read_text())
    (trigger,) = _triggers(function)
    kind, _, what = trigger.partition(" ")

    if kind == "Queue":
        assert sample["eventSource"] == "aws:rmq"
        assert list(sample["rmqMessagesByQueue"]) == [f"{what}::/"]
        assert sample["rmqMessagesByQueue"][f"{what}::/"]
    elif kind == "Every":
        assert (sample["source"], sample["detail-type"]) == ("aws.events", "Scheduled Event")
        assert function.logical_id in sample["resources"][0]
    elif kind == "Live":
        assert sample["requestContext"]["routeKey"] == what
    else:
        context = sample["requestContext"]
        found = rest.find_resource(sample["path"])
        assert found
        resource, variables = found
        assert (sample["httpMethod"], sample["resource"], resource.path) == (kind, what, what)
        assert (context["httpMethod"], context["resourcePath"]) == (kind, what)
        assert context["path"] == f"/{rest.STAGE}{sample['path']}"
        assert sample["pathParameters"] == (variables or None)


@pytest.mark.parametrize("schedule", template_map.schedules(), ids=lambda schedule: schedule.function.name)
def test_a_schedule_is_longer_than_its_functions_timeout(schedule: template_map.Schedule) -> None:
    first = next_time(schedule.expression, datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC))

    assert (next_time(schedule.expression, first) - first).total_seconds() >= max(60, schedule.function.timeout_seconds)


def test_a_request_is_answered_before_api_gateway_gives_up() -> None:
    timeouts = {route.function.name: route.function.timeout_seconds for route in template_map.routes()}

    assert {name: seconds for name, seconds in timeouts.items() if seconds > 29} == {}


def test_the_queues_of_the_code_are_those_of_the_template() -> None:
    assert sorted(QUEUES) == sorted(queue.name for queue in template_map.queues())


def test_the_template_sets_only_known_settings() -> None:
    variables = template_map.template()["Globals"]["Function"]["Environment"]["Variables"]

    assert variables
    assert {name.lower().removesuffix("_arn") for name in variables} <= {*Settings.__struct_fields__, *SECRETS}


def test_the_template_passes_the_sam_translator_and_fits_cloudformation() -> None:
    translated = check_template.translate()

    assert translated.exceeded_limits() == []
    types = [each["Type"] for each in translated.document["Resources"].values()]
    assert types.count("AWS::Lambda::Function") == len(FUNCTIONS)
