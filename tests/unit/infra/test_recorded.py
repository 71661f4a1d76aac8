"""What is kept of invocations: bounded, readable by its owner only, and without secrets."""

import base64
import json
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest

from infra.events import recorded, redaction
from infra.events.recorded import Bounds, Noted, Recorder, Recording, list_events, prune_all, read_event
from infra.invoke import events, names
from infra.invoke.names import UsageError
from infra.stack import provision
from infra.stack.profiles import profile

NAME: Final = "posts/like_post"
ACCOUNT: Final = UUID("01a21a69-9479-7768-840c-5afc5ab25b6f")


def _event(**given: Any) -> dict[str, Any]:
    event = events.read_event(None, names.find_function(NAME))
    return {**event, **given}


def _recorder(folder: Path, monkeypatch: pytest.MonkeyPatch, **bounds: int) -> Recorder:
    """A recorder that writes when it is asked to."""
    monkeypatch.setattr(Recorder, "_write_repeatedly", lambda _: None)
    return Recorder(folder, Bounds(**bounds))


def _note(
    recorder: Recorder, *, event: dict[str, Any] | None = None, result: Any = None, seconds: float = 0.01
) -> None:
    recorder.note(NAME, Noted(time.time(), "http", event or _event(), result or {"statusCode": 200}, seconds, ""))


def _written(recorder: Recorder, folder: Path, **given: Any) -> Recording:
    _note(recorder, **given)
    recorder.write()
    return read_event(folder, NAME, "last")


def test_a_recording_has_what_was_invoked_and_what_came_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = {"statusCode": 404, "headers": {"x-trace-id": "t"}, "body": "{}"}
    found = _written(_recorder(tmp_path, monkeypatch), tmp_path, result=result, seconds=0.5)

    assert (found.function, found.host, found.status, found.trace_id) == (NAME, "http", "404", "t")
    assert found.duration_ms == 500
    assert found.event["path"] == _event()["path"]
    assert found.result == result
    assert found.is_whole


def test_files_are_for_their_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _written(_recorder(tmp_path, monkeypatch), tmp_path)
    [file] = (tmp_path / NAME).iterdir()

    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o700


def test_the_newest_events_are_kept_up_to_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = _recorder(tmp_path, monkeypatch, count=3)
    ids = [_written(recorder, tmp_path).id for _ in range(5)]

    assert [each.id for each in list_events(tmp_path, NAME)] == ids[:1:-1]


def test_the_newest_events_are_kept_up_to_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = _recorder(tmp_path, monkeypatch, kilobytes=32)
    for _ in range(5):
        _written(recorder, tmp_path, event=_event(body="a" * 10_000))

    assert len(list_events(tmp_path, NAME)) == 2


def test_old_events_are_removed_also_of_functions_that_run_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _written(_recorder(tmp_path, monkeypatch), tmp_path)
    [file] = (tmp_path / NAME).iterdir()
    prune_all(tmp_path, Bounds(days=1))
    assert file.exists()
    os.utime(file, (0, time.time() - 86_401))
    prune_all(tmp_path, Bounds(days=1))

    assert not file.exists()


def test_of_a_burst_the_last_events_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = _recorder(tmp_path, monkeypatch)
    for number in range(10):
        _note(recorder, event=_event(path=f"/{number}"))
    recorder.write()

    assert [each.event["path"] for each in list_events(tmp_path, NAME)] == ["/9", "/8", "/7", "/6"]


def test_a_disk_that_refuses_files_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "posts").write_text("not a folder")
    recorder = _recorder(tmp_path, monkeypatch)
    _note(recorder)
    recorder.write()

    assert list_events(tmp_path, NAME) == []


def test_a_stack_that_serves_https_records_nothing_unless_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PHOTOGRAM_EVENTS", "PHOTOGRAM_TLS_CERTIFICATE", "PHOTOGRAM_TLS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for_development = profile("run").events
    monkeypatch.setenv("PHOTOGRAM_TLS_CERTIFICATE", "certificate.pem")
    monkeypatch.setenv("PHOTOGRAM_TLS_KEY", "key.pem")
    with_https = profile("run").events
    monkeypatch.setenv("PHOTOGRAM_EVENTS", "5")

    assert (for_development, with_https, profile("run").events) == (20, 0, 5)


def test_recordings_end_when_none_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = msgspec.structs.replace(profile("test"), state=tmp_path / f"state-{secrets.token_hex(4)}")
    provision.create_folders(chosen)
    (chosen.recordings / "old.json").write_text("{}")
    provision.create_folders(msgspec.structs.replace(chosen, events=0))
    shutil.rmtree(chosen.metrics)

    assert not chosen.recordings.exists()


def test_a_host_records_nothing_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(recorded.FOLDER, raising=False)
    recorded._recorder.cache_clear()
    recorded.record(NAME, "http", _event(), {"statusCode": 200}, seconds=0.01)
    recorded.write_now()
    nothing = recorded._recorder()
    monkeypatch.setenv(recorded.FOLDER, str(tmp_path))
    monkeypatch.setenv(recorded.COUNT, "0")
    recorded._recorder.cache_clear()
    none_wanted = recorded._recorder()
    monkeypatch.setenv(recorded.COUNT, "2")
    recorded._recorder.cache_clear()
    recorded.record(NAME, "http", _event(), {"statusCode": 200}, seconds=0.01)
    recorded.write_now()
    recorded._recorder.cache_clear()

    assert (nothing, none_wanted) == (None, None)
    assert len(list_events(tmp_path, NAME)) == 1


