"""Renders the configuration files of the stores and of nginx from the templates in infra/."""

import hashlib
import json
import re
import shutil
import socket
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path

from infra.rabbitmq import definitions
from infra.stack import certificates, pins
from infra.stack.env_file import ADMIN, FUNCTIONS, MINIO, backup_generation, stores_ca_file
from infra.stack.profiles import CLONE, NGINX_USER, Profile, is_root
from infra.template_map import Route, heavy_routes, queues, upload_routes

INFRA = CLONE / "infra"
_NAME = re.compile(r"{{(\w+)}}")
_WEB = CLONE / "web" / "dist"

_IDLE_SECONDS = 20
"""nginx closes an idle connection before the HTTP host does: it cannot repeat a POST that was sent on a connection that
the host was closing."""

_FILE_MEGABYTES = 10
_FORM_MEGABYTES = 10
"""What a form may have beside its files; more than needed, so that the function names the file that is too large."""

_PROBLEMS = {
    400: "The request could not be read.",
    403: "This link is invalid or has expired.",
    404: "This page does not exist.",
    405: "This method is not allowed here.",
    408: "The request took too long to arrive.",
    413: "The request is larger than this address takes.",
    414: "The address is too long.",
    416: "The file has no such range.",
    429: "Too many requests at the same time. Try again later.",
    431: "The headers of the request are too large or too many.",
    501: "This transfer encoding is not supported.",
    503: "The service is temporarily unavailable. Try again later.",
    505: "This version of HTTP is not supported.",
}
"""The texts of the problem documents that nginx answers by itself."""

FILES = {
    "postgres": ("postgres/postgresql.conf", "postgres/pg_hba.conf"),
    "valkey": ("valkey/valkey.conf",),
    "rabbitmq": ("rabbitmq/rabbitmq.conf", "rabbitmq/vm.args"),
    "cassandra": (
        *("cassandra/cassandra.yaml", "cassandra/jvm.options", "cassandra/logback.xml"),
        "cassandra/commitlog_archiving.properties",
    ),
    "nginx": (
        *("nginx/nginx.conf", "nginx/forwarded.conf", "nginx/upload.conf", "nginx/problems.conf"),
        *("nginx/problem_pages.conf", "nginx/direct_upload.conf", "nginx/headers.conf"),
        *("nginx/whole_heads.conf", "nginx/media_links.js", "nginx/request_heads.js"),
    ),
}


def render(profile: Profile, settings: Mapping[str, str]) -> dict[str, str]:
    """Write the files that have changed; the text of all files of each program, to detect that it must restart.

    With TLS to the stores, the certificate belongs to all. Raises `CommandFailed` if it cannot be created.
    """
    folder = profile.state / "config"
    folder.mkdir(mode=0o755, exist_ok=True)
    certificate = certificates.provide(profile) if stores_ca_file(settings) else ""
    values = _values(profile, settings, folder)
    texts = {
        program: {Path(name).name: _fill((INFRA / name).read_text(), values) for name in names}
        for program, names in FILES.items()
    }
    texts["rabbitmq"]["definitions.json"] = definitions.dumps(
        {queue.name for queue in queues()},
        {
            ADMIN: definitions.Account(settings["RABBITMQ_ADMIN_PASSWORD"], definitions.EVERYTHING, is_admin=True),
            FUNCTIONS: definitions.Account(settings["RABBITMQ_PASSWORD"], definitions.MESSAGES),
            MINIO: definitions.Account(settings["MINIO_RABBITMQ_PASSWORD"], definitions.NOTIFICATIONS),
        },
    )
    texts["rabbitmq"]["enabled_plugins"] = "[].\n"
    for files in texts.values():
        for name, text in files.items():
            _write(folder / name, text, is_secret=name == "nginx.conf")
    joined = {program: "\n".join([*files.values(), certificate]) for program, files in texts.items()}
    return joined | ({"minio": certificate} if certificate else {})


