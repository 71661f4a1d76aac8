"""The tour of the README, run as it stands there."""

import json
import re
import secrets
import subprocess
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.pictures import phone_photo
from tests.support.http import nginx_origin
from tests.support.waiting import until

README: Final = (Path(__file__).parents[2] / "README.md").read_text()
_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND: Final = re.compile(r"(?:[^\n\\]|\\\n)+")
_SECONDS: Final = 60


def _commands() -> list[str]:
    """The commands of the tour: for this stack's port, and for an account that a run before has not made."""
    tour = README.partition("## A tour of five minutes")[2].partition("\n## ")[0]
    name = f"you_{secrets.token_hex(5)}"
    return [
        command.replace("http://localhost:3000", nginx_origin())
        .replace('"you"', f'"{name}"')
        .replace("you@", f"{name}@")
        for block in _BLOCK.findall(tour)
        for command in _COMMAND.findall(block)
    ]


def _run(command: str, folder: Path) -> str:
    """What a command prints."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def _answer(command: str, folder: Path, *, of: str = "") -> dict[str, Any]:
    """The JSON that a command prints; empty while its member `of` is."""
    answer: dict[str, Any] = json.loads(_run(command, folder))
    assert "error" not in answer, f"{command}\n{answer}"
    return answer if not of or answer[of] else {}


def test_every_command_of_the_tour_does_what_the_readme_says(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(phone_photo())
    answers: list[dict[str, Any]] = []
    for command in _commands():
        if not command.startswith("curl"):
            _run(command, tmp_path)
        elif command.endswith("/feed"):  # this machine may take longer than the README's reader waits
            answers.append(until(partial(_answer, command, tmp_path, of="posts"), seconds=50, every=1))
        else:
            answers.append(_answer(command, tmp_path))

    registered, explore, search, created, feed, health, description = answers
    assert registered["user"]["displayName"].startswith("you")
    assert {"posts", "nextCursor"} <= explore.keys()
    assert "users" in search
    assert created["status"] == "processing"
    assert created["post"]["caption"] == "Hello #world"
    assert [post["id"] for post in feed["posts"]] == [created["post_id"]]
    assert health["components"]["database"]["status"] == "ok"
    assert description["openapi"].startswith("3.1")
