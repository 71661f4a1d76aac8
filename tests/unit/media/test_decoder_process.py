"""The process that decodes: what it survives, and what survives it."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from layers.core.errors import StoreUnavailable, UnreadableImage
from layers.media import decoder, decoder_process, image_headers
from layers.media.render_jobs import RenderJob, Rendition
from layers.media.renditions import PHOTO, render_photo
from tests import pictures
from tests.support.memory import peak_bytes
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Each test starts without a child and leaves none."""
    decoder_process.close()
    yield
    decoder_process.close()


def _pid() -> int:
    """The child's, once there is one."""
    found = until(decoder_process.child_pid, seconds=10)
    assert found
    return found


def _is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def _cpu_ticks(pid: int) -> int:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:13]
    return int(user) + int(system)


@pytest.fixture(scope="module")
def slow_picture() -> bytes:
    """A picture that takes minutes; `image_headers.probe` would refuse it."""
    return pictures.with_scans(6000, 6000, 1000)


def _order(data: bytes, **given: int) -> RenderJob:
    """An order whose picture was not checked."""
    with Image.open(io.BytesIO(data)) as opened:
        format_: image_headers.Format = opened.format.lower()  # type: ignore[assignment, union-attr]
        return RenderJob(image_headers.Header(format_, *opened.size), PHOTO, **given)


def test_one_warm_process_serves_all_pictures() -> None:
    render_photo(pictures.jpeg(64, 48))
    first = decoder_process.child_pid()
    with pytest.raises(UnreadableImage):
        render_photo(pictures.jpeg(640, 480)[:2000])
    render_photo(pictures.heic())

    assert decoder_process.child_pid() == first != os.getpid()


def test_it_knows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret@127.0.0.1/photogram")
    render_photo(pictures.jpeg(64, 48))

    assert b"secret" not in Path(f"/proc/{_pid()}/environ").read_bytes()


def test_it_yields_the_cpu_to_requests() -> None:
    render_photo(pictures.jpeg(64, 48))

    assert os.getpriority(os.PRIO_PROCESS, _pid()) == max(10, os.getpriority(os.PRIO_PROCESS, 0))


def test_killed_while_idle_it_is_replaced_unnoticed() -> None:
    render_photo(pictures.jpeg(64, 48))
    killed = _pid()
    os.kill(killed, signal.SIGKILL)
    until(lambda: not _is_there(killed), seconds=5)

    assert len(render_photo(pictures.jpeg(64, 48)).renditions) == 8
    assert _pid() != killed


class _Asked(threading.Thread):
    """An order placed beside the test."""

    def __init__(self, data: bytes, **given: int) -> None:
        super().__init__()
        self._data, self._given = data, given
        self.outcome: object = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = decoder_process.render(_order(self._data, **self._given), self._data)
        except Exception as error:  # noqa: BLE001 (the test looks at it)
            self.outcome = error

    def kill_child(self, not_this: int = 0) -> int:
        """Kill the child in the middle of the order; gives its process id."""
        until(lambda: decoder_process.child_pid() not in (None, not_this), seconds=10)
        pid = _pid()
        until(lambda: _cpu_ticks(pid) > 40, seconds=20)  # past its start, in the middle of the work
        os.kill(pid, signal.SIGKILL)
        return pid


def test_killed_in_the_middle_the_order_is_tried_once_more(slow_picture: bytes) -> None:
    asked = _Asked(slow_picture, cpu_seconds=1)
    asked.kill_child()
    asked.join(60)

    assert isinstance(asked.outcome, UnreadableImage)  # the second try ran to its end, here the CPU limit
    assert "too much time" in str(asked.outcome)


def test_killed_twice_from_outside_trying_later_makes_sense(slow_picture: bytes) -> None:
    asked = _Asked(slow_picture, cpu_seconds=30)
    asked.kill_child(not_this=asked.kill_child())
    asked.join(60)

    assert isinstance(asked.outcome, StoreUnavailable)
    assert asked.outcome.store == "image_processing"
    assert len(render_photo(pictures.jpeg(64, 48)).renditions) == 8


def test_a_picture_made_to_be_slow_ends_at_its_cpu_limit_and_is_hopeless(slow_picture: bytes) -> None:
    with pytest.raises(UnreadableImage, match="too much time"):
        decoder_process.render(_order(slow_picture, cpu_seconds=1), slow_picture)

    assert len(render_photo(pictures.jpeg(64, 48)).renditions) == 8


