"""The script that installs Photogram, on a machine that lacks something."""

import shutil
import subprocess
from pathlib import Path

from tests.support.stack import ROOT

TOOLS = ("bash", "cat", "dirname", "sha256sum", "awk")


def test_without_python_3_13_it_says_so_and_nothing_else(tmp_path: Path) -> None:
    clone, tools = tmp_path / "a clone", tmp_path / "bin"
    (clone / "infra" / "stack").mkdir(parents=True)
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    shutil.copy(ROOT / "requirements.lock", clone)
    script = shutil.copy(ROOT / "infra" / "stack" / "install.sh", clone / "infra" / "stack")

    done = subprocess.run(
        ["bash", script],
        env={"PATH": str(tools), "PYENV_ROOT": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == "Python 3.13 is not installed. Install it, for example with: pyenv install 3.13\n"
