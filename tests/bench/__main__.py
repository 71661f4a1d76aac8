"""Every benchmark, one after the other: each prints its ratios, both sides measured in its own run.

python -m tests.bench [name ...]
"""

import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> int:
    """Run those named, or all; the number that failed."""
    found = sorted(FOLDER.glob("[a-z]*.py"))
    wanted = sys.argv[1:] or [path.stem for path in found]
    failed = 0
    for name in wanted:
        print(f"\n== {name}", flush=True)
        started = time.monotonic()
        failed += bool(subprocess.run([sys.executable, str(FOLDER / f"{name}.py")], check=False).returncode)
        print(f"== {name}: {time.monotonic() - started:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
