"""JSON from outside: refused before its depth can end the process."""

import subprocess
import sys

import msgspec
import pytest

from layers.core import untrusted_json
from layers.core.errors import Invalid
from layers.core.models import Shape


class Body(Shape, frozen=True, kw_only=True):
    """A body."""

    username: str = ""
    deep: object = None


def nested(levels: int, inside: str = "") -> bytes:
    return ("[" * levels + inside + "]" * levels).encode()


def test_it_decodes_into_the_declared_type() -> None:
    assert untrusted_json.decode(b'{"username": "ada", "unknown": 1}', Body) == Body(username="ada")


def test_thirty_two_levels_are_decoded_and_thirty_three_are_refused() -> None:
    assert untrusted_json.decode(b'{"deep": %b}' % nested(31), Body).deep is not None

    with pytest.raises(Invalid, match="32 levels"):
        untrusted_json.decode(b'{"deep": %b}' % nested(32), Body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"username":%b}' % nested(8000),
        b'{"unknown":%b}' % nested(8000),
        b'{"unknown":' + b'{"a":' * 8000 + b"1" + b"}" * 8000 + b"}",
        b'{"unknown":' + b"[" * 50_000,
        b'{"unknown":"\\\\",\n"a":' + nested(8000) + b"}",
    ],
    ids=["in a field", "in an unknown member", "objects", "never closed", "after an escaped backslash"],
)
def test_deep_nesting_is_refused_wherever_it_stands(body: bytes) -> None:
    with pytest.raises(Invalid, match="levels"):
        untrusted_json.decode(body, Body)


def test_brackets_within_strings_and_side_by_side_are_no_depth() -> None:
    text = "[" * 1000 + '\\"' + "{" * 1000
    body = msgspec.json.encode({"username": text, "deep": [[] for _ in range(1000)]})

    assert untrusted_json.decode(body, Body).username == text


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"a": 1} x', b'{"a": NaN}', b'{"username": "\xff"}', b"\xff", b'{"username": "\\ud800"}', b"", b'"abc'],
)
def test_what_is_no_json_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid, match="not valid JSON"):
        untrusted_json.decode(body, Body)


@pytest.mark.parametrize("body", [b"[1]", b"null", b'"a"', b'{"username": 1}'])
def test_what_is_json_of_another_type_says_so(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        untrusted_json.decode(body, Body)


SMALL_STACK = """
import sys, threading
from layers.core import untrusted_json
from layers.core.errors import Invalid
from layers.core.models import Shape

class Body(Shape, frozen=True, kw_only=True):
    username: str = ""

def decode() -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        for levels in (untrusted_json.DEPTH - 1, 100, 8000, 100_000):
            try:
                untrusted_json.decode(b'{"unknown":' + opening * levels + b"1" + closing * levels + b"}", Body)
            except Invalid:
                print("refused")
            else:
                print("decoded")

threading.stack_size(64 * 1024)
thread = threading.Thread(target=decode)
thread.start()
thread.join()
"""


def test_no_depth_ends_a_process_whose_threads_have_small_stacks() -> None:
    ran = subprocess.run([sys.executable, "-c", SMALL_STACK], check=False, capture_output=True, text=True)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split() == ["decoded", "refused", "refused", "refused"] * 2
