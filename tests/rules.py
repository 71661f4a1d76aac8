"""Rule → test: the numbered rules of the HTTP contract, and which tests name them.

python -m tests.rules writes tests/RULES.md (`make rules`).
"""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

TESTS: Final = Path(__file__).parent
PAGE: Final = TESTS / "RULES.md"

RULES: Final[dict[str, dict[str, str]]] = {
    "Sessions": {
        "R-A1": "Login sets a cookie: HttpOnly, SameSite=Lax, 24 h, and Secure in production.",
        "R-A2": "A session lives on while it is used within 24 h; every answer renews it.",
        "R-A3": "After logout, or a ban, the old cookie gives 401 everywhere.",
        "R-A4": "The session id changes at login; a client's own is never taken.",
        "R-A5": "Sessions are stored with user, name, role, creation and expiry.",
        "R-A6": "Password hashes are slow and salted, and never leave.",
    },
    "Idempotency and counters": {
        "R-I1": "Twenty parallel likes, unlikes, saves, follows, comment likes or views count once.",
        "R-I2": "Like, unlike, like: three real changes, one like.",
        "R-I3": "Counters equal the rows behind them, always; none is negative.",
        "R-I4": "One's own last action shows in the very next answer.",
        "R-I5": "Follow and unfollow decide the follower's next feed.",
    },
    "Rate limits": {
        "R-L1": "`limit` requests pass, the next is 429 with its headers; others are unaffected.",
        "R-L2": "Windows slide; refused requests do not prolong the wait.",
        "R-L3": "Counting is atomic and shared; every key expires.",
        "R-L4": "Login counts failures by address, exactly, also under fifty parallel guesses.",
        "R-L5": "All others count every signed-in request, whatever its outcome.",
        "R-L6": "The general limit covers all of /api/; health is exempt.",
        "R-L7": "Without Valkey requests pass uncounted; login alone fails closed.",
        "R-L8": "Each 429 is counted in the metrics.",
    },
    "Visibility": {
        "R-P1": "Public, own, followed or admin; else 403 on profile lists, 404 on single resources.",
        "R-P2": "R-P1 holds for every read, media bytes included.",
        "R-P3": "Anonymous visitors read what is public; stories need a session.",
        "R-P4": "A pending request gives no right; unfollowing and declining end it at once.",
        "R-P5": "Explore never shows private accounts; search and headers do.",
        "R-P6": "Turning private takes effect in the next answer.",
        "R-P7": "Only participants read or write a conversation; admins do not.",
    },
    "Feed and cursors": {
        "R-F1": "Paging yields each row once, in order, for any limit and while rows come and go.",
        "R-F2": "`nextCursor` is null exactly on the last page.",
        "R-F3": "Cursors are URL-safe and opaque.",
        "R-F4": "Only published posts appear in feeds and grids.",
        "R-F5": "A published or deleted post shows in feeds within 5 s.",
        "R-F6": "A bad limit or cursor is 400.",
    },
    "Input and images": {
        "R-V1": "Ids are checked for form before any query.",
        "R-V2": "Usernames, captions, sizes and types are bounded; types are decided by content.",
        "R-V3": "Markup is removed, not escaped.",
        "R-M1": "10 MiB exactly pass; other formats are 415 whatever they are called.",
        "R-M2": "Four sizes as JPEG and WebP, never enlarged; avatars are squares.",
        "R-M3": "Orientation applied, metadata gone, colours kept.",
        "R-M4": "HEIC gives the same eight files; of animations the first frame.",
        "R-M5": "Published only when all renditions are stored; a job may run again.",
        "R-M6": "Failed in all tries: dead-letter queue, `failed`, the owner's alone.",
        "R-M7": "No media URL works unsigned, altered or expired; none leads to the original.",
        "R-M8": "Too many pixels are 422 from the header, before any decode.",
        "R-M9": "Filters change no stored pixel.",
    },
    "Degraded operation": {
        "R-D1": "Every row of the table of outages, and the return without a restart.",
        "R-D2": "No request hangs for a dead store.",
    },
    "Stories": {
        "R-S1": "A story ends after 24 h for everybody, cleanup or not.",
        "R-S2": "The hourly cleanup removes rows and media of ended stories.",
        "R-S3": "One view per viewer; the owner's are not counted.",
        "R-S4": "`viewCount` equals the viewers' rows.",
        "R-S5": "The tray never shows an ended story, and one's own story and views at once.",
        "R-S6": "After a view the next list says `hasViewed`; the owner's always do.",
        "R-S7": "Strangers to a private account: 403 list, 404 story and view, nothing in the tray.",
    },
    "Messages": {
        "R-DM1": "Messages are ordered by id for all readers; an acknowledged one is in the next read.",
        "R-DM2": "Paging back has no gaps or repeats, also within a millisecond.",
        "R-DM3": "`unreadCount` rises with the others' messages and falls with the read mark.",
        "R-DM4": "Typing shows within a second and ends after 5 s.",
        "R-DM5": "The list shows the current name and picture within 5 min of a change.",
        "R-DM6": "Two people opening a conversation at once get the same one.",
    },
    "Operations": {
        "R-O1": "The original's targets at its own scale.",
        "R-O2": "The trace id is echoed, logged and passed into the image job.",
        "R-O3": "One JSON log line per request.",
    },
}
"""By section of the contract, in short."""

_NUMBER: Final = re.compile(r"(?<=_)r_([a-z]{1,2}\d+)(?=_|$)")


class Naming(NamedTuple):
    """A test that names a rule."""

    file: Path
    """Relative to the folder of tests."""
    name: str


@functools.cache
def namings() -> dict[str, list[Naming]]:
    """Every rule that some test names, also one that does not exist, and these tests by file and place."""
    found: dict[str, list[Naming]] = {}
    for rule, test in _named():
        found.setdefault(rule, []).append(test)
    return found


def _named() -> Iterator[tuple[str, Naming]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for number in dict.fromkeys(_NUMBER.findall(node.name)):
                    yield f"R-{number.upper()}", Naming(path.relative_to(TESTS), node.name)


def page() -> str:
    """What tests/RULES.md must hold."""
    found = namings()
    lines = [
        "# Rule → test",
        "",
        "Each numbered rule of the HTTP contract and the tests that name it, written by `make rules`; an architecture",
        "test fails when a rule has none or this page is stale.",
    ]
    for section, rules in RULES.items():
        lines += ["", f"## {section}", "", "| rule | what it says | tests |", "| --- | --- | --- |"]
        lines += [f"| {rule} | {says} | {_cell(found.get(rule, []))} |" for rule, says in rules.items()]
    return "\n".join(lines) + "\n"


def _cell(tests: list[Naming]) -> str:
    by_file: dict[Path, list[str]] = {}
    for test in tests:
        by_file.setdefault(test.file, []).append(test.name)
    return "<br>".join(
        f"[{file}]({file}): " + ", ".join(f"`{name.removeprefix('test_')}`" for name in names)
        for file, names in by_file.items()
    )


if __name__ == "__main__":
    PAGE.write_text(page())
