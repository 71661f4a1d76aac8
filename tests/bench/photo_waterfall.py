"""Where the time of a photo goes, from the request that uploads it to the published post.

python -m tests.bench.photo_waterfall [--rounds 15] [--burst 80]

For photos of 12 and of 1 megapixels it prints
- the parts of the way in this process, one photo at a time: wall-clock and CPU time of each part, medians of the
  rounds; the CPU time of the child process and of the stores beside them; and the parts of decoding and encoding;
- one photo at a time over HTTP, until it is published;
- a burst of photos over HTTP, eight at once: photos per second, and the CPU time of each program per photo.

The floor of the aims is the CPU time of one decode and eight encodes: for a burst on all cores of the machine, for one
photo alone on one core. Needs the hosts of the test stack, and a machine with nothing else to do.
"""

import argparse
import asyncio
import contextlib
import functools
import io
import os
import secrets
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import aiohttp
import msgspec
import psutil
from PIL import Image, ImageChops

from functions.posts import create_post
from infra.rabbitmq import definitions
from infra.stack import supervision
from infra.stack.profiles import profile
from layers.core.events import PHOTO_UPLOADED
from layers.entrypoints import admission, request
from layers.media import decoder, decoder_process, image_headers, photos, pictures, renditions
from layers.media.connection import Puts
from layers.media.render_jobs import RenderJob
from layers.services import post_creation, publication, relay
from layers.services.publication import PostPicture
from tests.bench.aims import Aim, report
from tests.bench.callers import PASSWORD
from tests.bench.photo_pipeline import PHOTOGRAPH
from tests.support.calls import Form, Upload, call
from tests.support.http import nginx_origin
from tests.support.people import new_person
from tests.support.queues import channel
from tests.support.stack import load_environment
from tests.support.uploads import begin

SIZES: Final = {"12 MP": (4000, 3000), "1 MP": (1200, 900)}
_GRAIN, _QUALITY = 3, 87
"""With this noise and quality, a photo has 0.16 to 0.25 bytes per pixel, as a phone's has."""
_AT_ONCE: Final = 8
_POSTS_PER_ACCOUNT: Final = 8
"""An account may create 10 posts an hour."""
_STORES: Final = ("minio", "postgres", "rabbitmq", "valkey")

BURST_12: Final = Aim(name="12 MP burst, time per photo / floor of decode and encodes", at_most=2)
BURST_1: Final = Aim(name="1 MP burst, time per photo / floor of decode and encodes", at_most=2)
ALONE_1: Final = Aim(name="1 MP alone, published p50 / CPU time of decode and encodes", at_most=1.5)
AIMS: Final = (BURST_12, BURST_1, ALONE_1)

type Place = tuple[object, str]
"""A module or class, and the name of a function in it."""
type Times = dict[str, list[tuple[float, float]]]
"""The wall-clock and CPU milliseconds of each part, one pair per round."""

UPLOAD_PARTS: Final[Mapping[str, Place]] = {
    "session and limits": (admission, "admit"),
    "reading the form": (request, "read_form"),
    "type and size of the picture": (pictures, "identify_all"),
    "rows of the post": (post_creation, "create"),
    "PUT of the original": (photos, "put_originals"),
}
PROCESSING_PARTS: Final[Mapping[str, Place]] = {
    "status of the post": (publication, "process_picture"),
    "GET of the original": (photos, "read_original"),
    "decoding and encoding, in the child process": (renditions, "render_photo"),
    "sending eight PUTs while the child encodes": (Puts, "put"),
    "waiting for their answers": (Puts, "__exit__"),
    "rows: picture, post, outbox": (publication, "_finish_picture"),
    "event to RabbitMQ, and its removal from the outbox": (relay, "publish"),
}
DECODER_PARTS: Final[Mapping[str, Place]] = {
    "decode": (decoder, "_decode"),
    "scale": (decoder, "_scale"),
    "encode": (decoder, "_encode"),
}


class _Clock(threading.local):
    """The running parts of a thread: for each, the milliseconds of the parts within it."""

    def __init__(self) -> None:
        self.within: list[list[float]] = []


