"""The memory of processes."""

from pathlib import Path


def peak_bytes(pid: int) -> int:
    """The most that a process has had in memory since it started, or since `forget_peak`."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def forget_peak(pid: int) -> None:
    """Count the peak of a process from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
