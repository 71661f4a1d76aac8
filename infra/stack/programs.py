"""The programs that supervisord runs for a profile: command, user, environment variables and order of each."""

import functools
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from infra.stack import certificates, debian, fingerprints, pins, venvs
from infra.stack.env_file import ADMIN, backup_generation, for_functions, rabbitmq_url_of_minio, stores_ca_file
from infra.stack.profiles import CLONE, Profile, is_root

API = "api"
"""The program of the API's hosts."""
TRIGGERS = "triggers"
"""The host that stops while LocalStack runs: its rules and the invoker call the functions instead."""
HOSTS = (API, TRIGGERS)
RELOAD = "--reload"
"""The option with which hosts restart themselves when the code changes."""
LOGS = "logs"
"""The program that ends logs after their time."""
LOCALSTACK = ("localstack", "invoker")
"""The programs that run functions in LocalStack."""
FUNCTION_HOSTS = (*HOSTS, *LOCALSTACK)
"""Programs that start after the stores and stop before them."""
BACKUP = "backup"
"""The program that copies messages and files into the backup."""
CLIENTS = (*FUNCTION_HOSTS, BACKUP)
"""Programs that stop before the stores."""
REPLICATION_SLOT = "photogram_backup"

_OLDEST_POSTGRES = 15
_DAY_SECONDS = 86_400
_HOUR_SECONDS = 3600
_CODE = ("local", "chalice", "environments", "events", "backup")
"""The packages in infra that programs run."""
_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The server's own script: the one in PATH is Debian's, which requires Debian's user and folders."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One supervised program."""

    name: str
    command: list[str]
    variables: dict[str, str] = {}
    user: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    fingerprint: str = ""
    """Describes what the program reads when it starts; the program is restarted when this changes."""


def stores(profile: Profile, settings: Mapping[str, str], configs: Mapping[str, str]) -> list[Program]:
    """The stores and nginx, in the order in which they start."""
    config, state, ports = profile.state / "config", profile.state, profile.ports
    certificate = ["--certs-dir", str(certificates.folder(profile))] if stores_ca_file(settings) else []
    return [
        Program(
            name="postgres",
            command=[
                *(str(postgres_program("postgres")), "-D", str(postgres_folder(profile))),
                *("-c", f"config_file={config}/postgresql.conf", "-c", f"hba_file={config}/pg_hba.conf"),
                *("-c", "unix_socket_directories="),
            ],
            user="postgres" if is_root() else None,
            stop_signal="INT",  # fast shutdown: rolls back open transactions
            fingerprint=configs["postgres"],
        ),
        Program(
            name="valkey",
            command=[str(debian.valkey_server()), str(config / "valkey.conf")],
            fingerprint=configs["valkey"],
        ),
        Program(
            name="epmd",  # RabbitMQ's name service; a node without one starts an epmd that outlives the stack
            command=[str(shutil.which("epmd")), "-address", "127.0.0.1", "-port", str(ports.epmd)],
        ),
        Program(
            name="rabbitmq",
            command=["sh", str(CLONE / "infra" / "rabbitmq" / "start.sh"), str(state / "rabbitmq"), str(_RABBITMQ)],
            variables=rabbitmq_variables(profile),
            stop_seconds=40,
            fingerprint=configs["rabbitmq"],
        ),
        Program(
            name="minio",
            command=[
                *(str(pins.minio()), "server", "--quiet", *certificate, "--address", f"127.0.0.1:{ports.minio}"),
                str(state / "minio"),
            ],
            variables=minio_variables(settings),
            fingerprint=configs.get("minio", ""),
        ),
        Program(
            name="cassandra",
            command=[
                *("sh", str(CLONE / "infra" / "cassandra" / "start.sh"), str(state / "cassandra")),
                *_without_locked_memory(),
                *("java", f"@{config}/jvm.options"),
                f"-javaagent:{next(pins.cassandra().glob('jamm-*.jar'))}",
                f"-Dcassandra.config=file://{config}/cassandra.yaml",
                f"-Dcassandra.storagedir={state}/cassandra",
                f"-Dlogback.configurationFile=file://{config}/logback.xml",
                *("-cp", f"{config}:{pins.cassandra()}/*", "org.apache.cassandra.service.CassandraDaemon"),
            ],
            variables={"MALLOC_ARENA_MAX": "2"},
            stop_seconds=30,
            fingerprint=configs["cassandra"],
        ),
        Program(
            name="nginx",
            command=[
                *("sh", str(CLONE / "infra" / "nginx" / "start.sh")),
                *(str(state / "nginx"), str(nginx_program()), str(config / "nginx.conf")),
            ],
            stop_signal="QUIT",  # graceful: finishes running requests
            stop_seconds=5,
            fingerprint=configs["nginx"],
        ),
    ]