@contextlib.contextmanager
def measured(parts: Mapping[str, Place], rest: str) -> Iterator[Callable[[Callable[[], object]], Times]]:
    """A function that runs another one and adds the times of its parts, each without the parts within it."""
    times: Times = defaultdict(list)
    sums: dict[str, list[float]] = {}
    clock = _Clock()

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*arguments: Any, **named: Any) -> Any:
            wall, cpu = time.perf_counter(), time.thread_time()
            clock.within.append([0, 0])
            try:
                return function(*arguments, **named)
            finally:
                took = (time.perf_counter() - wall) * 1000, (time.thread_time() - cpu) * 1000
                inner = clock.within.pop()
                have = sums.setdefault(name, [0, 0])
                for index in (0, 1):
                    have[index] += took[index] - inner[index]
                    if clock.within:
                        clock.within[-1][index] += took[index]

        return run

    def measure(work: Callable[[], object]) -> Times:
        sums.clear()
        timed(rest, work)()
        for name, (wall, cpu) in sums.items():
            times[name].append((wall, cpu))
        return times

    plain = {place: getattr(*place) for place in parts.values()}
    for name, place in parts.items():
        setattr(*place, timed(name, plain[place]))
    try:
        yield measure
    finally:
        for place, function in plain.items():
            setattr(*place, function)


class Programs:
    """The CPU time of the stack's programs."""

    def __init__(self) -> None:
        self._supervisord = supervision.connect(profile("test"))

    def cpu(self) -> dict[str, float]:
        """The CPU milliseconds of each program until now, its child processes included."""
        total: dict[str, float] = defaultdict(float)
        for each in self._supervisord.getAllProcessInfo():
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(each["pid"]) if each["pid"] else None
                for process in [root, *root.children(recursive=True)] if root else []:
                    total[_program_name(each["group"], process)] += _cpu_of(process.pid)
        total["supervisord"] = _cpu_of(self._supervisord.getPID())
        return total


def _program_name(group: str, process: psutil.Process) -> str:
    return f"{group}: decoder" if "decoder.serve" in " ".join(process.cmdline()) else group


def _cpu_of(pid: int) -> float:
    """The CPU milliseconds of a process and of its child processes that have ended."""
    times = psutil.Process(pid).cpu_times()
    return (times.user + times.system + times.children_user + times.children_system) * 1000


