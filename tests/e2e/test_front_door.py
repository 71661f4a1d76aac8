"""What the front door and the gateway answer themselves, in the contract's shape."""

import httpx
import pytest

from tests.support.http import Caller, front_door


def test_an_unknown_route_a_wrong_method_and_a_huge_body_are_problem_documents() -> None:
    with httpx.Client(base_url=front_door()) as http:
        for answer, status in (
            (http.get("/api/v1/nothing/here"), 404),
            (http.delete("/api/v1/auth/login"), 405),
            (http.post("/api/v1/auth/login", content=b"{}" + b" " * 115 * 1024 * 1024), 413),
        ):
            assert answer.status_code == status
            assert answer.json()["error"]
            assert answer.json()["status"] == status


def test_a_preflight_of_an_allowed_origin_is_answered_and_a_foreign_one_is_not() -> None:
    with httpx.Client(base_url=front_door()) as http:
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        allowed = http.options("/api/v1/posts", headers={"origin": "http://localhost:5173", **asked})
        foreign = http.options("/api/v1/posts", headers={"origin": "https://evil.example", **asked})

    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert allowed.headers["access-control-allow-headers"] == "content-type"
    assert "access-control-allow-origin" not in foreign.headers


@pytest.mark.rule("R-M1")
@pytest.mark.parametrize("path", ["/stories", "/posts"])
@pytest.mark.parametrize(("size", "status"), [(10 * 1024 * 1024 + 1, 413), (0, 400)])
def test_an_empty_picture_or_one_above_ten_mebibytes_is_refused_by_its_name(path: str, size: int, status: int) -> None:
    answer = Caller().http.post(path, files={"media": ("holiday.jpg", b"\0" * size)})

    assert answer.status_code == status
    assert "holiday.jpg" in answer.json()["error"]
