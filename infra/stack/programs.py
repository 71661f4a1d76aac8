"""What supervisord runs for a profile: the command, user, environment and order of each program."""

import functools
import hashlib
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from infra.localstack import environments
from infra.stack import debian, fingerprints, pins
from infra.stack.environment import USER, of_functions
from infra.stack.profiles import CLONE, Profile, is_root

HOSTS = ("light", "heavy", "live", "consumer", "schedules")
IN_LOCALSTACK = ("localstack", "invoker")
"""What runs functions in LocalStack."""
RUNNING_FUNCTIONS = (*HOSTS, *IN_LOCALSTACK)
"""They start last and stop first."""
HTTP = frozenset({"light", "heavy"})
"""They go on answering at the front door beside LocalStack, where they ran before."""
TRIGGERS = ("consumer", "schedules")
"""What LocalStack's rules and the invoker stand in for."""

_OLDEST_POSTGRES = 15
_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The server itself: Debian's wrapper in the PATH insists on Debian's own user and folders."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One supervised program, or `count` like it on consecutive ports."""

    name: str
    command: list[str]
    environment: dict[str, str] = {}
    user: str | None = None
    count: int = 1
    first_port: int = 0
    """With `count` above one, each process gets a port from here on, put in place of PORT in the command."""
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    fingerprint: str = ""
    """Changes when what the program reads at its start has changed: then it is started anew."""


def stores(profile: Profile, environment: Mapping[str, str], configs: Mapping[str, str]) -> list[Program]:
    """Stores and front door, in the order in which they start."""
    config, state, ports = profile.state / "config", profile.state, profile.ports
    return [
        Program(
            name="postgres",
            command=[
                *(str(postgres_program("postgres")), "-D", str(postgres_folder(profile))),
                *("-c", f"config_file={config}/postgresql.conf", "-c", f"hba_file={config}/pg_hba.conf"),
                *("-c", "unix_socket_directories="),
            ],
            user="postgres" if is_root() else None,
            stop_signal="INT",  # rolls open transactions back, rather than wait for their end
            fingerprint=configs["postgres"],
        ),
        Program(
            name="valkey",
            command=[str(debian.valkey_server()), str(config / "valkey.conf")],
            fingerprint=configs["valkey"],
        ),
        Program(
            name="epmd",  # RabbitMQ's name service; of its own, else the first node's would outlive the stack
            command=[str(shutil.which("epmd")), "-address", "127.0.0.1", "-port", str(ports.epmd)],
        ),
        Program(
            name="rabbitmq",
            command=[str(_RABBITMQ)],
            environment=rabbitmq_environment(profile),
            stop_seconds=40,
            fingerprint=configs["rabbitmq"],
        ),
        Program(
            name="minio",
            command=[
                *(str(pins.minio()), "server", "--quiet", "--address", f"127.0.0.1:{ports.minio}"),
                str(state / "minio"),
            ],
            environment=minio_environment(environment),
        ),
        Program(
            name="cassandra",
            command=[
                *("java", f"@{config}/jvm.options"),
                f"-javaagent:{next(pins.cassandra().glob('jamm-*.jar'))}",
                f"-Dcassandra.config=file://{config}/cassandra.yaml",
                f"-Dcassandra.storagedir={state}/cassandra",
                f"-Dlogback.configurationFile=file://{config}/logback.xml",
                *("-cp", f"{pins.cassandra()}/*", "org.apache.cassandra.service.CassandraDaemon"),
            ],
            stop_seconds=30,
            fingerprint=configs["cassandra"],
        ),
        Program(
            name="nginx",
            command=[
                *("sh", str(CLONE / "infra" / "nginx" / "start.sh")),
                *(str(state / "nginx"), str(nginx_program()), str(config / "nginx.conf")),
            ],
            stop_signal="QUIT",  # finishes what is being answered
            stop_seconds=5,
            fingerprint=configs["nginx"],
        ),
    ]


