"""Damaged and strange pictures: those of the tests of Pillow and pillow_heif, more than 800, sent as profile pictures.

A profile picture is decoded before the answer, so the answer says what became of it.
"""

import time
from collections import Counter

import psutil
import pytest

from infra.stack import pins
from tests.support import services
from tests.support.http import Caller
from tests.support.memory import forget_peak, peak_bytes

FILES = sorted(path for path in pins.pictures().rglob("*") if path.is_file())
MOST_SECONDS = 5
MOST_BYTES = 512_000_000
TEN_BITS = {"guitar_cw90.hif": 640_000_000}
"""libheif has 33 megapixels with ten bits for each colour in memory three times while it turns and converts them."""


def decoders() -> list[psutil.Process]:
    """The processes that decode pictures within requests."""
    started = services.process("api").children(recursive=True)
    return [each for each in started if any("layers.media" in part for part in each.cmdline())]


@pytest.mark.timeout(600)
def test_no_picture_crashes_or_holds_up_a_process() -> None:
    assert len(FILES) > 800
    hosts = services.process_ids("api")
    answers: Counter[int] = Counter()
    strange, slow, large = [], [], []
    caller = Caller()
    for process in decoders():
        forget_peak(process.pid)  # that of earlier tests
    for file in FILES:
        started = time.monotonic()
        answer = caller.http.put("/users/me", files={"profilePicture": (file.name, file.read_bytes())})
        seconds = time.monotonic() - started
        answers[answer.status_code] += 1
        if answer.status_code not in (200, 400, 413, 415, 422):
            strange.append((file.name, answer.status_code, answer.text))
        if seconds > MOST_SECONDS:
            slow.append((file.name, seconds))
        peak = 0
        for process in decoders():
            peak = max(peak, peak_bytes(process.pid))
            forget_peak(process.pid)
        if peak > TEN_BITS.get(file.name, MOST_BYTES):
            large.append((file.name, peak))

    assert strange == []
    assert slow == []
    assert large == []
    assert services.process_ids("api") == hosts
    assert answers[200] > 100
