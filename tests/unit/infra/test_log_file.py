"""The log file of a host."""

import subprocess
import sys
from pathlib import Path

from tests.support.stack import ROOT

WRITE = """
import os, sys, threading
from pathlib import Path
from infra.local import log_file

path = Path(sys.argv[1])
log_file.open_log(path)
def write(name):
    for number in range(2000):
        sys.stdout.write(f"{name} {number}\\n")
        sys.stdout.flush()
writers = [threading.Thread(target=write, args=[name]) for name in "ab"]
for each in writers: each.start()
while not log_file.rotate_full(path, max_bytes=10_000): pass
for each in writers: each.join()
os.write(2, b"the end\\n")
os.abort()
"""


def test_no_line_is_lost_when_a_file_is_full_or_the_process_crashes(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    subprocess.run([sys.executable, "-c", WRITE, str(path)], cwd=ROOT, check=False, timeout=30)

    full, new = (tmp_path / "host.log.1").read_text().splitlines(), path.read_text().splitlines()
    assert len(full) > 1000
    assert new[-1] == "the end"
    for name in "ab":
        assert [line for line in full + new if line.startswith(name)] == [f"{name} {number}" for number in range(2000)]


def test_a_removed_log_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    script = (
        "import sys; from pathlib import Path; from infra.local import log_file; path = Path(sys.argv[1]);"
        "log_file.open_log(path); print('one', flush=True); path.unlink(); log_file.rotate_full(path);"
        "print('two', flush=True)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT, check=True)

    assert path.read_text() == "two\n"
