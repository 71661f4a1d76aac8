"""Steady traffic over HTTP: clients that send the same requests in turn, and what was answered when."""

import itertools
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import httpx
import msgspec

_EVERY_SECONDS: Final = 0.05
"""Between the beginnings of two requests of a client. All clients together ask for less than the stack can answer on a
machine that is busy with other work, so that fewer answers are the effect of a fault."""
_WINDOW_SECONDS: Final = 1
_STEP_SECONDS: Final = 0.1

type Answers = Callable[[httpx.Response], bool]


class Request(msgspec.Struct, frozen=True):
    """A request that a client repeats."""

    kind: str
    send: Callable[[], httpx.Response]
    is_usual: Answers
    """Whether the answer is the one that is given while every service works."""


class Sent(msgspec.Struct, frozen=True):
    """A request that was sent, and its answer."""

    kind: str
    began_at: float
    """By the monotonic clock."""
    seconds: float
    status: int
    """0: there was no answer."""
    is_usual: bool

    @property
    def ended_at(self) -> float:
        """When the answer was there."""
        return self.began_at + self.seconds


class Traffic:
    """What all clients have sent, while they send more."""

    def __init__(self) -> None:
        self._sent: list[Sent] = []
        self._must_end = threading.Event()

    def between(self, start: float, end: float) -> list[Sent]:
        """The requests that ended in this time, by the monotonic clock."""
        return [sent for sent in self._sent if start <= sent.ended_at < end]

    def rate(self, start: float, end: float) -> float:
        """The usual answers per second in this time."""
        return sum(sent.is_usual for sent in self.between(start, end)) / (end - start)

    def seconds_until(self, rate: float, *, since: float, within: float) -> float | None:
        """When, after `since`, the first whole second with this rate of usual answers has ended; None: not so far.

        It must have ended `within` so many seconds.
        """
        now = time.monotonic()
        ends = sorted(sent.ended_at for sent in self.between(since, now) if sent.is_usual)
        for step in itertools.count():
            seconds = step * _STEP_SECONDS + _WINDOW_SECONDS
            end = since + seconds
            if seconds > within or end > now:
                return None
            if bisect_left(ends, end) - bisect_left(ends, end - _WINDOW_SECONDS) >= rate * _WINDOW_SECONDS:
                return seconds
        raise AssertionError  # the steps do not end

    def run(self, requests: Sequence[Request]) -> None:
        """Send the requests, one after the other, until the end."""
        for request in itertools.cycle(requests):
            began_at = time.monotonic()
            try:
                answer = request.send()
            except httpx.TransportError:
                status, is_usual = 0, False
            else:
                status, is_usual = answer.status_code, request.is_usual(answer)
            seconds = time.monotonic() - began_at
            self._sent.append(Sent(request.kind, began_at, seconds, status, is_usual))
            if self._must_end.wait(max(0, _EVERY_SECONDS - seconds)):
                return

    def end(self) -> None:
        """Let all clients end."""
        self._must_end.set()


@contextmanager
def steady(clients: Sequence[Sequence[Request]]) -> Iterator[Traffic]:
    """Clients that send their requests from now on until the end of the block, each in a thread of its own."""
    traffic = Traffic()
    threads = [threading.Thread(target=traffic.run, args=[requests]) for requests in clients]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        traffic.end()
        for thread in threads:
            thread.join()