def main() -> None:
    """Measure all three and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--burst", type=int, default=80, help="photos per burst")
    arguments = parser.parse_args()
    load_environment()
    programs = Programs()
    url = f"{nginx_origin()}/api/v1"
    floors, bursts, alone = {}, {}, {}
    for name, (width, height) in SIZES.items():
        photo = photo_of(width, height)
        print(f"\n{name}, {len(photo) / 1000:.0f} kB")
        _print_upload(photo, programs, arguments.rounds)
        _print_processing(photo, programs, arguments.rounds)
        floors[name] = _print_decoder(photo, arguments.rounds)
        alone[name], bursts[name] = asyncio.run(_over_http(url, photo, programs, arguments.rounds, arguments.burst))
    decoder_process.close()
    cores = os.cpu_count() or 1
    report(
        "photo_waterfall",
        {
            BURST_12: bursts["12 MP"] / (floors["12 MP"] / cores),
            BURST_1: bursts["1 MP"] / (floors["1 MP"] / cores),
            ALONE_1: alone["1 MP"] / floors["1 MP"],
        },
    )


def photo_of(width: int, height: int) -> bytes:
    """A photograph of this size, with the noise of a sensor."""
    with Image.open(PHOTOGRAPH) as picture:
        scaled = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    noise = Image.effect_noise((width, height), _GRAIN)
    file = io.BytesIO()
    grainy = ImageChops.add(scaled, Image.merge("RGB", [noise] * 3), offset=-128)
    grainy.save(file, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return file.getvalue()


def _print_upload(photo: bytes, programs: Programs, rounds: int) -> None:
    """The parts of a request that creates a post, and the time until its notification arrives."""
    author = new_person("author")
    waits: list[float] = []
    times: Times = {}
    before = programs.cpu()
    with measured(UPLOAD_PARTS, "event, answer, log line") as measure, channel() as opened:
        queue = opened.queue_declare("", exclusive=True).method.queue
        opened.queue_bind(queue, definitions.PHOTOS, PHOTO_UPLOADED)
        consumed = opened.consume(queue, auto_ack=True)
        for number in range(rounds + 1):
            if number % _POSTS_PER_ACCOUNT == 0:
                author = new_person("author")
            form: Form = ([Upload(_unique(photo))], {"caption": "A photo"})
            times = measure(lambda: call(create_post, session_id=author.session_id, form=form))  # noqa: B023
            stored = time.perf_counter()
            next(consumed)
            waits.append((time.perf_counter() - stored) * 1000)
            time.sleep(0.3)  # until the consumer of the stack has processed it
        opened.cancel()
    _print_table("the upload: functions/posts/create_post.py", [*UPLOAD_PARTS, "event, answer, log line"], times)
    print(f"    {'from the answer to the notification in RabbitMQ':<58}{statistics.median(waits[1:]):8.1f}")
    _print_stores(before, programs.cpu(), rounds + 1, ("postgres", "valkey"))


def _print_processing(photo: bytes, programs: Programs, rounds: int) -> None:
    """The parts of the processing of a picture; its original is stored where the consumer does not see it."""
    author = new_person("author")
    begun = [begin(author, _unique(photo)) for _ in range(rounds + 1)]
    waiting = [PostPicture(post_id=each.id, order_index=0, original_key=each.keys[0]) for each in begun]
    times: Times = {}
    publication.process_picture(waiting.pop())
    time.sleep(0.5)
    before, child = programs.cpu(), _cpu_of(decoder_process.child_pid() or 0)
    with measured(PROCESSING_PARTS, "rest") as measure:
        for picture in waiting:
            times = measure(lambda: publication.process_picture(picture))  # noqa: B023
    child = _cpu_of(decoder_process.child_pid() or 0) - child
    _print_table("the processing: layers/services/publication.py", [*PROCESSING_PARTS, "rest"], times, first=0)
    print(f"    {'CPU time of the child process':<58}{'':8}{child / rounds:8.1f}")
    _print_stores(before, programs.cpu(), rounds, _STORES)


def _print_decoder(photo: bytes, rounds: int) -> float:
    """The parts of what the child process does; returns the CPU milliseconds of one decode and eight encodes."""
    job = RenderJob(image_headers.probe(photo), renditions.PHOTO)
    times: Times = {}
    with measured(DECODER_PARTS, "rest") as measure:
        for _ in range(rounds + 1):
            times = measure(lambda: decoder.render(photo, job, lambda _: None))
    _print_table("the child process: layers/media/decoder.py", [*DECODER_PARTS], times)
    return statistics.median(cpu for _, cpu in times["decode"]) + statistics.median(cpu for _, cpu in times["encode"])


def _print_table(title: str, parts: Sequence[str], times: Times, *, first: int = 1) -> None:
    """Medians of the rounds after the first ones."""
    print(f"  {title + ', ms':<60}{'wall':>8}{'CPU':>8}")
    sums = [0.0, 0.0]
    for part in parts:
        medians = [statistics.median(pair[index] for pair in times[part][first:]) for index in (0, 1)]
        sums = [have + more for have, more in zip(sums, medians, strict=True)]
        print(f"    {part:<58}{medians[0]:8.1f}{medians[1]:8.1f}")
    print(f"    {'sum':<58}{sums[0]:8.1f}{sums[1]:8.1f}")


def _print_stores(before: Mapping[str, float], after: Mapping[str, float], count: int, names: Sequence[str]) -> None:
    for name in names:
        print(f"    {'CPU time of ' + name:<58}{'':8}{(after[name] - before[name]) / count:8.1f}")


def _unique(photo: bytes) -> bytes:
    """The photo with a comment that no other has."""
    comment = secrets.token_hex(8).encode()
    return photo[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + photo[2:]


# ── Over HTTP ───────────────────────────────────────────────────────────────


class Sent(msgspec.Struct, frozen=True):
    """A photo that was uploaded."""

    post_id: str
    cookie: str
    started: float
    answered: float


class Client:
    """Uploads photos from many accounts."""

    def __init__(self, http: aiohttp.ClientSession, url: str, photo: bytes) -> None:
        self._http = http
        self._url = url
        self._photo = photo
        self._cookies: list[str] = []
        self._sent = 0

    async def register(self, posts: int) -> None:
        """Create enough accounts for so many posts."""
        for _ in range(posts // _POSTS_PER_ACCOUNT + 1):
            name = f"photo_{secrets.token_hex(6)}"
            registration = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
            async with self._http.post(f"{self._url}/auth/register", json=registration) as response:
                response.raise_for_status()
                self._cookies.append(response.headers["Set-Cookie"].partition(";")[0])

    async def upload(self) -> Sent:
        """Create a post of one photo."""
        cookie = self._cookies[self._sent // _POSTS_PER_ACCOUNT]
        self._sent += 1
        form = aiohttp.FormData({"caption": "A photo"})
        form.add_field("media", _unique(self._photo), filename="photo.jpg", content_type="image/jpeg")
        started = time.perf_counter()
        async with self._http.post(f"{self._url}/posts", data=form, headers={"Cookie": cookie}) as response:
            response.raise_for_status()
            answer = await response.json()
        return Sent(answer["post_id"], cookie, started, time.perf_counter())

    async def published(self, sent: Sent, *, every: float) -> float:
        """Milliseconds from the request to the published post, which is asked for every so many seconds."""
        while True:
            async with self._http.get(f"{self._url}/posts/{sent.post_id}", headers={"Cookie": sent.cookie}) as response:
                response.raise_for_status()
                status = (await response.json())["post"]["status"]
            if status == "published":
                return (time.perf_counter() - sent.started) * 1000
            if status == "failed":
                sys.exit(f"post {sent.post_id} failed")
            await asyncio.sleep(every)


async def _over_http(url: str, photo: bytes, programs: Programs, rounds: int, burst: int) -> tuple[float, float]:
    """The median milliseconds of one photo alone, and the milliseconds per photo of a burst."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
        client = Client(http, url, photo)
        await client.register(rounds + 2 * burst + _POSTS_PER_ACCOUNT)
        alone = await _measure_alone(client, rounds)
        await _measure_burst(client, burst)
        before, busy = programs.cpu(), psutil.cpu_times()
        took = await _measure_burst(client, burst)
        after, busy_after = programs.cpu(), psutil.cpu_times()
    idle = busy_after.idle + busy_after.iowait - busy.idle - busy.iowait
    print(f"  a burst of {burst}, {_AT_ONCE} at once: {1000 * burst / took:.1f} photos per second")
    print(f"    idle: {idle * 1000 / took / (os.cpu_count() or 1):.0%} of the machine")
    print(f"    {'CPU time of the programs per photo, ms':<58}")
    used = {name: (after[name] - before.get(name, 0)) / burst for name in after}
    for name, each in sorted(used.items(), key=lambda item: -item[1]):
        if each >= 0.5:
            print(f"    {name:<58}{'':8}{each:8.1f}")
    print(f"    {'sum':<58}{'':8}{sum(used.values()):8.1f}")
    return alone, took / burst


async def _measure_alone(client: Client, rounds: int) -> float:
    acknowledged, published = [], []
    for _ in range(rounds):
        sent = await client.upload()
        published.append(await client.published(sent, every=0.01))
        acknowledged.append((sent.answered - sent.started) * 1000)
        await asyncio.sleep(0.05)
    median = statistics.median(published)
    print(f"  one at a time over HTTP: answered {statistics.median(acknowledged):.1f} ms, published {median:.1f} ms")
    return median


async def _measure_burst(client: Client, count: int) -> float:
    """Milliseconds until all are published."""
    started = time.perf_counter()
    turns = iter(range(count))
    sent: list[Sent] = []

    async def upload() -> None:
        for _ in turns:
            sent.append(await client.upload())  # noqa: PERF401 (other coroutines append meanwhile)

    await asyncio.gather(*[upload() for _ in range(_AT_ONCE)])
    for each in sent:
        await client.published(each, every=0.02)
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
