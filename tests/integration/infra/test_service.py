"""The unit with which systemd runs the stack. systemd itself need not run here."""

import configparser
from pathlib import Path

import pytest

from infra.stack import service
from infra.stack.commands import CommandFailed
from infra.stack.profiles import CLONE, profile


@pytest.fixture(autouse=True)
def without_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine that does not run systemd: this test must not start a stack."""
    monkeypatch.setattr(service, "_RUNNING", tmp_path / "none")


def read(folder: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(folder / "photogram.service")
    return unit


def test_the_unit_is_valid_and_starts_restarts_and_stops_this_clone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.install(tmp_path)

    section = read(tmp_path)["Service"]
    assert section["WorkingDirectory"] == str(CLONE)
    assert section["PIDFile"] == str(profile("run").state / "supervisord.pid")
    verbs = {name: section[name].split(" -m ")[1] for name in ("ExecStart", "ExecReload", "ExecStop")}
    assert verbs == {
        "ExecStart": "infra.stack up --profile run",
        "ExecReload": "infra.stack restart --profile run",
        "ExecStop": "infra.stack down --profile run",
    }
    assert "systemd does not run on this machine" in capsys.readouterr().out


def test_the_unit_keeps_the_settings_of_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOGRAM_STATE", '/srv/a "folder", 100% ours\\')
    service.install(tmp_path)

    lines = (tmp_path / "photogram.service").read_text().splitlines()
    assert r'Environment="PHOTOGRAM_STATE=/srv/a \"folder\", 100%% ours\\"' in lines


def test_an_invalid_unit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "CLONE", Path("not/absolute"))

    with pytest.raises(CommandFailed, match="WorkingDirectory"):
        service.install(tmp_path)


def test_remove_deletes_the_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service.install(tmp_path)
    service.remove(tmp_path)
    service.remove(tmp_path)

    assert not list(tmp_path.iterdir())
    assert "There is no" in capsys.readouterr().out
