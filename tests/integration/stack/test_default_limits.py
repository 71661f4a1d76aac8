"""The limits of a host that no setting changes, over HTTP."""

from pathlib import Path

import pytest

from tests.support import hosts
from tests.support.people import Person


@pytest.mark.rule("R-L1", "R-L6")
def test_a_user_has_1000_requests_per_minute_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ada: Person
) -> None:
    monkeypatch.setenv("RATE_LIMITS", "{}")
    with hosts.environment(tmp_path) as host:
        headers = {"cookie": f"session_id={ada.session_id}"}
        answers = [host.http.get("/api/v1/auth/me", headers=headers) for _ in range(1001)]
    first, refused = answers[0], answers[-1]

    assert [answer.status_code for answer in answers] == [200] * 1000 + [429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {"1000;w=60"}
    assert (first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == ("1000", "999")
    assert refused.headers["ratelimit-remaining"] == "0"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]