def publish_web(profile: Profile) -> None:
    """Copy the built web client (or a page that links to the API) and the API's documentation into nginx's folder.

    Files are replaced one by one: a container keeps the folder itself mounted.
    """
    target, web = profile.state / "www", _WEB if _WEB.is_dir() else INFRA / "nginx" / "html"
    sources = {target: web, target / "docs": INFRA / "nginx" / "docs", target / "docs" / "viewer": pins.swagger_ui()}
    for place, source in sources.items():
        shutil.copytree(source, place, dirs_exist_ok=True)
    published = {place / path.relative_to(source) for place, source in sources.items() for path in source.rglob("*")}
    for path in target.rglob("*"):
        if path.is_file() and path not in published:
            path.unlink()


def _values(profile: Profile, settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    ports, state = profile.ports, profile.state
    ca_file, tls = stores_ca_file(settings), certificates.folder(profile)
    return {
        "config_folder": str(folder),
        "with_tls": "" if ca_file else "# ",
        "without_tls": "# " if ca_file else "",
        "ca_file": ca_file,
        "certificate": str(tls / certificates.CERTIFICATE),
        "certificate_key": str(tls / certificates.KEY),
        "certificate_name": certificates.NAME,
        "postgres_key": str(tls / certificates.POSTGRES_KEY),
        "keystore": str(tls / certificates.KEYSTORE),
        "postgres_port": str(ports.postgres),
        "postgres_fsync": "off" if profile.name == "test" else "on",
        "valkey_port": str(ports.valkey),
        "valkey_admin": ADMIN,
        "valkey_admin_password": _sha256(settings["VALKEY_ADMIN_PASSWORD"]),
        "valkey_functions": FUNCTIONS,
        "valkey_functions_password": _sha256(settings["VALKEY_PASSWORD"]),
        "rabbitmq_port": str(ports.rabbitmq),
        "minio_port": str(ports.minio),
        "minio_scheme": "https" if ca_file else "http",
        "cassandra_port": str(ports.cassandra),
        "cassandra_nodes_port": str(ports.cassandra_nodes),
        "cassandra_folder": str(state / "cassandra"),
        "archive_command": _archive_command(settings),
        "nginx_folder": str(state / "nginx"),
        "nginx_types": "/etc/nginx/mime.types",
        "nginx_user": f"user {NGINX_USER};" if is_root() else "",
        "www_folder": str(state / "www"),
        "nginx_port": str(ports.nginx),
        "api_1_port": str(ports.api[0]),
        "api_2_port": str(ports.api[1]),
        "api_3_port": str(ports.api[2]),
        "listen": _listen(profile),
        "tls": _tls(profile),
        "transport_security": "max-age=31536000" if profile.tls else "",
        "upstreams": _upstreams(profile),
        "heavy_routes": _map_routes((route, 1) for route in heavy_routes()),
        "upload_routes": _map_routes((route, route.function.max_files) for route in upload_routes()),
        "upload_locations": _upload_locations(),
        "problem_pages": _problem_pages(),
        "problem_locations": _problem_locations(),
        "unavailable": _problem(503, _PROBLEMS[503]),
        "uploads": str(profile.uploads),
        "connections": str(profile.connections),
        "bucket": settings["S3_BUCKET"],
        "media_link_secret": settings["MEDIA_LINK_SECRET"],
        "media_referer": settings["MEDIA_REFERER"],
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _archive_command(settings: Mapping[str, str]) -> str:
    """The command with which Cassandra copies a full segment of the commit log; empty without a backup."""
    generation = backup_generation(settings)
    return f"/bin/sh {INFRA}/cassandra/archive.sh %path {generation}/commitlog %name" if generation else ""


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _NAME.sub(lambda found: values[found[1]], text)


def _write(path: Path, text: str, *, is_secret: bool) -> None:
    if not path.is_file() or path.read_text() != text:
        path.touch(mode=0o600 if is_secret else 0o644)
        path.write_text(text)


def _listen(profile: Profile) -> str:
    """The `listen` lines of nginx; loopback means 127.0.0.1 and ::1, because browsers try ::1 first for localhost."""
    addresses = [profile.address]
    if profile.address == "127.0.0.1" and _has_ipv6():
        addresses.append("[::1]")
    ports, tls = (profile.ports.nginx, *profile.ports.api), " ssl" if profile.tls else ""
    return "\n".join(f"        listen {address}:{port}{tls};" for port in ports for address in addresses)


def _tls(profile: Profile) -> str:
    """The lines of nginx for TLS, if the profile has a certificate."""
    if profile.tls is None:
        return ""
    lines = (
        f"ssl_certificate {profile.tls.certificate};",
        f"ssl_certificate_key {profile.tls.key};",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_session_cache shared:tls:10m;",
        "error_page 497 =308 https://$http_host$request_uri;  # HTTP without TLS",
    )
    return "\n".join(f"        {line}" for line in lines)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _upstreams(profile: Profile) -> str:
    """The upstreams of nginx: all hosts of each kind, and a third of readers and writers for each API instance.

    Requests with files have heavy hosts of their own, so that other heavy ones do not wait for an object store that
    hangs (docs/decisions/0003-heavy-environments.md). Only connections to readers are kept. A host may close a kept
    connection while a request is on its way, and nginx repeats only requests that read. A host that is killed answers
    again within milliseconds.
    """
    kinds = dict(profile.sockets)
    kinds |= {"receivers": kinds["heavy"][::2], "heavy": kinds["heavy"][1::2] or kinds["heavy"]}
    for name in ("readers", "writers"):
        kinds |= {f"{name}_{number + 1}": kinds[name][number::3] or kinds[name] for number in range(3)}
    return "".join(
        f"\n    upstream {name} {{\n        zone {name} 64k;\n        least_conn;\n"
        + "".join(f"        server unix:{path} max_fails=2 fail_timeout=1s;\n" for path in paths)
        + (_keep_alive(len(paths)) if name.startswith("readers") else "")
        + "    }\n"
        for name, paths in kinds.items()
    )


def _keep_alive(hosts: int) -> str:
    return f"        keepalive {2 * hosts};\n        keepalive_timeout {_IDLE_SECONDS}s;\n"


def _map_routes(values: Iterable[tuple[Route, int]]) -> str:
    """The lines of a map of nginx from a method and a path to a value."""
    lines = (f'        "~^{route.method} {_pattern(route.path)}/?$" {value};' for route, value in values)
    return "\n".join(sorted(lines))


def _upload_locations() -> str:
    """The locations of nginx for forms with files, one for each number of files."""
    return "\n".join(
        f"        location ^~ /uploads/{count}/ {{\n"
        f"            client_max_body_size {count * _FILE_MEGABYTES + _FORM_MEGABYTES}m;\n"
        "            include upload.conf;\n        }"
        for count in sorted({route.function.max_files for route in upload_routes()})
    )


def _problem_pages() -> str:
    """Which problem document nginx answers for each status."""
    own = {431: "494", 503: "500 502 503 504"}
    return "\n".join(f"error_page {own.get(status, status)} ={status} /problem/{status};" for status in _PROBLEMS)


def _problem_locations() -> str:
    """The problem documents that nginx answers."""
    return "\n".join(
        f"location = /problem/{status} {{ internal; client_max_body_size 0; "
        f"return {status} '{_problem(status, text)}'; }}"
        for status, text in _PROBLEMS.items()
    )


def _problem(status: int, text: str) -> str:
    title = HTTPStatus(status).phrase
    return json.dumps({"type": "about:blank", "title": title, "status": status, "detail": text, "error": text})


def _pattern(path: str) -> str:
    """A route's path as a regular expression; a variable such as `{post_id}` matches one level."""
    return re.sub(r"\\{[^}]*\\}|{[^}]*}", "[^/]+", re.escape(path).replace(r"\-", "-"))
