"""Where the settings of a stack come from."""

import re
from pathlib import Path

import pytest

from infra.stack import env_file, options, provision
from infra.stack.config import main
from infra.stack.options import InvalidSetting
from infra.stack.profiles import Profile, profile


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file `.env` in place of the clone's one, in an environment without settings."""
    for name in options.OPTIONS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHOTOGRAM_STATE", str(tmp_path / "state"))
    file = tmp_path / ".env"
    monkeypatch.setattr(options, "FILE", file)
    return file


def _stack() -> Profile:
    stack = profile("run")
    provision.create_folders(stack)
    return stack


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env.write_text("# ports\n\nPHOTOGRAM_PORT=8000\nPHOTOGRAM_HEAVY=5\n")
    monkeypatch.setenv("PHOTOGRAM_HEAVY", "7")

    names = ("PHOTOGRAM_HEAVY", "PHOTOGRAM_PORT", "PHOTOGRAM_UPLOADS")
    assert [(options.value(name), options.source(name)) for name in names] == [
        ("7", "environment"),
        ("8000", ".env"),
        ("32", "default"),
    ]
    assert (profile("run").ports.nginx, profile("run").heavy) == (8000, 7)


def test_the_test_stack_uses_only_addresses_of_the_file(env: Path) -> None:
    env.write_text("PHOTOGRAM_PORT=8000\nPHOTOGRAM_HEAVY=5\nPHOTOGRAM_BACKUP=/backup\n")

    assert (profile("test").ports.nginx, profile("test").heavy) == (9000, 3)
    assert options.value("PHOTOGRAM_BACKUP", is_test=True) == ""


@pytest.mark.parametrize("line", ["PHOTOGRAM_PROT=8000", "PHOTOGRAM_PORT", "export PHOTOGRAM_PORT=8000"])
def test_a_line_that_is_no_setting_is_refused(env: Path, line: str) -> None:
    env.write_text(f"\n{line}\n")

    with pytest.raises(InvalidSetting, match=r"line 2.*is no setting"):
        profile("run")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("PHOTOGRAM_PORT=many", "PHOTOGRAM_PORT"),
        ("STAR_FOLLOWERS=few", "star_followers"),
        ("RATE_LIMITS=5", "RATE_LIMITS"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_name(env: Path, line: str, name: str) -> None:
    env.write_text(line)

    with pytest.raises(InvalidSetting, match=name):
        env_file.write(_stack())


def test_functions_get_the_chosen_values_and_the_default_again_when_they_are_removed(
    env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = _stack()
    monkeypatch.setenv("RATE_LIMITS", '{"login":[50,60]}')
    env.write_text("STAR_FOLLOWERS=10\nSECURE_COOKIES=true\n")
    chosen = env_file.for_functions(env_file.write(stack))
    assert (chosen["RATE_LIMITS"], chosen["STAR_FOLLOWERS"]) == ('{"login":[50,60]}', "10")
    assert chosen["SECURE_COOKIES"] == "true"

    monkeypatch.delenv("RATE_LIMITS")
    env.unlink()
    default = env_file.for_functions(env_file.write(stack))
    assert (default["RATE_LIMITS"], default["STAR_FOLLOWERS"], default["SECURE_COOKIES"]) == ("{}", "50000", "false")


@pytest.mark.parametrize(
    ("address", "host", "url"),
    [
        ("127.0.0.1", "", "http://localhost:3000"),
        ("192.0.2.7", "", "http://192.0.2.7:3000"),
        ("0.0.0.0", "photos.local", "http://photos.local:3000"),  # noqa: S104 (no socket is opened)
    ],
)
def test_links_and_origins_follow_the_address(env: Path, address: str, host: str, url: str) -> None:
    env.write_text(f"PHOTOGRAM_ADDRESS={address}\nPHOTOGRAM_HOST={host}\n")
    settings = env_file.write(_stack())

    assert settings["MEDIA_BASE_URL"] == f"{url}/media/"
    assert settings["UPLOADS_URL"] == url
    assert set(settings["OWN_ORIGINS"].split(",")) == {url, "http://localhost:3000", "http://127.0.0.1:3000"}


def test_all_addresses_mean_one_that_the_network_can_reach(env: Path) -> None:
    env.write_text("PHOTOGRAM_ADDRESS=0.0.0.0")

    assert profile("run").host not in {"", "0.0.0.0"}  # noqa: S104 (no socket is opened)


def test_the_example_describes_every_setting_with_its_default() -> None:
    described = re.findall(r"^#([A-Z_]+)=(.*)$", options.EXAMPLE.read_text(), re.MULTILINE)

    assert described == [(option.name, option.default) for option in options.OPTIONS.values()]


def test_config_prints_each_value_with_its_source(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env.write_text("PHOTOGRAM_PORT=8000\n")

    assert main() == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["PHOTOGRAM_PORT", "8000", ".env"]
    assert (
        len([line for line in printed if line.endswith("default")]) == len(options.OPTIONS) - 2
    )  # and PHOTOGRAM_STATE


def test_config_says_what_cannot_be_used(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env.write_text("PHOTOGRAM_PORT=many\n")

    assert main() == 1
    assert "PHOTOGRAM_PORT" in capsys.readouterr().err
