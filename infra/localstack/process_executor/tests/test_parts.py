"""Parts that need no environment: layers, settings, the Runtime API server, detection of changes."""
# ruff: noqa: D103, PLR2004, S101

import http.client
import os
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest
from localstack_process_executor.hot_reload import fingerprint
from localstack_process_executor.layers import Layer, merge, prune
from localstack_process_executor.runtime_api import Answered, Event, Message, Ready, RuntimeApi
from localstack_process_executor.sandbox import Runtime, RuntimeUnusable, Sandbox
from localstack_process_executor.settings import Settings


def layer(folder: Path, name: str, files: dict[str, str]) -> Layer:
    for path, text in files.items():
        place = folder / name / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return Layer(name, lambda: folder / name)


def test_a_later_layer_replaces_files_of_an_earlier_one(tmp_path: Path) -> None:
    one = layer(tmp_path, "one", {"python/a.py": "1", "python/b.py": "1"})
    two = layer(tmp_path, "two", {"python/b.py": "2", "lib/c.so": "2"})
    merged, reverse = merge([one, two], tmp_path / "cache"), merge([two, one], tmp_path / "cache")
    assert merged
    assert reverse
    assert (merged / "python/a.py").read_text() == "1"
    assert (merged / "python/b.py").read_text() == "2"
    assert (merged / "lib/c.so").read_text() == "2"
    assert (reverse / "python/b.py").read_text() == "1"
    assert (tmp_path / "one/python/b.py").read_text() == "1"


def test_layers_are_merged_once(tmp_path: Path) -> None:
    one = layer(tmp_path, "one", {"a": "1"})
    first = merge([one], tmp_path / "cache")
    assert merge([Layer("one", pytest.fail)], tmp_path / "cache") == first
    assert merge([], tmp_path / "cache") is None
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_layers_that_were_not_used_for_a_week_are_removed(tmp_path: Path) -> None:
    old, new = (merge([layer(tmp_path, name, {"a": "1"})], tmp_path / "cache") for name in ("old", "new"))
    assert old
    os.utime(old, (0, 0))
    prune(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == [new]


def test_several_threads_can_merge_the_same_layers(tmp_path: Path) -> None:
    one = layer(tmp_path, "one", {f"python/{n}.py": "1" for n in range(200)})
    merged: list[Path | None] = []
    threads = [threading.Thread(target=lambda: merged.append(merge([one], tmp_path / "cache"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(merged) == 4
    assert len(set(merged)) == 1
    assert list((tmp_path / "cache").iterdir()) == merged[:1]


def test_a_change_of_code_is_detected(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    module = tmp_path / "package" / "app.py"
    module.write_text("1")
    before = fingerprint(tmp_path)
    (tmp_path / "package" / "__pycache__").mkdir()
    (tmp_path / "package" / "__pycache__" / "app.pyc").write_text("1")
    assert fingerprint(tmp_path) == before
    os.utime(module, ns=(1, 1))
    assert fingerprint(tmp_path) != before
    (tmp_path / "new.py").write_text("")
    assert len(fingerprint(tmp_path)) == 2


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESS_EXECUTOR_RUNTIMES", "python3.13=/a/python, python3.12=/b/python")
    monkeypatch.setenv("PROCESS_EXECUTOR_ENVIRONMENTS", "")
    settings = Settings.from_environment()
    assert settings.runtimes == {"python3.13": "/a/python", "python3.12": "/b/python"}
    assert settings.environments == 24
    with pytest.raises(RuntimeUnusable, match=r"PROCESS_EXECUTOR_RUNTIMES .*python3.14=/path/to/python"):
        settings.runtime("python3.14")
    with pytest.raises(RuntimeUnusable, match="/a/python: No such file"):
        settings.runtime("python3.13")


def test_invalid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESS_EXECUTOR_RUNTIMES", "/a/python")
    with pytest.raises(ValueError, match="is not of the form"):
        Settings.from_environment()


def test_a_runtime_without_awslambdaric() -> None:
    with pytest.raises(RuntimeUnusable, match="cannot import awslambdaric"):
        Runtime.inspect(sys.executable)


def test_a_warning_is_logged_on_a_machine_without_unshare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "defpath", "/nowhere")
    assert Sandbox.probe(tmp_path).unshare == ()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_the_server_answers_as_the_runtime_api() -> None:
    messages: SimpleQueue[Message] = SimpleQueue()
    api = RuntimeApi(messages.put)
    api.send(Event(request_id="id-1", function_arn="arn", trace_id="Root=1", payload=b"[1]", deadline_ms=5))
    connection = http.client.HTTPConnection(api.address)
    connection.request("GET", "/2018-06-01/runtime/invocation/next")
    response = connection.getresponse()
    assert response.read() == b"[1]"
    assert response.headers["Lambda-Runtime-Aws-Request-Id"] == "id-1"
    assert response.headers["Lambda-Runtime-Deadline-Ms"] == "5"
    statuses = []
    for path in ("nowhere", "runtime/invocation/other/response", "runtime/invocation/id-1/response"):
        connection.request("POST", f"/2018-06-01/{path}", b'"answer"')  # the same connection
        statuses.append((response := connection.getresponse()).status)
        response.read()
    api.close()
    assert statuses == [404, 400, 202]
    assert [messages.get_nowait(), messages.get_nowait()] == [Ready(), Answered(b'"answer"')]
