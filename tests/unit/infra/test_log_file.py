"""The log files of hosts and of other programs."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import ROOT
from tests.support.waiting import LATE_SECONDS, until

KEPT_SECONDS = 4

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


SUPERVISORD = """
[supervisord]
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
nodaemon=true

[program:count]
command=sh -c 'n=0; while :; do echo $n; n=$((n + 1)); sleep 0.02; done'
stdout_logfile={folder}/count.log

[program:logs]
command=sh {root}/infra/local/end_logs.sh {folder} {seconds} 0.2
stdout_logfile={folder}/logs.log
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The logs of a supervisord whose program counts, and a log that no program writes; lines are kept for 4 s."""
    (tmp_path / "gone.log").write_text("of a program that no longer runs\n")
    configuration = tmp_path / "supervisord.conf"
    configuration.write_text(SUPERVISORD.format(folder=tmp_path, root=ROOT, seconds=KEPT_SECONDS))
    command = [str(Path(sys.executable).with_name("supervisord")), "-c", str(configuration)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as supervisord:
        yield tmp_path
        supervisord.terminate()


def numbers(folder: Path) -> list[int]:
    """The numbers in the two files of the log; empty while they are renamed."""
    try:
        before, new, after = ((folder / name).read_text() for name in ("count.log.1", "count.log", "count.log.1"))
    except FileNotFoundError:
        return []
    return [int(number) for number in (before + new).split()] if before == after else []


def test_lines_end_after_their_time_and_none_is_lost_before(folder: Path) -> None:
    started = time.monotonic()
    first = until(lambda: numbers(folder), seconds=KEPT_SECONDS)
    last = until(
        lambda: (found := numbers(folder)) and found[0] > 0 and found, seconds=KEPT_SECONDS + LATE_SECONDS, every=0.1
    )
    seconds = time.monotonic() - started
    until(lambda: not list(folder.glob("gone.log*")), seconds=LATE_SECONDS)

    assert seconds > KEPT_SECONDS / 2
    assert first == list(range(len(first)))
    assert last == list(range(last[0], last[-1] + 1))