def _without_locked_memory() -> list[str]:
    """A command that runs another without the right to lock memory.

    Cassandra, if it may, locks all its pages into memory, also Java's whole class library and an empty heap.
    """
    return ["prlimit", "--memlock=0", "setpriv", "--bounding-set=-ipc_lock"] if is_root() else []


def hosts(profile: Profile, settings: Mapping[str, str], *, reloads: bool = False) -> list[Program]:
    """The function hosts, and what ends their logs; with `reloads`, hosts restart themselves when the code changes."""
    python, code = sys.executable, "" if reloads else code_fingerprint()
    reload = [RELOAD] if reloads else []
    variables = {
        **for_functions(settings),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "",  # processes share the compiled files
        "MALLOC_ARENA_MAX": "2",  # more would keep freed memory apart, for threads that rarely allocate
        "PHOTOGRAM_EVENTS_FOLDER": str(profile.recordings),
        "PHOTOGRAM_EVENTS": str(profile.events),
        "PHOTOGRAM_EVENTS_KB": str(profile.event_kilobytes),
        "PHOTOGRAM_EVENTS_DAYS": str(profile.event_days),
    }
    return [
        Program(
            name=API,
            command=[
                *(python, "-m", "infra.local.serve_all", "--logs", f"{profile.state}/logs"),
                *(part for kind, paths in profile.sockets.items() for part in (f"--{kind}", *map(str, paths))),
                *reload,
            ],
            variables=variables,
            stop_seconds=40,
            fingerprint=_fingerprint_of_parent(),  # `up` replaces the hosts after a change of any other code
        ),
        Program(
            name=TRIGGERS,
            command=["nice", "-n", "5", python, "-m", "infra.local.run_triggers", *reload],
            variables=variables,
            stop_seconds=35,
            fingerprint=code,
        ),
        Program(
            name=LOGS,
            command=[
                *("sh", str(CLONE / "infra" / "local" / "end_logs.sh"), f"{profile.state}/logs"),
                *(str(profile.log_days * _DAY_SECONDS), str(_HOUR_SECONDS)),
            ],
        ),
    ]


def backup(profile: Profile, settings: Mapping[str, str]) -> list[Program]:
    """What copies the data continuously; empty if there is no backup folder."""
    generation = backup_generation(settings)
    if generation is None:
        return []
    (generation / "wal").mkdir(exist_ok=True)
    return [
        Program(
            name="wal",
            command=[
                *(str(postgres_program("pg_receivewal")), "--directory", str(generation / "wal")),
                *("--slot", REPLICATION_SLOT, "--synchronous", "--no-password"),
                *("--host", "127.0.0.1", "--port", str(profile.ports.postgres), "--username", ADMIN),
            ],
            variables=postgres_variables(settings),
            stop_signal="INT",
        ),
        Program(
            name=BACKUP,
            command=["nice", "-n", "10", sys.executable, "-m", "infra.backup", "run", "--profile", profile.name],
            variables={"PYTHONUNBUFFERED": "1", "PHOTOGRAM_STATE": str(profile.state.parent)},
            fingerprint=code_fingerprint(),
        ),
    ]


