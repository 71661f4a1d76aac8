"""Environments without LocalStack: real processes, with each kind of isolation that this machine supports."""
# ruff: noqa: D103, PLR2004, S101, S108

import json
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from localstack_process_executor.environment import Result
from localstack_process_executor.pool import Pool, PoolExhausted
from localstack_process_executor.reports import MAX_RESPONSE_BYTES

Invoke = Callable[..., Result]
ECHO = "def handler(event, context): return event"
COUNT = """
    calls = 0
    def handler(event, context):
        global calls
        calls += 1
        return calls
"""


def error(result: Result) -> dict[str, Any]:
    assert result.is_error
    answer: dict[str, Any] = json.loads(result.payload)
    return answer


def test_an_environment_is_reused(factory: Any, invoke: Invoke) -> None:
    environment = factory.environment(COUNT)
    assert [invoke(environment).payload for _ in range(3)] == [b"1", b"2", b"3"]


def test_the_context_has_the_request_id_and_the_deadline(factory: Any, invoke: Invoke) -> None:
    source = """
        def handler(event, context):
            return [context.aws_request_id, context.invoked_function_arn, context.get_remaining_time_in_millis()]
    """
    request_id, arn, left = json.loads(invoke(factory.environment(source), seconds=2).payload)
    assert (request_id, arn) == ("id-1", "arn:f")
    assert 1800 < left <= 2000


