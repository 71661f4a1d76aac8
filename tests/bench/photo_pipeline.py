"""A 12-megapixel photo's eight files: CPU against its floor, and against sharp making the same files.

python tests/bench/photo_pipeline.py [--rounds 15]

The floor is one scaled decode and the eight encodes, nothing between; aim: at most 1.25. sharp makes the files in two
ways: each size from the upload, as one writes it (aim: at most 0.6), and each from the one before. All sides in turn.
Ours is what a function does: the picture goes to the darkroom and the files come back; both processes' CPU counts.
"""

import argparse
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from layers.media import darkroom, developing
from layers.media.renditions import render_photo

HERE = Path(__file__).parent
PHOTOGRAPH = Path("/usr/share/backgrounds/Dragonfly_by_Bolly.jpg")
"""From Debian's lomiri-wallpapers-16.04."""
CACHE = Path.home() / ".cache" / "photogram" / "bench"


def phone_photo() -> bytes:
    """The photograph as a phone held upright would have made it: 4032 × 3024, stored sideways."""
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "Phone", 6
    file = io.BytesIO()
    with Image.open(PHOTOGRAPH) as picture:
        stored = picture.resize((4032, 3024), Image.Resampling.LANCZOS)
    stored.save(file, "JPEG", quality=92, subsampling="4:2:0", exif=exif)
    return file.getvalue()


class Sharp:
    """A node process that makes the files when asked."""

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
        """Wall and CPU milliseconds."""
        assert self._node.stdin
        assert self._node.stdout
        self._node.stdin.write(way + "\n")
        self._node.stdin.flush()
        told = json.loads(self._node.stdout.readline())
        assert told["files"] == 8
        return told["wall"], told["cpu"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._node.communicate()


def _child_cpu() -> float:
    """Milliseconds on a core that the darkroom has had."""
    tasks = Path(f"/proc/{darkroom.child_pid()}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def ours(photo: bytes) -> tuple[float, float]:
    """Wall and CPU milliseconds of rendering, in this process and in the darkroom."""
    child, host, wall = _child_cpu(), time.process_time(), time.perf_counter()
    made = render_photo(photo)
    took = (time.perf_counter() - wall) * 1000
    assert len(made.renditions) == 8
    return took, (time.process_time() - host) * 1000 + _child_cpu() - child


def floor_of(photo: bytes) -> Callable[[], tuple[float, float]]:
    """What one scaled decode and the eight encodes cost, wall and CPU milliseconds."""
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
            developing._encoded(picture, "jpeg", None)
            developing._encoded(picture, "webp", None)
        return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000

    return run


def main() -> None:
    """Measure all sides in turn; ratios are medians of those within each round, as other loads come and go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    photo = phone_photo()
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(photo)
        file.flush()
        with Sharp(Path(file.name)) as sharp:
            sides: dict[str, Callable[[], tuple[float, float]]] = {
                "floor": floor_of(photo),
                "ours": lambda: ours(photo),
                "sharp, each from the upload": lambda: sharp.make("each"),
                "sharp, chained": lambda: sharp.make("chained"),
            }
            for run in sides.values():
                run()
            rounds = [{name: run() for name, run in sides.items()} for _ in range(given.rounds)]
    darkroom.close()
    wall = {name: statistics.median(each[name][0] for each in rounds) for name in sides}
    cpu = {name: statistics.median(each[name][1] for each in rounds) for name in sides}
    for name in sides:
        print(f"{name + ':':30} {cpu[name]:7.1f} ms CPU, {wall[name]:7.1f} ms wall")

    def against(name: str, which: int) -> float:
        return statistics.median(each["ours"][which] / each[name][which] for each in rounds)

    print(f"CPU against the floor: {against('floor', 1):.2f} (aim: at most 1.25)")
    for way, aim in (("each from the upload", " (aim: at most 0.6)"), ("chained", "")):
        name = f"sharp, {way}"
        print(f"against {name}: CPU {against(name, 1):.2f}{aim}, wall {against(name, 0):.2f}")


if __name__ == "__main__":
    main()
