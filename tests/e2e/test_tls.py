"""HTTPS at the front door: a second nginx with a certificate, before the hosts of the test stack."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from infra.stack import configs, env_file, programs, provision
from infra.stack.profiles import Profile, Tls, profile
from tests.support.hosts import free_port
from tests.support.waiting import until


@pytest.fixture(scope="module")
def front_door() -> Iterator[Profile]:
    """The profile of the nginx with a certificate."""
    test = profile("test")
    state = test.state / "front-door"
    tls = Tls(state / "certificate.pem", state / "key.pem")
    ports = msgspec.structs.replace(test.ports, nginx=free_port(), api=(free_port(), free_port(), free_port()))
    chosen = msgspec.structs.replace(test, state=state, ports=ports, tls=tls, host="photos.test")
    provision.create_folders(chosen)
    (state / "hosts").rmdir()
    (state / "hosts").symlink_to(test.state / "hosts")
    try:
        make_certificate(tls, "photos.test")
        configs.render(chosen, env_file.read(test))
        configs.publish_web(chosen)
        configuration = state / "config" / "nginx.conf"
        nginx = subprocess.Popen([programs.nginx_program(), "-p", state / "nginx", "-c", configuration])
        try:
            until(lambda: answers(chosen))
            yield chosen
        finally:
            nginx.terminate()
            nginx.wait()
    finally:
        shutil.rmtree(state)


def make_certificate(tls: Tls, name: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "2"]
    subprocess.run([*command, "-out", tls.certificate, "-keyout", tls.key], check=True, capture_output=True)


def get(front_door: Profile, path: str, *, scheme: str = "https") -> httpx.Response:
    """The answer to a client that knows the certificate and checks it."""
    assert front_door.tls
    trusted = ssl.create_default_context(cafile=str(front_door.tls.certificate))
    with httpx.Client(verify=trusted) as client:
        return client.get(
            f"{scheme}://127.0.0.1:{front_door.ports.nginx}{path}",
            headers={"host": f"{front_door.host}:{front_door.ports.nginx}"},
            extensions={"sni_hostname": front_door.host},
        )


def answers(front_door: Profile) -> bool:
    try:
        return get(front_door, "/api/health/live").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("path", ["/", "/api/health/live", "/api/v1/nothing", "/docs", "/media/x"])
def test_every_answer_asks_for_https_from_now_on(front_door: Profile, path: str) -> None:
    answer = get(front_door, path)

    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_http_is_led_to_https(front_door: Profile) -> None:
    answer = get(front_door, "/api/health/live?a=b", scheme="http")

    assert answer.status_code == 308
    assert answer.headers["location"] == f"{front_door.origin}/api/health/live?a=b"


def test_pages_run_no_foreign_code(front_door: Profile) -> None:
    for path in ("/", "/docs/"):
        policy = get(front_door, path).headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy


def test_without_a_certificate_nothing_is_said_of_https() -> None:
    answer = httpx.get(f"{profile('test').origin}/")

    assert "strict-transport-security" not in answer.headers


def test_urls_and_cookies_are_for_https(tmp_path: Path) -> None:
    secured = msgspec.structs.replace(profile("run"), state=tmp_path, tls=Tls(tmp_path, tmp_path), host="photos.test")
    settings = env_file.write(secured)

    assert settings["SECURE_COOKIES"] == "true"
    for name in ("MEDIA_BASE_URL", "UPLOADS_URL", "PHOTOGRAM_URL", "OWN_ORIGINS"):
        assert settings[name].startswith("https://photos.test:")