def localstack(profile: Profile, settings: Mapping[str, str]) -> list[Program]:
    """LocalStack, and the queue consumer that invokes its functions."""
    port, folder = profile.ports.localstack, profile.state / "localstack"
    return [
        Program(
            name="localstack",
            command=[str(venvs.LOCALSTACK.python), str(CLONE / "infra" / "localstack" / "start.py")],
            variables={
                "GATEWAY_LISTEN": f"127.0.0.1:{port}",
                "LOCALSTACK_HOST": f"localhost:{port}",
                # Not cloudwatch, which is slow.
                "SERVICES": "apigateway,cloudformation,events,iam,lambda,logs,s3,secretsmanager,sqs,ssm,sts",
                "STRICT_SERVICE_LOADING": "1",
                "SKIP_SSL_CERT_DOWNLOAD": "1",
                "DISABLE_EVENTS": "1",  # no telemetry
                # How often it asks for the state of a new function before it waits 1 s each time; at most 300 in all.
                "CFN_NO_WAIT_ITERATIONS": "200",
                "LS_LOG": "warning",
                "IN_MEMORY_CLIENT": "1",  # its services call each other without HTTP
                "DNS_ADDRESS": "0",  # no DNS server
                "FILESYSTEM_ROOT": str(folder),
                "OVERRIDE_IN_DOCKER": "0",  # in a container, it would use other folders
                "PHOTOGRAM_STATE": str(profile.state.parent),
                "PHOTOGRAM_PYTHON": sys.executable,
                "PHOTOGRAM_PROFILE": profile.name,
                "TMPDIR": str(folder / "tmp"),
                "PYTHONPATH": f"{venvs.executor()}:{CLONE}",
                "LAMBDA_RUNTIME_EXECUTOR": "process",
                "LAMBDA_DISABLE_AWS_ENDPOINT_URL": "1",  # the functions' settings name MinIO as S3
                "PROCESS_EXECUTOR_RUNTIMES": f"python3.13={venvs.RUNTIME.python}",
                "PROCESS_EXECUTOR_STATE": str(folder / "executor"),
                "PROCESS_EXECUTOR_ENVIRONMENTS": str(profile.lambdas or ""),
            },
            stop_signal="KILL",  # it stores nothing, and stopping it with TERM takes minutes
            fingerprint=fingerprints.of_files(
                [CLONE / "infra" / "localstack" / name for name in ("start.py", "shortcuts.py")], below=CLONE
            ),
        ),
        Program(
            name="invoker",
            command=["nice", "-n", "5", sys.executable, "-m", "infra.localstack.invoke_from_queues"],
            variables={**for_functions(settings), "PYTHONUNBUFFERED": "1"},
            stop_seconds=35,
            fingerprint=code_fingerprint(),
        ),
    ]


def guard(profile: Profile, scope: str, *, reloads: bool) -> Program:
    """What starts the stack again, in the same scope, when its supervisord has died."""
    verb = ["infra.localstack", "start"] if scope == "localstack" else ["infra.stack", "up"]
    options = [*(["--only", "stores"] if scope == "stores" else []), *([RELOAD] if reloads else [])]
    return Program(
        name="guard",
        command=[
            *(sys.executable, "-m", "infra.stack.guard", f"{profile.state}/logs/guard.log"),
            *(sys.executable, "-m", *verb, "--profile", profile.name, *options),
        ],
    )


def supervisord(profile: Profile, programs: list[Program]) -> str:
    """The configuration of supervisord. It starts no program by itself: `up` starts them in their order."""
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


@functools.cache
def code_fingerprint() -> str:
    """A hash of the code that the hosts run, so that a second `up` restarts them only after a change."""
    files = [CLONE / "requirements.lock", CLONE / "template.yaml", *(CLONE / "infra").glob("*.py")]
    for folder in ("functions", "layers", *(f"infra/{name}" for name in _CODE)):
        files += (CLONE / folder).rglob("*.py")
    return fingerprints.of_files(files, below=CLONE)


def _fingerprint_of_parent() -> str:
    """A hash of the code that the API's first process keeps while its hosts are replaced."""
    names = ("serve_all", "reloading", "generations", "listeners", "process_lock")
    return fingerprints.of_files((CLONE / "infra" / "local" / f"{name}.py" for name in names), below=CLONE)


def postgres_program(name: str) -> Path:
    """The path of a program of the newest installed PostgreSQL; raises `FileNotFoundError` if there is none."""
    installed = {
        int(folder.name): folder / "bin" / name
        for folder in Path("/usr/lib/postgresql").glob("*")
        if re.fullmatch(r"\d+", folder.name) and (folder / "bin" / name).exists()
    }
    if not installed or max(installed) < _OLDEST_POSTGRES:
        raise FileNotFoundError(f"PostgreSQL {_OLDEST_POSTGRES} or newer is not installed. Run: make install")
    return installed[max(installed)]


def postgres_folder(profile: Profile) -> Path:
    """The data folder of PostgreSQL's major version, which cannot read that of another one."""
    return profile.state / f"postgres-{postgres_program('postgres').parents[1].name}"