def hosts(profile: Profile, environment: Mapping[str, str], *, is_reloading: bool = False) -> list[Program]:
    """The function hosts; `is_reloading` makes them start anew by themselves when a file changes."""
    python, code = sys.executable, "" if is_reloading else _code()
    reload = ["--reload"] if is_reloading else []
    settings = {
        **of_functions(environment),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "",
    }  # compiled once, not per process
    return [
        Program(
            name="light",
            command=[python, "-m", "infra.local.serve", "--port", "PORT", *reload],
            environment=settings,
            count=profile.light,
            first_port=profile.ports.light,
            fingerprint=code,
        ),
        Program(
            name="heavy",  # hashing and uploads give way to everything else
            command=["nice", "-n", "10", python, "-m", "infra.local.serve", "--port", "PORT", "--heavy", *reload],
            environment=settings,
            count=profile.heavy,
            first_port=profile.ports.heavy,
            fingerprint=code,
        ),
        Program(
            name="live",
            command=[python, "-m", "infra.local.live", "--port", str(profile.ports.live), *reload],
            environment=settings,
            fingerprint=code,
        ),
        Program(
            name="consumer",
            command=["nice", "-n", "5", python, "-m", "infra.local.consume_queues", *reload],
            environment=settings,
            stop_seconds=35,
            fingerprint=code,
        ),
        Program(
            name="schedules",
            command=["nice", "-n", "5", python, "-m", "infra.local.run_schedules", *reload],
            environment=settings,
            fingerprint=code,
        ),
    ]


def in_localstack(profile: Profile, environment: Mapping[str, str]) -> list[Program]:
    """LocalStack, and the queue consumer that invokes the functions there."""
    port, folder = profile.ports.localstack, profile.state / "localstack"
    return [
        Program(
            name="localstack",
            command=[str(environments.LOCALSTACK.python), str(CLONE / "infra" / "localstack" / "start.py")],
            environment={
                "GATEWAY_LISTEN": f"127.0.0.1:{port}",
                "LOCALSTACK_HOST": f"localhost:{port}",
                "SERVICES": "apigateway,cloudformation,events,iam,lambda,logs,s3,sqs,ssm,sts",  # cloudwatch is slow
                "STRICT_SERVICE_LOADING": "1",
                "SKIP_SSL_CERT_DOWNLOAD": "1",
                "DISABLE_EVENTS": "1",  # no telemetry
                "LS_LOG": "warning",
                "DNS_ADDRESS": "0",  # no name server: nothing here asks one
                "FS_ROOT": str(folder),
                "TMPDIR": str(folder / "tmp"),
                "PYTHONPATH": str(environments.executor()),
                "LAMBDA_RUNTIME_EXECUTOR": "process",
                "LAMBDA_DISABLE_AWS_ENDPOINT_URL": "1",  # the functions' S3 is MinIO, as their settings say
                "PROCESS_EXECUTOR_RUNTIMES": f"python3.13={environments.RUNTIME.python}",
                "PROCESS_EXECUTOR_STATE": str(folder / "executor"),
            },
            stop_signal="KILL",  # it keeps nothing, and asked politely it takes minutes
        ),
        Program(
            name="invoker",
            command=["nice", "-n", "5", sys.executable, "-m", "infra.local.consume_queues", "--host", "localstack"],
            environment={**of_functions(environment), "PYTHONUNBUFFERED": "1"},
            stop_seconds=35,
            fingerprint=_code(),
        ),
    ]


def supervisord(profile: Profile, programs: list[Program]) -> str:
    """The configuration of supervisord. Nothing starts by itself: the parts have an order, which `up` keeps."""
    state = profile.state
    head = f"""[unix_http_server]
file={state}/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
identifier={profile.label}
logfile={state}/logs/supervisord.log
pidfile={state}/supervisord.pid
childlogdir={state}/logs
directory={CLONE}
minfds=4096
{"user=root" if is_root() else ""}
"""
    return head + "".join(_program(profile, each) for each in programs)


def postgres_program(name: str) -> Path:
    """A program of the newest PostgreSQL that Debian has installed."""
    found = {
        int(folder.name): folder / "bin" / name
        for folder in Path("/usr/lib/postgresql").glob("*")
        if re.fullmatch(r"\d+", folder.name) and (folder / "bin" / name).exists()
    }
    if not found or max(found) < _OLDEST_POSTGRES:
        raise FileNotFoundError(f"PostgreSQL {_OLDEST_POSTGRES} or newer is not installed; run: make install")
    return found[max(found)]


def postgres_folder(profile: Profile) -> Path:
    """The cluster; another major version of PostgreSQL has another one, as it cannot read this."""
    return profile.state / f"postgres-{postgres_program('postgres').parents[1].name}"


