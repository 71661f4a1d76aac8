"""Lets systemd start the stack with the machine, and start it again after a failure.

python -m infra.stack.service {install,remove}

root installs a unit of the system, another user one of their own, which runs while they are logged in unless
`loginctl enable-linger` lets it run always. The unit keeps the PHOTOGRAM_… variables of the environment in which it is
installed.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infra.stack.commands import CommandFailed, run
from infra.stack.profiles import CLONE, Profile, is_root, profile

_NAME: Final = "photogram.service"
_RUNNING: Final = Path("/run/systemd/system")
"""Exists only where systemd runs (`sd_booted(3)`)."""


def main() -> int:
    """Install or remove the unit; 0 on success."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.stack.service", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=["install", "remove"])
    arguments = parser.parse_args()
    try:
        if arguments.verb == "install":
            install(_folder())
        else:
            remove(_folder())
    except (CommandFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def install(folder: Path) -> None:
    """Write the unit into this folder, and enable it if systemd runs. Raises `CommandFailed` if it is not valid."""
    unit = folder / _NAME
    folder.mkdir(parents=True, exist_ok=True)
    unit.write_text(render(profile("run"), os.environ))
    run(["systemd-analyze", *_scope(), "verify", str(unit)])
    print(f"{unit} was written")
    if _RUNNING.is_dir():
        run(["systemctl", *_scope(), "daemon-reload"])
        run(["systemctl", *_scope(), "enable", "--now", _NAME])
        print(f"systemd has started it. State: systemctl {' '.join([*_scope(), 'status', _NAME])}")
    else:
        print("systemd does not run on this machine, so nothing was started. Start the stack with: make run")


def remove(folder: Path) -> None:
    """Stop and disable the unit if systemd runs, and delete it."""
    unit = folder / _NAME
    if not unit.exists():
        print(f"There is no {unit}")
        return
    if _RUNNING.is_dir():
        run(["systemctl", *_scope(), "disable", "--now", _NAME])
    unit.unlink()
    if _RUNNING.is_dir():
        run(["systemctl", *_scope(), "daemon-reload"])
    print(f"{unit} was deleted. The data are kept")


def render(profile: Profile, variables: Mapping[str, str]) -> str:
    """The text of the unit, which passes on those of the variables whose names begin with PHOTOGRAM_."""
    command = f"{_quote(sys.executable)} -m infra.stack"
    settings = {name: value for name, value in variables.items() if name.startswith("PHOTOGRAM_")}
    lines = "".join(f"Environment={_quote(f'{name}={value}')}\n" for name, value in sorted(settings.items()))
    return f"""[Unit]
Description=Photogram
Wants=network-online.target
After=network-online.target

[Service]
Type=forking
PIDFile={_escape(str(profile.state / "supervisord.pid"))}
WorkingDirectory={_escape(str(CLONE))}
{lines}ExecStart={command} up --profile {profile.name}
ExecReload={command} restart --profile {profile.name}
ExecStop={command} down --profile {profile.name}
TimeoutStartSec=300
TimeoutStopSec=120
Restart=on-failure
RestartSec=2
LimitNOFILE=65536

[Install]
WantedBy={"multi-user.target" if is_root() else "default.target"}
"""


def _folder() -> Path:
    if is_root():
        return Path("/etc/systemd/system")
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "systemd" / "user"


def _scope() -> list[str]:
    return [] if is_root() else ["--user"]


def _quote(text: str) -> str:
    escaped = _escape(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _escape(text: str) -> str:
    return text.replace("%", "%%")


if __name__ == "__main__":
    sys.exit(main())