def test_an_event_that_cannot_be_recorded_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = _recorder(tmp_path, monkeypatch)
    _note(recorder, event={"httpMethod": "GET", "headers": "none"})
    recorder.note("posts/save_post", Noted(time.time(), "http", _event(), {"statusCode": 200}, 0.01, ""))
    recorder.write()

    assert list_events(tmp_path, NAME) == []
    assert len(list_events(tmp_path, "posts/save_post")) == 1


SECRET: Final = "sEcr3t"
FORM: Final = "application/x-www-form-urlencoded"


def _headers(**given: str) -> dict[str, Any]:
    headers = {name.replace("_", "-"): value for name, value in given.items()}
    return {"headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}


@pytest.mark.parametrize(
    "given",
    [
        _headers(cookie=f"a=1; session_id={SECRET}"),
        _headers(Cookie=f"other={SECRET}"),
        _headers(authorization=f"Bearer {SECRET}"),
        _headers(referer=f"http://localhost/media/{SECRET}/1795759200/x.jpg"),
        {"body": json.dumps({"username": "ada", "password": SECRET})},
        {"body": json.dumps({"username": f"{SECRET}@example.org", "password": "x"})},
        {"body": json.dumps({"users": [{"email": f"{SECRET}@example.org"}]})},
        {"body": json.dumps({"url": f"http://x/?X-Amz-Credential=a&X-Amz-Signature={SECRET}"})},
        {"body": f'{{"password": "{SECRET}"'},
        {"body": "[" * 20_000 + f'{{"password": "{SECRET}"}}' + "]" * 20_000},
        {"body": f"username=ada&password={SECRET}", **_headers(content_type=FORM)},
        {"body": base64.b64encode(json.dumps({"password": SECRET}).encode()).decode(), "isBase64Encoded": True},
        {"body": base64.b64encode(f"\xff{SECRET}".encode("latin-1")).decode(), "isBase64Encoded": True},
    ],
    ids=lambda given: str(given)[:80],
)
def test_no_secret_of_a_request_is_kept(given: dict[str, Any]) -> None:
    redacted = redaction.redact_event(_event(**given), function="auth/login", account=ACCOUNT)
    kept = json.dumps(redacted)
    body = redacted["body"] or ""
    decoded = base64.b64decode(body).decode(errors="replace") if redacted["isBase64Encoded"] else body

    assert SECRET not in kept
    assert SECRET not in decoded


@pytest.mark.parametrize(
    "result",
    [
        {"headers": {"set-cookie": f"session_id={SECRET}; HttpOnly"}},
        {"body": json.dumps({"user": {"email": f"{SECRET}@example.org"}})},
        {"body": json.dumps({"mediaUrl": f"http://localhost:3000/media/{SECRET}/1795759200/posts/1.jpg"})},
        {"body": json.dumps({"url": f"http://x/?X-Amz-Signature={SECRET}"})},
        {"body": "a" * redaction.MAX_RESULT + SECRET},
        {"body": "a" * (redaction.MAX_RESULT - 13) + f"/media/{SECRET}/1795759200/1.jpg"},
        {"body": "a" * (redaction.MAX_RESULT - 16) + f'"email":"{SECRET}@example.org"'},
    ],
    ids=lambda result: str(result)[-80:],
)
def test_no_secret_of_an_answer_is_kept(result: dict[str, Any]) -> None:
    assert SECRET not in json.dumps(redaction.redact_result({"statusCode": 200, **result}))


def test_the_account_of_a_removed_session_is_kept() -> None:
    event = _event(**_headers(cookie=f"session_id={SECRET}"))
    redacted = redaction.redact_event(event, function=NAME, account=ACCOUNT)

    assert redaction.account_in(events.cookie(redacted)) == ACCOUNT
    assert redaction.account_in(events.cookie(redaction.redact_event(event, function=NAME, account=None))) is None


def test_what_is_no_secret_stays_as_it_was() -> None:
    body = '{"content": "mail me, \\u00e4 & password"}'
    event = _event(body=body, **_headers(accept="*/*", idempotency_key="k"))
    redacted = redaction.redact_event(event, function="comments/create_comment", account=None)

    assert json.loads(redacted.pop("body")) == json.loads(body)
    assert redacted == {name: value for name, value in event.items() if name != "body"}


def test_a_long_body_is_left_out_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = _event(body="a" * (redaction.MAX_BODY + 1))
    _written(_recorder(tmp_path, monkeypatch), tmp_path, event=event)
    found = list_events(tmp_path, NAME)[0]

    assert not found.is_whole
    with pytest.raises(UsageError, match="too long"):
        events.with_password(found.event)


def test_the_password_of_a_demo_account_is_filled_in_and_of_no_other() -> None:
    def recorded(username: str) -> dict[str, Any]:
        event = _event(body=json.dumps({"username": username, "password": SECRET}))
        return redaction.redact_event(event, function="auth/login", account=None)

    assert json.loads(events.with_password(recorded("ada"))["body"])["password"] == "photogram"
    with pytest.raises(UsageError, match="was removed"):
        events.with_password(recorded("eve"))
