"""Commands of documents, run as they are written."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from tests.support.stack import ROOT

_SECONDS: Final = 120
_DOCUMENTS: Final = (
    *(ROOT / name for name in ("README.md", "infra/localstack/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
_COMMAND: Final = re.compile(r"(?:^ *|`)(make (?:invoke|events)\b[^`\n#]*)", re.MULTILINE)
_OF_THE_GUIDE: Final = "count_posts"
"""In commands about the function that the guide lets its reader write."""


def invoke_commands(*, in_localstack: bool) -> list[str]:
    """Every `make invoke` and `make events` of the documents that names a function, in their order."""
    found = [each.strip() for path in _DOCUMENTS for each in _COMMAND.findall(path.read_text())]
    return list(
        dict.fromkeys(
            each
            for each in found
            if "FN=" in each and _OF_THE_GUIDE not in each and ("HOST=localstack" in each) == in_localstack
        )
    )


def run(command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command for the test stack."""
    environment = {**os.environ, "PROFILE": "test"}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
