"""The executor in a real LocalStack, called through Lambda's API."""
# ruff: noqa: D102, D103, PLR2004, S101

import base64
import io
import json
import signal
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/any"
ECHO = "def handler(event, context): return event"


def zipped(files: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, textwrap.dedent(text))
    return data.getvalue()


class Functions:
    """Shortcuts for Lambda's API."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def create(self, name: str, source: str, **settings: Any) -> str:
        """Create a function and wait until it can be invoked; its name."""
        given = {"Runtime": "python3.13", "Role": ROLE, "Handler": "app.handler", "Timeout": 10} | settings
        self.client.create_function(FunctionName=name, Code={"ZipFile": zipped({"app.py": source})}, **given)
        self.client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
        return name

    def layer(self, name: str, files: dict[str, str]) -> str:
        content = {"ZipFile": zipped(files)}
        arn: str = self.client.publish_layer_version(LayerName=name, Content=content)["LayerVersionArn"]
        return arn

    def answer(self, name: str, event: Any = None) -> Any:
        """Invoke the function; what it returns."""
        response = self.client.invoke(FunctionName=name, Payload=json.dumps(event))
        payload = json.loads(response["Payload"].read())
        assert "FunctionError" not in response, payload
        return payload

    def error(self, name: str) -> Any:
        """Invoke a failing function; its error."""
        response = self.client.invoke(FunctionName=name)
        assert response["FunctionError"] == "Unhandled"
        return json.loads(response["Payload"].read())


@pytest.fixture
def functions(localstack: Any) -> Functions:
    return Functions(localstack.client("lambda"))


@dataclass
class SlowInit:
    """A second LocalStack, in which the init of a function exceeds its time while the other tests run."""

    localstack: Any
    answer: Future[tuple[Any, float]]


@pytest.fixture(scope="module", autouse=True)
def slow_init(start_localstack: Callable[[], Any]) -> Iterator[SlowInit]:
    localstack = start_localstack()
    functions = Functions(localstack.client("lambda"))

    def run() -> tuple[Any, float]:
        name = functions.create("slow-init", f"import time\ntime.sleep(60)\n{ECHO}", Timeout=1)
        began = time.monotonic()
        return functions.error(name), time.monotonic() - began

    with ThreadPoolExecutor(1) as threads:
        yield SlowInit(localstack, threads.submit(run))
    localstack.end(signal.SIGKILL)


def wait_for[Value](find: Callable[[], Value], seconds: float = 5) -> Value:
    """The first value that is not empty, or the last one when the time is over."""
    ends_at = time.monotonic() + seconds
    while not (value := find()) and time.monotonic() < ends_at:
        time.sleep(0.05)
    return value


def test_only_declared_variables_are_set(functions: Functions) -> None:
    source = "import os\ndef handler(event, context): return dict(os.environ)"
    name = functions.create("variables", source, Environment={"Variables": {"MINE": "1"}})
    variables = functions.answer(name)
    assert variables["MINE"] == "1"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert variables["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    foreign = {"SECRET_OF_THE_HOST", "GATEWAY_LISTEN", "HOME", "LOCALSTACK_RUNTIME_ID", "PROCESS_EXECUTOR_STATE"}
    assert not foreign & set(variables)


def test_a_client_of_the_function_reaches_localstack(functions: Functions) -> None:
    source = """
        import boto3
        def handler(event, context): return boto3.client("sts").get_caller_identity()["Account"]
    """
    assert functions.answer(functions.create("client", source, MemorySize=256)) == "000000000000"


def test_only_declared_layers_are_available_in_their_order(functions: Functions) -> None:
    one = functions.layer("one", {"python/one.py": "x = 1", "python/both.py": "x = 1"})
    two = functions.layer("two", {"python/lib/python3.13/site-packages/two.py": "", "python/both.py": "x = 2"})
    source = "import one, two, both\ndef handler(event, context): return both.x"
    assert functions.answer(functions.create("layers", source, Layers=[one, two])) == 2
    assert functions.answer(functions.create("layers-reverse", source, Layers=[two, one])) == 1
    answer = functions.error(functions.create("layers-missing", source, Layers=[one]))
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert answer["errorMessage"] == "Unable to import module 'app': No module named 'two'"


def test_a_request_that_is_too_large(functions: Functions) -> None:
    name = functions.create("large", "def handler(event, context): return len(event)")
    assert functions.answer(name, "x" * (6_291_456 - 2)) == 6_291_454
    with pytest.raises(ClientError) as raised:
        functions.answer(name, "x" * (6_291_456 - 1))
    assert raised.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_reserved_concurrency(functions: Functions) -> None:
    name = functions.create("reserved", "import time\ndef handler(event, context): time.sleep(1)")
    functions.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(functions.answer, name)
        time.sleep(0.5)
        with pytest.raises(ClientError) as raised:
            functions.answer(name)
        first.result()
    assert raised.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_logs_of_all_kinds_reach_cloudwatch(localstack: Any, functions: Functions) -> None:
    sources = {
        "log-good": "def handler(event, context): print('here')",
        "log-init": "print('here')\nimport missing",
        "log-timeout": "def handler(event, context):\n    print('here')\n    while True: pass",
    }
    for name, source in sources.items():
        functions.client.invoke(FunctionName=functions.create(name, source, Timeout=1))
    logs = localstack.client("logs")

    def messages(name: str) -> list[str]:
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"].split(" ")[0].strip() for event in events]

    for name in sources:
        assert {"here", "START", "END", "REPORT"} <= set(wait_for(lambda name=name: messages(name)))  # type: ignore[misc]


def test_the_logs_tail(functions: Functions) -> None:
    name = functions.create("tail", "def handler(event, context): print('here')")
    response = functions.client.invoke(FunctionName=name, LogType="Tail")
    log = base64.b64decode(response["LogResult"]).decode()
    assert log.startswith("START RequestId: ")
    assert "\nhere\nEND RequestId: " in log


@pytest.mark.parametrize(
    ("name", "body", "error_type"),
    [
        ("fail-raise", "raise ValueError", "ValueError"),
        ("fail-exit", "import sys; sys.exit(1)", "Runtime.ExitError"),
        ("fail-hang", "while True: pass", "Sandbox.Timedout"),
        ("fail-memory", "x = bytearray(400_000_000); input() or 1", "Runtime.OutOfMemory"),
        ("fail-large", "return 'x' * 7_000_000", "Function.ResponseSizeTooLarge"),
    ],
)
def test_after_a_failure_the_next_invocation_works(functions: Functions, name: str, body: str, error_type: str) -> None:
    body = body.replace("input() or 1", "import time; time.sleep(5)")
    source = f"def handler(event, context):\n    if event: return event\n    {body}"
    functions.create(name, source, Timeout=1)
    assert functions.error(name)["errorType"] == error_type
    assert functions.answer(name, "again") == "again"


def test_environments_are_reused_and_expire(localstack: Any, functions: Functions) -> None:
    source = "calls = 0\ndef handler(event, context):\n    global calls\n    calls += 1\n    return calls"
    name = functions.create("reused", source)
    wait_for(lambda: not localstack.runtimes())
    assert [functions.answer(name) for _ in range(3)] == [1, 2, 3]
    assert len(localstack.runtimes()) == 1
    assert wait_for(lambda: not localstack.runtimes())
    assert functions.answer(name) == 1


def test_environments_are_capped_over_all_functions(localstack: Any, functions: Functions) -> None:
    names = [functions.create(f"capped-{n}", ECHO) for n in range(6)]
    for name in [*names, *names]:
        assert functions.answer(name, name) == name
        assert len(localstack.runtimes()) <= 4


def test_more_invocations_than_environments_are_refused(functions: Functions) -> None:
    name = functions.create("crowd", "import time\ndef handler(event, context): time.sleep(1)")

    def status(_: int) -> int:
        try:
            return int(functions.client.invoke(FunctionName=name)["StatusCode"])
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(status, range(6))) == [200] * 4 + [429] * 2


def test_hot_reload(functions: Functions, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)  # a function is not root
    module = tmp_path / "app.py"
    module.write_text("def handler(event, context): return 1")
    name = functions.create("hot", ECHO)
    functions.client.update_function_code(FunctionName=name, S3Bucket="hot-reload", S3Key=str(tmp_path))
    functions.client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    assert functions.answer(name) == 1
    module.write_text("def handler(event, context): return 'changed'")
    assert functions.answer(name) == "changed"


def test_hot_reload_of_a_layer(functions: Functions, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    module = tmp_path / "python" / "one.py"
    module.parent.mkdir()
    module.write_text("x = 1")
    content = {"S3Bucket": "hot-reload", "S3Key": str(tmp_path)}
    layer = functions.client.publish_layer_version(LayerName="hot", Content=content)["LayerVersionArn"]
    name = functions.create("hot-layer", "import one\ndef handler(event, context): return one.x", Layers=[layer])
    assert functions.answer(name) == 1
    module.write_text("x = 'changed'")
    assert functions.answer(name) == "changed"


def test_an_update_lets_the_running_invocation_finish(localstack: Any, functions: Functions) -> None:
    name = functions.create("updated", "import time\ndef handler(event, context):\n    time.sleep(1)\n    return 'old'")
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(functions.answer, name)
        time.sleep(0.4)
        code = zipped({"app.py": "def handler(event, context): return 'new'"})
        functions.client.update_function_code(FunctionName=name, ZipFile=code)
        functions.client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
        assert functions.answer(name) == "new"
        assert running.result() == "old"
    functions.client.delete_function(FunctionName=name)
    assert wait_for(lambda: not localstack.runtimes())


def test_provisioned_concurrency(functions: Functions) -> None:
    name = functions.create("provisioned", "import os\ndef handler(event, context): return os.environ[event]")
    version = functions.client.publish_version(FunctionName=name)["Version"]
    which = {"FunctionName": name, "Qualifier": version}
    functions.client.put_provisioned_concurrency_config(**which, ProvisionedConcurrentExecutions=1)
    wait_for(lambda: functions.client.get_provisioned_concurrency_config(**which)["Status"] == "READY")
    response = functions.client.invoke(**which, Payload='"AWS_LAMBDA_INITIALIZATION_TYPE"')
    assert response["Payload"].read() == b'"provisioned-concurrency"'
    functions.client.delete_function(FunctionName=name)


def test_a_runtime_that_is_not_set(functions: Functions) -> None:
    code = {"ZipFile": zipped({"app.py": ECHO})}
    functions.client.create_function(
        FunctionName="other", Runtime="nodejs22.x", Role=ROLE, Handler="app.handler", Code=code
    )
    wait_for(lambda: functions.client.get_function(FunctionName="other")["Configuration"]["State"] == "Failed")
    reason = functions.client.get_function(FunctionName="other")["Configuration"]["StateReason"]
    assert "PROCESS_EXECUTOR_RUNTIMES names no interpreter for nodejs22.x" in reason


def test_an_init_that_exceeds_its_time_runs_again_within_the_timeout(slow_init: SlowInit) -> None:
    error, seconds = slow_init.answer.result()
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert 11 <= seconds < 13


def test_no_processes_remain_when_localstack_is_killed(slow_init: SlowInit) -> None:
    localstack = slow_init.localstack
    functions = Functions(localstack.client("lambda"))
    functions.create("idle", ECHO)
    functions.answer("idle")
    busy = """
        import subprocess, time
        def handler(event, context):
            subprocess.Popen(["sleep", "600"], start_new_session=True)
            time.sleep(600)
    """
    functions.create("busy", busy, Timeout=600)
    functions.client.invoke(FunctionName="busy", InvocationType="Event")
    assert wait_for(lambda: len(localstack.runtimes()) == 2)
    assert localstack.end(signal.SIGKILL) == []
    assert str(localstack.state) not in Path("/proc/mounts").read_text()
    assert {each.name for each in localstack.state.iterdir()} == {"root"}
    assert not list(localstack.state.glob("root/*"))
