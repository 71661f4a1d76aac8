"""Scaling: both implementations give the same picture, and one is always there."""

import io
import subprocess
import sys

import pytest
from PIL import Image, ImageChops, ImageStat

from layers.media import scaling
from tests import pictures
from tests.support.stack import ROOT

SIZES = [(1080, 810), (640, 480), (320, 240), (150, 112)]

each_mode = pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA"])
each_size = pytest.mark.parametrize("size", SIZES)


def _differences(picture: Image.Image, size: tuple[int, int]) -> tuple[int, float]:
    """The largest difference of a value (0 to 255), and the root of the mean square, of the worst channel."""
    one, other = (scale(picture, size) for scale in (scaling.scale_by_pillow, scaling.scale_by_simd))
    assert one.size == other.size == size
    statistics = ImageStat.Stat(ImageChops.difference(one, other))
    return max(int(most) for _, most in statistics.extrema), max(statistics.rms)


@each_mode
@each_size
def test_a_photo_differs_by_two_steps_of_255_at_most(mode: str, size: tuple[int, int]) -> None:
    photo = Image.open(io.BytesIO(pictures.phone_photo())).convert(mode)
    most, mean = _differences(photo, size)

    assert most <= 2
    assert mean < 0.1


@each_size
def test_noise_differs_by_two_steps_of_255_in_the_mean(size: tuple[int, int]) -> None:
    """Noise is the worst case: each value is clipped between the passes of the one, and not of the other."""
    _, mean = _differences(Image.effect_noise((1200, 900), 80).convert("RGB"), size)

    assert mean < 2


def test_a_picture_of_the_size_is_returned_as_it_is() -> None:
    picture = Image.new("RGB", (10, 10))

    assert scaling.scale(picture, (10, 10)) is picture


def test_without_the_faster_implementation_pillow_makes_all_renditions() -> None:
    """As on ARM, where it has no wheel."""
    code = (
        "import sys; sys.modules['cykooz_resizer'] = None\n"
        "from layers.media import scaling\n"
        "assert scaling.SCALES == [scaling.scale_by_pillow]\n"
        "from layers.media import decoder, image_headers\n"
        "from layers.media.render_jobs import RenderJob, Size\n"
        "from tests import pictures\n"
        "data = pictures.phone_photo()\n"
        "job = RenderJob(header=image_headers.probe(data), sizes=(Size('large', 1080, 1080),), "
        "memory_bytes=1 << 30, cpu_seconds=10)\n"
        "files = []\n"
        "decoder.render(data, job, files.append)\n"
        "print(sorted((file.encoding, file.width, file.height) for file in files))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)

    assert done.stdout == "[('jpeg', 1080, 810), ('webp', 1080, 810)]\n", done.stderr
