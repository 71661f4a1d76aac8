"""Changed copies of the zip files of a deployment."""

import shutil
import zipfile
from pathlib import Path
from uuid import uuid4

from infra.localstack.deployment import Artifacts


def with_a_further_file(artifacts: Artifacts, logical_id: str, folder: Path) -> Artifacts:
    """The same artifacts, with a copy of one that contains a further file; the copy is in the folder."""
    changed = Path(shutil.copy(artifacts.paths[logical_id], folder / f"{uuid4()}.zip"))
    with zipfile.ZipFile(changed, "a") as appended:
        appended.writestr(f"{uuid4()}.txt", "changed")
    return Artifacts.of({**artifacts.paths, logical_id: changed})
