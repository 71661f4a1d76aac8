"""The bill of materials, and the check for known vulnerabilities."""

import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra import sbom
from tests.support.stack import ROOT


@pytest.fixture
def layers(tmp_path: Path) -> dict[str, Path]:
    """Two layers with a package in common."""
    contents = {
        "CoreLayer": ["msgspec-0.22.0", "uuid_utils-1.2.0"],
        "MediaLayer": ["pillow-13.0.0", "msgspec-0.22.0"],
    }
    for layer, packages in contents.items():
        with zipfile.ZipFile(tmp_path / layer, "w") as archive:
            for package in packages:
                archive.writestr(f"python/{package}.dist-info/METADATA", "")
            archive.writestr("python/layers/core/ids.py", "")
    return {layer: tmp_path / layer for layer in contents}


def test_each_package_and_program_is_a_component_once(layers: dict[str, Path]) -> None:
    bill = json.loads(sbom.describe(layers))
    used = {
        component["purl"]: [each["value"] for each in component.get("properties", [])]
        for component in bill["components"]
    }

    assert used["pkg:pypi/msgspec@0.22.0"] == ["CoreLayer", "MediaLayer"]
    assert used["pkg:pypi/uuid-utils@1.2.0"] == ["CoreLayer"]
    assert used["pkg:pypi/pillow@13.0.0"] == ["MediaLayer"]
    assert {purl.partition("/")[0] for purl in used} == {"pkg:pypi", "pkg:golang", "pkg:maven", "pkg:npm"}
    assert len(bill["components"]) == len(used) == 6


def test_it_is_valid_cyclonedx_and_its_number_follows_from_its_content(layers: dict[str, Path]) -> None:
    first, second = sbom.describe(layers), sbom.describe(layers)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(first) is None
    assert json.loads(first)["serialNumber"] == json.loads(second)["serialNumber"]
    del layers["MediaLayer"]
    assert json.loads(sbom.describe(layers))["serialNumber"] != json.loads(first)["serialNumber"]


class Advisories(BaseHTTPRequestHandler):
    """A server with the interface of OSV, which knows one vulnerability of Pillow."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        results: list[dict[str, Any]] = [
            {"vulns": [{"id": "PYSEC-1", "modified": "2026-01-01"}]} if "pillow" in each["package"]["purl"] else {}
            for each in asked
        ]
        answer = json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def source() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def audit(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.sbom", "--file", str(folder / "sbom.json"), "--source", source]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def test_the_audit_names_what_is_vulnerable(layers: dict[str, Path], source: str, tmp_path: Path) -> None:
    (tmp_path / "sbom.json").write_text(sbom.describe(layers))
    done = audit(tmp_path, source)

    assert done.returncode == 1
    assert done.stdout == "pkg:pypi/pillow@13.0.0: PYSEC-1\n6 components, 1 with known vulnerabilities\n"


def test_without_a_source_the_audit_says_that_nothing_was_checked(layers: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "sbom.json").write_text(sbom.describe(layers))
    done = audit(tmp_path, "http://127.0.0.1:9")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("NOT CHECKED: http://127.0.0.1:9 cannot be reached")


def test_without_a_bill_of_materials_the_audit_says_how_to_get_one(tmp_path: Path) -> None:
    done = audit(tmp_path, "http://127.0.0.1:9")

    assert done.returncode == 2
    assert "make package" in done.stderr
