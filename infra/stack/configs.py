"""Renders the configuration files of stores and front door from the templates in infra/."""

import re
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from infra.rabbitmq import definitions
from infra.stack import pins
from infra.stack.environment import USER
from infra.stack.profiles import CLONE, Profile, is_root
from infra.template_map import heavy_routes, queues

INFRA = CLONE / "infra"
_NAME = re.compile(r"{{(\w+)}}")
_WEB = CLONE / "web" / "dist"

_IDLE_SECONDS = 20
"""nginx lets go of an idle connection before the environment does (30 s): a POST sent on one that closes just then
could not be sent again."""

FILES = {
    "postgres": ("postgres/postgresql.conf", "postgres/pg_hba.conf"),
    "valkey": ("valkey/valkey.conf",),
    "rabbitmq": ("rabbitmq/rabbitmq.conf",),
    "cassandra": ("cassandra/cassandra.yaml", "cassandra/jvm.options", "cassandra/logback.xml"),
    "nginx": ("nginx/nginx.conf", "nginx/media_links.js"),
}


def render(profile: Profile, environment: Mapping[str, str]) -> dict[str, str]:
    """Write what has changed; for each part the text of all its files, to tell whether it must start anew."""
    folder = profile.state / "config"
    folder.mkdir(mode=0o755, exist_ok=True)
    values = _values(profile, environment, folder)
    texts = {
        part: {Path(name).name: _filled((INFRA / name).read_text(), values) for name in names}
        for part, names in FILES.items()
    }
    texts["rabbitmq"]["definitions.json"] = definitions.dumps(
        {queue.name for queue in queues()}, user=USER, password=environment["RABBITMQ_PASSWORD"]
    )
    texts["rabbitmq"]["enabled_plugins"] = "[].\n"
    for files in texts.values():
        for name, text in files.items():
            _write(folder / name, text, is_secret=name == "nginx.conf")
    return {part: "\n".join(files.values()) for part, files in texts.items()}


def publish_web(profile: Profile) -> None:
    """Copy the built web client (or a page that says where the API is) and the API's documentation to where nginx's
    workers can read them.

    In place: a container holds on to the folder itself.
    """
    target, web = profile.state / "www", _WEB if _WEB.is_dir() else INFRA / "nginx" / "html"
    sources = {target: web, target / "docs": INFRA / "nginx" / "docs", target / "docs" / "viewer": pins.swagger_ui()}
    for place, source in sources.items():
        shutil.copytree(source, place, dirs_exist_ok=True)
    kept = {place / path.relative_to(source) for place, source in sources.items() for path in source.rglob("*")}
    for path in target.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def _values(profile: Profile, environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    ports, state = profile.ports, profile.state
    return {
        "config_folder": str(folder),
        "postgres_port": str(ports.postgres),
        "postgres_fsync": "off" if profile.name == "test" else "on",
        "valkey_port": str(ports.valkey),
        "rabbitmq_port": str(ports.rabbitmq),
        "minio_port": str(ports.minio),
        "cassandra_port": str(ports.cassandra),
        "cassandra_nodes_port": str(ports.cassandra_nodes),
        "cassandra_folder": str(state / "cassandra"),
        "nginx_folder": str(state / "nginx"),
        "nginx_types": "/etc/nginx/mime.types",
        "nginx_user": "user www-data;" if is_root() else "",
        "www_folder": str(state / "www"),
        "front_port": str(ports.front),
        "api_1_port": str(ports.api[0]),
        "api_2_port": str(ports.api[1]),
        "api_3_port": str(ports.api[2]),
        "listen": _listen(profile),
        "upstreams": _upstreams(profile),
        "heavy_routes": "\n".join(
            f'        "~^{method} {_pattern(path)}/?$" 1;' for method, path in sorted(heavy_routes())
        ),
        "live_port": str(ports.live),
        "bucket": environment["S3_BUCKET"],
        "media_link_secret": environment["MEDIA_LINK_SECRET"],
        "media_referer": environment["MEDIA_REFERER"],
    }


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _NAME.sub(lambda found: values[found[1]], text)


def _write(path: Path, text: str, *, is_secret: bool) -> None:
    if not path.is_file() or path.read_text() != text:
        path.touch(mode=0o600 if is_secret else 0o644)
        path.write_text(text)


def _listen(profile: Profile) -> str:
    """Loopback means both of its addresses, as browsers try ::1 first for localhost."""
    addresses = [profile.address]
    if profile.address == "127.0.0.1" and _has_ipv6():
        addresses.append("[::1]")
    ports = (profile.ports.front, *profile.ports.api)
    return "\n".join(f"        listen {address}:{port};" for port in ports for address in addresses)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


def _upstreams(profile: Profile) -> str:
    """All light environments, the three instances' shares of them, and the heavy ones.

    An environment that refuses connections is left out for a second, never longer: it is back in less.
    """
    light = [profile.ports.light + number for number in range(profile.light)]
    heavy = [profile.ports.heavy + number for number in range(profile.heavy)]
    shares = {f"light_{number + 1}": light[number::3] or light for number in range(3)}
    return "".join(
        f"\n    upstream {name} {{\n        zone {name} 64k;\n        least_conn;\n"
        + "".join(f"        server 127.0.0.1:{port} max_fails=2 fail_timeout=1s;\n" for port in ports)
        + f"        keepalive {2 * len(ports)};\n        keepalive_timeout {_IDLE_SECONDS}s;\n    }}\n"
        for name, ports in {"light": light, **shares, "heavy": heavy}.items()
    )


def _pattern(path: str) -> str:
    """A route's path as a regular expression: `{post_id}` is one level."""
    return re.sub(r"\\{[^}]*\\}|{[^}]*}", "[^/]+", re.escape(path).replace(r"\-", "-"))