def test_only_declared_variables_are_set(factory: Any, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    source = "import os\ndef handler(event, context): return dict(os.environ)"
    variables = json.loads(invoke(factory.environment(source, variables={"MINE": "1"})).payload)
    lambdas = {"LANG", "LD_LIBRARY_PATH", "PATH", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "TZ", "_HANDLER"}
    lambdas |= {"AWS_LAMBDA_RUNTIME_API", "PYTHONPATH", "_X_AMZN_TRACE_ID"}
    assert set(variables) - lambdas - {"LC_CTYPE", "TMPDIR"} == {"MINE"}  # Python itself sets LC_CTYPE


def test_sys_path_has_the_order_of_aws(namespaced: Any, invoke: Invoke) -> None:
    source = """
        import os, sys, awslambdaric, boto3
        def handler(event, context): return [sys.path[:4], awslambdaric.__file__, boto3.__file__, os.getcwd()]
    """
    path, *places, folder = json.loads(invoke(namespaced.environment(source, timeout_seconds=10)).payload)
    assert path == ["/var/task", "/opt/python/lib/python3.13/site-packages", "/opt/python", "/var/runtime"]
    assert all(place.startswith("/var/lang/lib/python3.13/site-packages/") for place in places)
    assert folder == "/var/task"


def test_a_timeout_ends_every_process(factory: Any, invoke: Invoke, running: Callable[[str], list[int]]) -> None:
    source = """
        import subprocess, time
        def handler(event, context):
            subprocess.Popen(["sleep", "8765.4321"], start_new_session=True)
            subprocess.Popen(["sh", "-c", "sleep 8765.4321 & sleep 8765.4321"])
            print("before")
            time.sleep(60)
    """
    environment = factory.environment(source, timeout_seconds=1)
    began = time.monotonic()
    result = invoke(environment)
    assert 0.9 < time.monotonic() - began < 2
    message = "RequestId: id-1 Error: Task timed out after 1.00 seconds"
    assert error(result) == {"errorType": "Sandbox.Timedout", "errorMessage": message}
    assert "before\n" in result.log
    assert "Status: timeout" in result.log
    assert re.search(r"^\S+Z id-1 Task timed out after 1.00 seconds$", result.log, re.MULTILINE)
    assert running("8765.4321") == []


def test_memory_is_limited_for_the_whole_tree(
    factory: Any, invoke: Invoke, running: Callable[[str], list[int]]
) -> None:
    source = """
        import subprocess, sys, time
        def handler(event, context):
            program = "import time; x = bytearray(70_000_000); time.sleep(8764)"
            children = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
            time.sleep(10)
    """
    result = invoke(factory.environment(source, timeout_seconds=10))
    message = "RequestId: id-1 Error: Runtime exited with error: signal: killed"
    assert error(result) == {"errorType": "Runtime.OutOfMemory", "errorMessage": message}
    assert "Max Memory Used: 128 MB" in result.log
    assert "Status: error\tError Type: Runtime.OutOfMemory" in result.log
    assert running("sleep(8764)") == []


def test_memory_shared_by_several_processes_counts_once(factory: Any, invoke: Invoke) -> None:
    source = """
        import os, time
        data = b"x" * 70_000_000
        def handler(event, context):
            if os.fork() == 0:
                time.sleep(60)
            time.sleep(0.3)
            return "alive"
    """
    assert invoke(factory.environment(source)).payload == b'"alive"'


def test_the_memory_used_is_reported(factory: Any, invoke: Invoke) -> None:
    source = "def handler(event, context): return len(bytearray(80_000_000))"
    result = invoke(factory.environment(source, memory_megabytes=256))
    used = re.search(r"Memory Size: 256 MB\tMax Memory Used: (\d+) MB", result.log)
    assert used
    assert 85 < int(used[1]) < 150


@pytest.mark.parametrize(("size", "is_error"), [(MAX_RESPONSE_BYTES - 2, False), (MAX_RESPONSE_BYTES - 1, True)])
def test_the_size_of_an_answer_is_limited(factory: Any, invoke: Invoke, size: int, is_error: bool) -> None:  # noqa: FBT001
    environment = factory.environment(f"def handler(event, context): return 'x' * {size}")
    result = invoke(environment)
    assert result.is_error == is_error
    if is_error:
        assert error(result)["errorType"] == "Function.ResponseSizeTooLarge"


def test_tmp_is_empty_private_and_limited(namespaced: Any, invoke: Invoke) -> None:
    source = """
        import os
        def handler(event, context):
            before = os.listdir("/tmp")
            with open("/tmp/file", "wb") as file:
                try:
                    written = sum(file.write(bytes(1_000_000)) for _ in range(event))
                    file.flush()
                except OSError as error:
                    written = error.strerror
            return [before, written]
    """
    first = namespaced.environment(source, tmp_megabytes=8)
    assert json.loads(invoke(first, b"7").payload) == [[], 7_000_000]
    assert json.loads(invoke(first, b"9").payload) == [["file"], "No space left on device"]
    assert json.loads(invoke(namespaced.environment(source), b"1").payload) == [[], 1_000_000]
    assert not Path("/tmp/file").exists()


def test_tmp_without_namespaces_is_a_folder_that_is_removed_with_the_environment(plain: Any, invoke: Invoke) -> None:
    source = "import tempfile\ndef handler(event, context): return tempfile.gettempdir()"
    environment = plain.environment(source)
    folder = Path(json.loads(invoke(environment).payload))
    assert folder.is_dir()
    environment.stop()
    assert not folder.exists()


@pytest.mark.parametrize("place", ["/var/task/app.py", "/var/task/new", "/opt/new", "/new", "/usr/new", "/etc/passwd"])
def test_everything_but_tmp_is_read_only(namespaced: Any, invoke: Invoke, place: str) -> None:
    source = f"def handler(event, context): open({place!r}, 'a')"
    assert error(invoke(namespaced.environment(source)))["errorType"] in {"OSError", "PermissionError"}


def test_the_function_cannot_undo_its_mounts(namespaced: Any, invoke: Invoke) -> None:
    source = """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        def handler(event, context):
            remount = libc.mount(b"none", b"/var/task", None, ctypes.c_ulong(0x1020), None)
            status = open("/proc/self/status").read()
            return [remount, os.getuid(), [line for line in status.splitlines() if line.startswith("CapEff")]]
    """
    remounted, user, capabilities = json.loads(invoke(namespaced.environment(source)).payload)
    assert (remounted, user) == (-1, 993)
    assert capabilities == ["CapEff:\t0000000000000000"]


def test_other_processes_cannot_be_seen(namespaced: Any, invoke: Invoke) -> None:
    source = "import os\ndef handler(event, context): return len([n for n in os.listdir('/proc') if n.isdigit()])"
    assert json.loads(invoke(namespaced.environment(source)).payload) == 2


def test_loopback_and_the_hosts_folders_are_available(factory: Any, invoke: Invoke) -> None:
    source = """
        import os, socket, subprocess, ssl
        def handler(event, context):
            host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
            socket.create_connection((host, int(port))).close()
            open("/dev/null", "w").write("x")
            return [os.path.exists("/etc/hosts"), subprocess.check_output(["echo", "x"], text=True)]
    """
    assert json.loads(invoke(factory.environment(source)).payload) == [True, "x\n"]


@pytest.mark.parametrize(
    ("source", "error_type", "message"),
    [
        ("import missing", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'missing'"),
        ("def", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app': invalid syntax (app.py, line 2)"),
        ("x = 1", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("1 / 0", "ZeroDivisionError", "division by zero"),
        ("exit(3)", "Runtime.ExitError", "RequestId: id-1 Error: Runtime exited with error: exit status 3"),
        ("exit(0)", "Runtime.ExitError", "RequestId: id-1 Error: Runtime exited without providing a reason"),
        ("x = bytearray(400_000_000)\nwhile True: pass", "Runtime.OutOfMemory", None),
    ],
)
def test_a_failed_init(factory: Any, invoke: Invoke, source: str, error_type: str, message: str | None) -> None:
    environment = factory.environment(f"print('loading')\n{source}")
    assert environment.has_ended
    result = invoke(environment)
    answer = error(result)
    assert answer["errorType"] == error_type
    assert message is None or answer["errorMessage"] == message
    assert result.log.startswith("loading\n") or error_type == "Runtime.UserCodeSyntaxError"
    lines = r"^START RequestId: id-1 .*\nEND RequestId: id-1\nREPORT .*Max Memory Used: [1-9]"
    assert re.search(lines, result.log, re.MULTILINE)
    assert not environment.reserve()


def test_an_init_that_exceeds_its_time(factory: Any, invoke: Invoke) -> None:
    environment = factory.start(factory.function("print('loading')\nimport time\ntime.sleep(60)"))
    began = time.monotonic()
    environment.initialise(0.5)
    assert time.monotonic() - began < 2
    assert environment.init_timed_out
    assert environment.has_ended
    result = invoke(environment)
    assert error(result)["errorType"] == "Sandbox.Timedout"
    assert result.log.startswith("loading\n")


def test_an_error_has_a_stack_trace(factory: Any, invoke: Invoke) -> None:
    environment = factory.environment("def handler(event, context):\n    raise ValueError('no')")
    answer = error(result := invoke(environment))
    assert (answer["errorType"], answer["errorMessage"], answer["requestId"]) == ("ValueError", "no", "id-1")
    assert re.fullmatch(r'  File ".*app.py", line 2, in handler\n    raise ValueError\(.no.\)\n', *answer["stackTrace"])
    assert "[ERROR] ValueError: no" in result.log
    assert not environment.has_ended


def test_an_error_with_a_very_long_stack_trace(factory: Any, invoke: Invoke) -> None:
    names = [f"def step_{n}_{'x' * 60}(): return step_{n + 1}_{'x' * 60}()" for n in range(900)]
    source = "\n".join([*names, f"def handler(event, context): return step_0_{'x' * 60}()"])
    answer = error(invoke(factory.environment(source)))
    assert answer["errorType"] == "NameError"
    assert len(answer["stackTrace"]) > 900


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("sys.exit(1)", "Runtime exited with error: exit status 1"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("os.abort()", "Runtime exited with error: signal: aborted"),
    ],
)
def test_an_exit_in_the_handler(factory: Any, invoke: Invoke, statement: str, reason: str) -> None:
    environment = factory.environment(f"import os, sys\ndef handler(event, context):\n    {statement}")
    result = invoke(environment)
    assert error(result) == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: id-1 Error: {reason}"}
    assert result.log.endswith(f"RequestId: id-1 Error: {reason}\nRuntime.ExitError\n")
    assert environment.has_ended


def test_the_log_has_the_lines_of_aws(factory: Any, invoke: Invoke) -> None:
    source = """
        import logging, os, sys
        print("init")
        def handler(event, context):
            print("out")
            print("err", file=sys.stderr)
            logging.warning("logged")
            os.system("echo from a child")
    """
    environment = factory.environment(source, version="7")
    figures = r"Duration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: \d\d MB"
    lines = r"out\nerr\n\[WARNING\]\t\S+Z\tid-1\tlogged\nfrom a child\n"
    start, end = "START RequestId: id-1 Version: 7\n", "END RequestId: id-1\nREPORT RequestId: id-1\t"
    assert re.fullmatch(rf"init\n{start}{lines}{end}{figures}\tInit Duration: \d+\.\d\d ms\n", invoke(environment).log)
    assert re.fullmatch(rf"{start}{lines}{end}{figures}\n", invoke(environment).log)


def test_a_long_log_is_complete(factory: Any, invoke: Invoke) -> None:
    source = "def handler(event, context):\n    for n in range(20_000): print(n, 'x' * 100)"
    assert "\n19999 xxx" in invoke(factory.environment(source, timeout_seconds=20)).log


def test_each_invocation_has_its_own_log(factory: Any, invoke: Invoke) -> None:
    environment = factory.environment("def handler(event, context): print('event', event)")
    for number in range(200):
        assert f"$LATEST\nevent {number}\nEND " in invoke(environment, str(number).encode()).log


def test_processes_are_paused_between_events(factory: Any, invoke: Invoke) -> None:
    source = """
        import threading, time
        ticks = 0
        def tick():
            global ticks
            while True:
                time.sleep(0.01)
                ticks += 1
        threading.Thread(target=tick, daemon=True).start()
        def handler(event, context):
            time.sleep(event)
            return ticks
    """
    environment = factory.environment(source)
    before = int(invoke(environment, b"0").payload)
    time.sleep(0.5)
    after = int(invoke(environment, b"0").payload)
    assert after - before < 10
    assert int(invoke(environment, b"0.3").payload) - after > 10


def test_environments_of_one_function_run_in_parallel(factory: Any, invoke: Invoke) -> None:
    function = factory.function("import time\ndef handler(event, context): time.sleep(0.5)")
    environments = [factory.start(function) for _ in range(4)]
    for environment in environments:
        environment.initialise()
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(invoke, environments))
    assert not any(result.is_error for result in results)
    assert time.monotonic() - began < 1.5


def test_a_full_pool_ends_the_environment_that_was_idle_longest(factory: Any) -> None:
    pool = Pool(factory.sandbox, limit=2)
    function = factory.function(ECHO)
    first, second = pool.start(function), pool.start(function)
    factory.environments += [first, second]
    with pytest.raises(PoolExhausted):
        pool.start(function)
    second.release()
    first.release()
    factory.environments.append(pool.start(function))
    assert second.has_ended
    assert not second.reserve()
    assert first.reserve()


def test_a_retired_environment_ends_after_its_invocation(factory: Any, invoke: Invoke) -> None:
    environment = factory.environment("import time\ndef handler(event, context): time.sleep(0.3)")
    threading.Timer(0.1, environment.retire).start()
    assert invoke(environment).payload == b"null"
    assert not environment.has_ended
    environment.release()
    assert environment.has_ended


def test_invoking_takes_little_time(factory: Any, invoke: Invoke) -> None:
    environment = factory.environment(ECHO)
    times = []
    for _ in range(200):
        began = time.perf_counter()
        invoke(environment)
        times.append(time.perf_counter() - began)
    print(f"warm: median {sorted(times)[100] * 1000:.2f} ms")
    assert sorted(times)[100] < 0.01
