"""The answers of nginx and of the gateway have the shape of the contract."""

import httpx
import pytest

from tests.support.http import Caller, nginx_origin


def test_an_unknown_route_a_wrong_method_and_a_huge_body_are_problem_documents() -> None:
    with httpx.Client(base_url=nginx_origin()) as http:
        for answer, status in (
            (http.get("/api/v1/nothing/here"), 404),
            (http.delete("/api/v1/auth/login"), 405),
            (http.post("/api/v1/auth/login", content=b"{}" + b" " * 115 * 1024 * 1024), 413),
        ):
            assert answer.status_code == status
            assert answer.json()["error"]
            assert answer.json()["status"] == status


def test_a_preflight_of_an_allowed_origin_is_answered_and_a_foreign_one_is_not() -> None:
    with httpx.Client(base_url=nginx_origin()) as http:
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
def test_the_refusal_of_an_empty_or_too_large_picture_names_it(path: str, size: int, status: int) -> None:
    answer = Caller().http.post(path, files={"media": ("holiday.jpg", b"\0" * size)})

    assert answer.status_code == status
    assert "holiday.jpg" in answer.json()["error"]
