"""No log of any part of the stack holds a password or its hash."""

import secrets
from pathlib import Path

import httpx
import pytest

from infra.stack.profiles import profile
from layers.postgres.connection import transaction
from tests.support.http import nginx_origin
from tests.support.waiting import until


def _logs() -> bytes:
    """All that the parts of the stack have logged."""
    return b"".join(file.read_bytes() for file in Path(profile("test").state / "logs").iterdir() if file.is_file())


@pytest.mark.rule("R-A6")
def test_no_log_holds_a_password_or_its_hash() -> None:
    name, right, wrong = (secrets.token_hex(12) for _ in range(3))
    trace_id = f"trace-{secrets.token_hex(8)}"
    registration = {"username": name, "email": f"{name}@example.org", "password": right}
    bad_email = registration | {"email": "nobody"}
    with httpx.Client(base_url=f"{nginx_origin()}/api/v1", headers={"x-trace-id": trace_id}) as http:
        statuses = [
            http.post("/auth/register", json=bad_email).status_code,
            http.post("/auth/register", json=registration).status_code,
            http.post("/auth/register", json=registration).status_code,
            http.post("/auth/login", json={"username": name, "password": wrong}).status_code,
            http.post("/auth/login", json={"username": name, "password": right}).status_code,
            http.post("/auth/login", content=f'{{"username": "{name}", "password": "{right}"').status_code,
        ]
    assert statuses == [400, 201, 409, 401, 200, 400]
    with transaction() as db:
        row = db.execute("SELECT password_hash FROM users WHERE username = %s", [name]).fetchone()
    assert row
    salt, digest = row[0].split("$")[-2:]
    until(lambda: _logs().count(trace_id.encode()) >= len(statuses))

    assert [secret for secret in (right, wrong, salt, digest) if secret.encode() in _logs()] == []