def nginx_program() -> Path:
    """nginx; /usr/sbin is not in everybody's PATH."""
    return Path(shutil.which("nginx") or "/usr/sbin/nginx")


def fingerprint(text: str) -> str:
    """Tells one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rabbitmq_environment(profile: Profile) -> dict[str, str]:
    """What RabbitMQ's scripts read; `rabbitmqctl` reaches this node with the same."""
    config, folder, ports = profile.state / "config", profile.state / "rabbitmq", profile.ports
    return {
        "HOME": str(folder),  # the node's cookie lies there
        "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the node, rather than stand between it and its supervisor
        "RABBITMQ_NODENAME": f"{profile.label}@localhost",
        "RABBITMQ_CONF_ENV_FILE": str(config / "none"),  # the machine's own settings are for its own node
        "RABBITMQ_CONFIG_FILE": str(config / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(config / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_DIST_PORT": str(ports.rabbitmq_nodes),
        "ERL_EPMD_PORT": str(ports.epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP_SECONDS": "0",
        # Without busy waiting: on two cores the idle node's spinning is taken from everything else.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
        ),
    }


def minio_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """MinIO's settings, its notification target among them.

    No `QUEUE_DIR`: with one, events are polled from disk and come seconds late; the sweeper covers a lost event.
    """
    return {
        "MINIO_ROOT_USER": USER,
        "MINIO_ROOT_PASSWORD": environment["S3_SECRET_ACCESS_KEY"],
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "MINIO_API_SYNC_EVENTS": "off",
        "MINIO_SCANNER_SPEED": "slowest",
        "MINIO_NOTIFY_AMQP_ENABLE_UPLOADS": "on",
        "MINIO_NOTIFY_AMQP_URL_UPLOADS": environment["RABBITMQ_URL"],
        "MINIO_NOTIFY_AMQP_EXCHANGE_UPLOADS": "photos",
        "MINIO_NOTIFY_AMQP_EXCHANGE_TYPE_UPLOADS": "topic",
        "MINIO_NOTIFY_AMQP_ROUTING_KEY_UPLOADS": "photo-uploaded",
        "MINIO_NOTIFY_AMQP_DURABLE_UPLOADS": "on",
        "MINIO_NOTIFY_AMQP_DELIVERY_MODE_UPLOADS": "2",
        "MINIO_NOTIFY_AMQP_PUBLISHER_CONFIRMS_UPLOADS": "on",
    }


def _program(profile: Profile, program: Program) -> str:
    command = " ".join(f'"{part}"' if " " in part or ";" in part else part for part in program.command)
    environment = dict(program.environment)
    if program.fingerprint:
        environment["PHOTOGRAM_FINGERPRINT"] = fingerprint(program.fingerprint)
    lines = {
        "command": _escaped(command).replace("PORT", "%(process_num)d"),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "20",
        "stopsignal": program.stop_signal,
        "stopwaitsecs": str(program.stop_seconds),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": f"{profile.state}/logs/%(program_name)s.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "1",
    }
    if program.count > 1 or program.first_port:
        lines |= {
            "process_name": "%(program_name)s-%(process_num)d",
            "numprocs": str(program.count),
            "numprocs_start": str(program.first_port),
            "stdout_logfile": f"{profile.state}/logs/%(program_name)s-%(process_num)d.log",
        }
    if program.user:
        lines["user"] = program.user
        lines["directory"] = str(profile.state)
    if environment:
        lines["environment"] = ",".join(f"{name}={_quoted(value)}" for name, value in environment.items())
    return f"\n[program:{program.name}]\n" + "".join(f"{name}={value}\n" for name, value in lines.items())


def _quoted(value: str) -> str:
    quote = '"' if "'" in value else "'"
    if quote in value or "\n" in value:
        raise ValueError(f"supervisord cannot be told this value: {value!r}")
    return quote + _escaped(value) + quote


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


@functools.cache
def _code() -> str:
    """Tells one state of the code from another, so that a second `up` starts the hosts anew only after an edit."""
    files = [CLONE / "requirements.lock", CLONE / "template.yaml", *(CLONE / "infra").glob("*.py")]
    for folder in ("functions", "layers", "infra/local", "infra/chalice"):
        files += (CLONE / folder).rglob("*.py")
    return fingerprints.of_files(files, below=CLONE)