def test_the_cpu_limit_is_per_picture() -> None:
    data = pictures.jpeg(3000, 2000)
    render_photo(data)
    pid = _pid()
    while _cpu_ticks(pid) < 1.5 * os.sysconf("SC_CLK_TCK"):
        decoder_process.render(_order(data, cpu_seconds=1), data)

    assert _pid() == pid


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGBA", "PNG"), ("P", "PNG"), ("I;16", "PNG"), ("RGB", "WEBP"), ("RGBA", "WEBP")]
)
def test_the_largest_pictures_take_less_than_512_mb(mode: str, kind: str) -> None:
    data = pictures.saved(Image.new(mode, (8000, 8000)), kind, compress_level=1, lossless=mode == "RGBA")
    render_photo(data)

    assert peak_bytes(_pid()) < 512_000_000


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_picture_that_needs_more_memory_than_it_may_take_is_hopeless(kind: str) -> None:
    gradients = [gradient.resize((6000, 6000)) for gradient in (Image.linear_gradient("L"), Image.radial_gradient("L"))]
    colourful = Image.merge("RGB", [*gradients, gradients[0].transpose(Image.Transpose.ROTATE_90)])
    data = pictures.saved(colourful, kind, lossless=True, method=0, compress_level=1)
    render_photo(pictures.jpeg(64, 48))
    pid = _pid()
    most = 160 * 1024 * 1024

    with pytest.raises(UnreadableImage):
        decoder_process.render(_order(data, memory_bytes=most), data)
    peak_kib = int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0])
    assert peak_kib * 1024 < most
    assert render_photo(data).width == 6000


def test_a_late_answer_is_never_taken_for_another_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    render_photo(pictures.jpeg(64, 48))
    late = _pid()
    os.kill(late, signal.SIGSTOP)
    with monkeypatch.context() as impatient:
        impatient.setattr(decoder_process, "SECONDS", 0.2)
        with pytest.raises(StoreUnavailable):
            render_photo(pictures.jpeg(200, 100))

    assert not _is_there(late)
    assert render_photo(pictures.jpeg(32, 16)).width == 32


def test_each_rendition_is_received_before_the_last_is_made() -> None:
    """The child is killed when the first one arrives, and the order is tried once more."""
    received: list[tuple[str, str]] = []

    def receive(rendition: Rendition) -> None:
        if not received:
            os.kill(_pid(), signal.SIGKILL)
        received.append((rendition.size, rendition.encoding))

    data = pictures.jpeg(3000, 2000)
    photo = decoder_process.render(_order(data), data, receive)

    assert 8 < len(received) < 16
    assert sorted(received[-8:]) == sorted((each.size, each.encoding) for each in photo.renditions)


def test_renditions_are_in_the_order_of_the_job() -> None:
    photo = render_photo(pictures.jpeg(1200, 900))

    assert [(each.size, each.encoding) for each in photo.renditions] == [
        (size.name, encoding) for size in PHOTO for encoding in ("jpeg", "webp")
    ]


def test_orders_from_several_threads_wait_for_each_other() -> None:
    asked = [_Asked(pictures.jpeg(100 + number, 50)) for number in range(8)]
    for each in asked:
        each.join(30)

    widths = [getattr(each.outcome, "width", each.outcome) for each in asked]
    assert widths == [100 + number for number in range(8)]


def test_a_forked_process_gets_a_child_of_its_own() -> None:
    program = (
        "import os\n"
        "from layers.media import decoder_process, renditions\n"
        f"picture = {pictures.of_type('jpeg')!r}\n"
        "renditions.render_photo(picture)\n"
        "first = decoder_process.child_pid()\n"
        "if forked := os.fork():\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0\n"
        "    renditions.render_photo(picture)\n"
        "    assert decoder_process.child_pid() == first\n"
        "else:\n"
        "    renditions.render_photo(picture)\n"
        "    assert decoder_process.child_pid() != first\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("ending", ["pass", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_it_ends_with_its_host(ending: str) -> None:
    program = (
        "from layers.media import decoder_process, renditions\n"
        f"renditions.render_photo({pictures.of_type('jpeg')!r})\n"
        "print(decoder_process.child_pid(), flush=True)\n" + ending
    )
    completed = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    pid = int(completed.stdout)

    until(lambda: not _is_there(pid), seconds=5)


def test_a_defect_in_the_code_is_not_reported_as_a_bad_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(decoder, "_encode", mistaken)
    data = pictures.jpeg(64, 48)
    with pytest.raises(ZeroDivisionError):
        decoder.render(data, _order(data), lambda _: None)


def _own_bytes(pid: int) -> int:
    """Memory that the process shares with no other."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def test_an_idle_process_gives_the_memory_of_pictures_back() -> None:
    large = pictures.saved(Image.effect_noise((5000, 4000), 50).convert("RGB"), "PNG")

    def gives_back() -> bool:
        """Asked again, because on a busy machine the memory may be read too late."""
        render_photo(large)
        time.sleep(0.3 * decoder._IDLE_MS / 1000)  # what Pillow and Python free by themselves is free then
        kept = _own_bytes(_pid())
        time.sleep(decoder._IDLE_MS / 1000)
        return _own_bytes(_pid()) < kept - 8 * 2**20

    until(gives_back, seconds=60)
    render_photo(large)
