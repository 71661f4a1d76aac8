"""The CPU time of the eight renditions of a 12-megapixel photo, against a lower bound and against sharp.

python -m tests.bench.photo_pipeline [--rounds 15]

The lower bound is one scaled decode and the eight encodes, without scaling. sharp makes the same files in two ways:
each size from the upload, the usual way, and each size from the larger one, the fastest way. Ours is what a function
does: the decoder process receives the picture and returns the files; the CPU time of both processes counts. Sides take
turns; ratios are medians of the rounds' ratios.
"""

import argparse
import io
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from PIL import Image

from layers.media import decoder, decoder_process
from layers.media.renditions import render_photo
from tests.bench.aims import Aim, report

HERE = Path(__file__).parent
PHOTOGRAPH = Path("/usr/share/backgrounds/Dragonfly_by_Bolly.jpg")
"""From Debian's lomiri-wallpapers-16.04."""
CACHE = Path.home() / ".cache" / "photogram" / "bench"

LOWER_BOUND: Final = Aim(name="CPU time, ours / lower bound", at_most=1.25)
SHARP: Final = Aim(name="CPU time, ours / sharp from the upload", at_most=0.6)
SHARP_CHAINED: Final = Aim(name="CPU time, ours / sharp from the larger size", at_most=1)
AIMS: Final = (LOWER_BOUND, SHARP, SHARP_CHAINED)


def phone_photo() -> bytes:
    """The photograph as a phone in portrait orientation stores it: 4032 × 3024, with an EXIF orientation of 6."""
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "Phone", 6
    file = io.BytesIO()
    with Image.open(PHOTOGRAPH) as picture:
        stored = picture.resize((4032, 3024), Image.Resampling.LANCZOS)
    stored.save(file, "JPEG", quality=92, subsampling="4:2:0", exif=exif)
    return file.getvalue()


class Sharp:
    """A Node.js process that makes the files with sharp."""

    def __init__(self, photo: Path) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", "photo_pipeline.mjs"):
            shutil.copy(HERE / name, CACHE)
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=CACHE, check=True)
        self._node = subprocess.Popen(
            ["node", "photo_pipeline.mjs", str(photo)],
            cwd=CACHE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def make(self, way: str) -> tuple[float, float]:
        """Make the files once; wall-clock and CPU milliseconds."""
        assert self._node.stdin
        assert self._node.stdout
        self._node.stdin.write(way + "\n")
        self._node.stdin.flush()
        answer = json.loads(self._node.stdout.readline())
        assert answer["files"] == 8
        return answer["wall"], answer["cpu"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._node.communicate()


def _child_cpu() -> float:
    """CPU milliseconds of the decoder process until now."""
    tasks = Path(f"/proc/{decoder_process.child_pid()}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def render(photo: bytes) -> tuple[float, float]:
    """Make the files; wall-clock milliseconds, and CPU milliseconds of this process and of the decoder process."""
    child, host, wall = _child_cpu(), time.process_time(), time.perf_counter()
    made = render_photo(photo)
    took = (time.perf_counter() - wall) * 1000
    assert len(made.renditions) == 8
    return took, (time.process_time() - host) * 1000 + _child_cpu() - child


def lower_bound(photo: bytes) -> Callable[[], tuple[float, float]]:
    """A function that decodes once and encodes eight times; wall-clock and CPU milliseconds."""
    sizes = [
        Image.open(io.BytesIO(file.data)).convert("RGB")
        for file in render_photo(photo).renditions
        if file.encoding == "jpeg"
    ]

    def run() -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        with Image.open(io.BytesIO(photo)) as source:
            source.draft(None, (1080, 810))
            source.load()
        for picture in sizes:
            decoder._encode(picture, "jpeg", None)
            decoder._encode(picture, "webp", None)
        return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000

    return run


def main() -> None:
    """Measure all sides in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    photo = phone_photo()
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(photo)
        file.flush()
        with Sharp(Path(file.name)) as sharp:
            sides: dict[str, Callable[[], tuple[float, float]]] = {
                "lower bound": lower_bound(photo),
                "ours": lambda: render(photo),
                "sharp, from the upload": lambda: sharp.make("each"),
                "sharp, from the larger size": lambda: sharp.make("chained"),
            }
            for run in sides.values():
                run()
            rounds = [{name: run() for name, run in sides.items()} for _ in range(arguments.rounds)]
    decoder_process.close()
    wall = {name: statistics.median(each[name][0] for each in rounds) for name in sides}
    cpu = {name: statistics.median(each[name][1] for each in rounds) for name in sides}
    for name in sides:
        print(f"{name + ':':30} {cpu[name]:7.1f} ms CPU, {wall[name]:7.1f} ms wall")

    baselines = {
        LOWER_BOUND: "lower bound",
        SHARP: "sharp, from the upload",
        SHARP_CHAINED: "sharp, from the larger size",
    }
    ratios = {
        aim: statistics.median(each["ours"][1] / each[name][1] for each in rounds) for aim, name in baselines.items()
    }
    report("photo_pipeline", ratios)


if __name__ == "__main__":
    main()
