"""The comparison of what `sam build` and `make package` give."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from infra.deployment import __main__ as deployment


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A zip file with two files."""
    with zipfile.ZipFile(tmp_path / "LikePost.zip", "w") as written:
        written.writestr("like_post.py", b"code")
        written.writestr("data.json", b"{}")
    return tmp_path / "LikePost.zip"


def _digests(**files: bytes) -> dict[str, str]:
    return {name.replace("__", "."): hashlib.sha256(content).hexdigest() for name, content in files.items()}


@pytest.mark.parametrize(
    ("built", "differing"),
    [
        (_digests(like_post__py=b"code", data__json=b"{}"), {}),
        (_digests(like_post__py=b"code", data__json=b"[]"), {"LikePost": ["data.json"]}),
        (_digests(like_post__py=b"code"), {"LikePost": ["data.json"]}),
        (_digests(like_post__py=b"code", data__json=b"{}", other__py=b""), {"LikePost": ["other.py"]}),
    ],
)
def test_files_that_differ_or_are_missing_are_named(
    built: dict[str, str], differing: dict[str, list[str]], archive: Path
) -> None:
    assert deployment.compare({"LikePost": built}, {"LikePost": archive}) == differing
