"""The function hosts, and clients that wish so, reach the stores and nginx through proxies."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from infra.stack import configs, env_file, programs
from infra.stack.profiles import Profile, profile
from tests.support import services
from tests.support.limits import unlimited
from tests.support.proxies import Proxy, proxy_to
from tests.support.waiting import until


@contextmanager
def behind_proxies() -> Iterator[dict[str, Proxy]]:
    """Restart the hosts without rate limits and behind proxies, by part; at the end they are as they were.

    If the process is killed before, `python -m infra.stack up --profile test` does the same.
    """
    stack = profile("test")
    settings = env_file.read(stack)
    urls = {
        "postgres": settings["DATABASE_URL"],
        "valkey": settings["VALKEY_URL"],
        "rabbitmq": settings["RABBITMQ_URL"],
        "minio": settings["S3_ENDPOINT_URL"],
        "cassandra": f"cql://127.0.0.1:{stack.ports.cassandra}",
        "nginx": f"http://127.0.0.1:{stack.ports.nginx}",
    }
    with ExitStack() as opened:
        proxies = {part: opened.enter_context(proxy_to(url)) for part, url in urls.items()}
        try:
            _restart_hosts(stack, settings, {**settings, **_through(proxies)})
            yield proxies
        finally:
            _restart_hosts(stack, settings, settings)


def origin(proxy: Proxy) -> str:
    """Where clients reach nginx through its proxy."""
    return f"http://127.0.0.1:{urlsplit(proxy.url).port}"


def _through(proxies: Mapping[str, Proxy]) -> dict[str, str]:
    return {
        "DATABASE_URL": proxies["postgres"].url,
        "VALKEY_URL": proxies["valkey"].url,
        "RABBITMQ_URL": proxies["rabbitmq"].url,
        "S3_ENDPOINT_URL": proxies["minio"].url,
        "CASSANDRA_PORT": str(proxies["cassandra"].port),
        "RATE_LIMITS": unlimited(),
    }


def _restart_hosts(stack: Profile, settings: Mapping[str, str], of_hosts: Mapping[str, str]) -> None:
    """Give supervisord the same programs, with these settings for the hosts; only those restart."""
    stores = programs.stores(stack, settings, configs.render(stack, settings))
    hosts = programs.hosts(stack, of_hosts)
    guard = programs.guard(stack, "hosts", reloads=False)
    text = programs.supervisord(stack, [*stores, *hosts, *programs.localstack(stack, settings), guard])
    (stack.state / "supervisord.conf").write_text(text)
    services.load_configuration(*(each.name for each in hosts))
    until(lambda: all(services.answers(part) for part in programs.HOSTS), seconds=60, every=0.2)
