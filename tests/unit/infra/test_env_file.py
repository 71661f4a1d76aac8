"""The settings of a stack, which `make run` writes."""

from pathlib import Path

import msgspec
import pytest

from infra.stack import env_file
from infra.stack.options import InvalidSetting
from infra.stack.profiles import Profile, profile
from layers.core.settings import SIGNING_KEYS


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A stack that was never started."""
    for name in ("PHOTOGRAM_STORES_TLS", "PHOTOGRAM_BACKUP"):
        monkeypatch.delenv(name, raising=False)
    return msgspec.structs.replace(profile("run"), state=tmp_path)


@pytest.mark.parametrize("name", [each.upper() for each in SIGNING_KEYS])
def test_a_stack_with_a_short_key_does_not_start(stack: Profile, name: str) -> None:
    written = env_file.write(stack)
    stack.env_file.write_text(stack.env_file.read_text().replace(written[name], "short"))

    with pytest.raises(InvalidSetting, match=f"{name} in .* must have at least 32 characters"):
        env_file.write(stack)
    stack.env_file.write_text(stack.env_file.read_text().replace(f"{name}=short\n", ""))
    assert len(env_file.write(stack)[name]) >= 32
