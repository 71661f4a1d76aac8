"""The limit of environments in LocalStack."""

import pytest

from infra.stack import programs
from infra.stack.profiles import profile


@pytest.mark.parametrize(("setting", "passed"), [("40", "40"), ("", "")])
def test_the_setting_reaches_the_executor_which_decides_without_it(
    setting: str, passed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOGRAM_LAMBDAS", setting)

    localstack, _ = programs.localstack(profile("run"), {})

    assert localstack.variables["PROCESS_EXECUTOR_ENVIRONMENTS"] == passed