def postgres_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment variables with which PostgreSQL's programs connect: the password, and TLS if it is served."""
    ca_file = stores_ca_file(settings)
    tls = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": ca_file} if ca_file else {}
    return {"PGPASSWORD": settings["POSTGRES_ADMIN_PASSWORD"]} | tls


def nginx_program() -> Path:
    """The path of nginx; /usr/sbin may be missing in PATH."""
    return Path(shutil.which("nginx") or "/usr/sbin/nginx")


def rabbitmq_variables(profile: Profile) -> dict[str, str]:
    """The environment variables of RabbitMQ's scripts; with them, `rabbitmqctl` connects to this node."""
    config, folder, ports = profile.state / "config", profile.state / "rabbitmq", profile.ports
    return {
        "HOME": str(folder),  # holds the node's cookie
        "RUNNING_UNDER_SYSTEMD": "true",  # the script is replaced by the node, so that signals reach the node
        "RABBITMQ_NODENAME": f"{profile.label}@localhost",
        "RABBITMQ_CONF_ENV_FILE": str(config / "none"),  # not the file of the machine's own node
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
        "RABBITMQ_MAX_NUMBER_OF_PROCESSES": "65536",  # tables of this size are allocated at the start
        "RABBITMQ_MAX_NUMBER_OF_ATOMS": "1048576",
        # No busy waiting: on two cores, an idle node that spins takes CPU time from everything else. One scheduler has
        # its own memory, and one is enough.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            f"-args_file {config}/vm.args "
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none +S 1:1 +SDcpu 1:1"
        ),
    }


def minio_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """MinIO's environment variables, including the target of its notifications.

    Without `QUEUE_DIR`: with it, MinIO polls events from the disk and sends them seconds late. If an event is lost,
    posts/sweep_posts publishes the post.
    """
    return {
        "MINIO_ROOT_USER": ADMIN,
        "MINIO_ROOT_PASSWORD": settings["MINIO_ADMIN_PASSWORD"],
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "MINIO_API_SYNC_EVENTS": "off",
        "MINIO_SCANNER_SPEED": "slowest",
        "MINIO_MEMLIMIT": "256MiB",  # of the heap; the pools of buffers get a part. Less of it costs CPU time
        "MINIO_NOTIFY_AMQP_ENABLE_UPLOADS": "on",
        "MINIO_NOTIFY_AMQP_URL_UPLOADS": rabbitmq_url_of_minio(settings),
        "MINIO_NOTIFY_AMQP_EXCHANGE_UPLOADS": "photos",
        "MINIO_NOTIFY_AMQP_EXCHANGE_TYPE_UPLOADS": "topic",
        "MINIO_NOTIFY_AMQP_ROUTING_KEY_UPLOADS": "photo-uploaded",
        "MINIO_NOTIFY_AMQP_DURABLE_UPLOADS": "on",
        "MINIO_NOTIFY_AMQP_DELIVERY_MODE_UPLOADS": "2",
        "MINIO_NOTIFY_AMQP_PUBLISHER_CONFIRMS_UPLOADS": "on",
    }


def _program(profile: Profile, program: Program) -> str:
    variables = dict(program.variables)
    if program.fingerprint:
        variables["PHOTOGRAM_FINGERPRINT"] = fingerprints.of_text(program.fingerprint)
    log = _escape(f"{profile.state}/logs/{program.name}.log")
    command = [_escape(part) for part in program.command]
    lines = {
        "command": " ".join(f'"{part}"' if " " in part or ";" in part else part for part in command),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "20",
        "stopsignal": program.stop_signal,
        "stopwaitsecs": str(program.stop_seconds),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": log,
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "1",
    }
    if program.user:
        lines["user"] = program.user
        lines["directory"] = str(profile.state)
    if variables:
        lines["environment"] = ",".join(f"{name}={_quote(value)}" for name, value in variables.items())
    return f"\n[program:{program.name}]\n" + "".join(f"{name}={value}\n" for name, value in lines.items())


def _quote(value: str) -> str:
    quote = '"' if "'" in value else "'"
    if quote in value or "\n" in value:
        raise ValueError(f"supervisord's configuration cannot hold this value: {value!r}")
    return quote + _escape(value) + quote


def _escape(text: str) -> str:
    return text.replace("%", "%%")
