"""Parts that need no environment: layers, settings, the Runtime API server, detection of changes."""
# ruff: noqa: D103, PLR2004, S101

import http.client
import os
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest
from localstack_process_executor import hot_reload
from localstack_process_executor.hot_reload import fingerprint, settled_fingerprint
from localstack_process_executor.layers import Layer, merge, prune
from localstack_process_executor.runtime_api import Answered, Event, Message, Ready, RuntimeApi
from localstack_process_executor.sandbox import Runtime, RuntimeUnusable, Sandbox
from localstack_process_executor.settings import Settings, environments_that_fit, memory_bytes


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


def test_older_versions_of_a_hot_reloaded_layer_are_removed_when_they_are_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "one"

    def edited(version: str) -> Path:
        layer(tmp_path, "one", {"a": version})
        os.utime(folder, (0, 0))  # a layer may be older than its use
        merged = merge([Layer(version, lambda: folder, str(folder))], tmp_path / "cache")
        assert merged
        return merged

    unused = edited("1")
    os.utime(unused, (0, 0))
    used, newest = edited("2"), edited("3")
    other = merge([layer(tmp_path, "other", {"a": "1"})], tmp_path / "cache")
    assert set((tmp_path / "cache").iterdir()) == {used, newest, other}
    assert (newest / "a").read_text() == "3"


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


def test_a_fingerprint_is_taken_after_the_last_of_quick_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "app.py"
    module.write_text("")
    edits = ["one", "two", "three"]
    monkeypatch.setattr(hot_reload.time, "sleep", lambda _: edits and module.write_text(edits.pop(0)))
    found = settled_fingerprint(tmp_path)
    assert edits == []
    assert found == fingerprint(tmp_path)
    assert settled_fingerprint() == frozenset()


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESS_EXECUTOR_RUNTIMES", "python3.13=/a/python, python3.12=/b/python")
    monkeypatch.setenv("PROCESS_EXECUTOR_ENVIRONMENTS", "")
    settings = Settings.from_environment()
    assert settings.runtimes == {"python3.13": "/a/python", "python3.12": "/b/python"}
    assert settings.environments == environments_that_fit(memory_bytes())
    with pytest.raises(RuntimeUnusable, match=r"PROCESS_EXECUTOR_RUNTIMES .*python3.14=/path/to/python"):
        settings.runtime("python3.14")
    with pytest.raises(RuntimeUnusable, match="/a/python: No such file"):
        settings.runtime("python3.13")


def test_the_default_number_of_environments_fits_into_half_of_the_memory() -> None:
    gigabyte = 1024**3
    assert environments_that_fit(24 * gigabyte) == 192
    assert environments_that_fit(4 * gigabyte) == 32
    assert environments_that_fit(gigabyte // 2) == 8


def test_the_memory_is_that_of_the_machine_or_the_limit_of_its_container(tmp_path: Path) -> None:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limited, unlimited, missing = (tmp_path / name for name in ("limited", "unlimited", "missing"))
    limited.write_text("1000000\n")
    unlimited.write_text("max\n")
    assert memory_bytes([missing, unlimited]) == machine
    assert memory_bytes([missing, limited]) == 1_000_000


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
