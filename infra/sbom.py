"""The bill of materials of what `make package` builds, in CycloneDX 1.6, and a check for known vulnerabilities.

python -m infra.sbom [--file build/sbom.json] (asks OSV, https://osv.dev, about each component)
"""

import argparse
import re
import sys
import uuid
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx
import msgspec
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from infra.stack import pins
from infra.stack.profiles import CLONE

OSV: Final = "https://api.osv.dev"
_SECONDS: Final = 30
_PACKAGE: Final = re.compile(r"python/(?P<name>[^/]+?)-(?P<version>[^-/]+)\.dist-info/METADATA")
_NAMESPACE: Final = uuid.UUID("4f1d7f0e-62a5-4b5e-9d0c-3a3c5f0f5f7a")


class _Component(msgspec.Struct, frozen=True):
    purl: str


class _Bill(msgspec.Struct, frozen=True):
    components: tuple[_Component, ...]


class _Vulnerability(msgspec.Struct, frozen=True):
    id: str


class _Result(msgspec.Struct, frozen=True):
    vulns: tuple[_Vulnerability, ...] = ()


class _Results(msgspec.Struct, frozen=True):
    results: tuple[_Result, ...]


def describe(layers: Mapping[str, Path]) -> str:
    """The bill of materials, in JSON: the packages in the zip files of these layers, and the programs of the stack.

    The same components give the same serial number.
    """
    used: dict[PackageURL, set[str]] = {}
    for layer, archive in layers.items():
        for purl in _packages(archive):
            used.setdefault(purl, set()).add(layer)
    components = [_component(purl, ComponentType.LIBRARY, layers=sorted(names)) for purl, names in used.items()]
    components += [_component(purl, ComponentType.APPLICATION) for purl in _programs()]
    names = sorted(str(component.purl) for component in components)
    return JsonV1Dot6(
        Bom(components=components, serial_number=uuid.uuid5(_NAMESPACE, "\n".join(names)))
    ).output_as_string(indent=1)


def find_vulnerabilities(purls: Sequence[str], *, source: str = OSV) -> dict[str, list[str]]:
    """The ids of the known vulnerabilities of each of these packages that has some. Raises `httpx.HTTPError`."""
    queries = [{"package": {"purl": purl}} for purl in purls]
    answer = httpx.post(f"{source}/v1/querybatch", json={"queries": queries}, timeout=_SECONDS).raise_for_status()
    found = msgspec.json.decode(answer.content, type=_Results).results
    return {purl: [each.id for each in result.vulns] for purl, result in zip(purls, found, strict=True) if result.vulns}


def _packages(archive: Path) -> Iterable[PackageURL]:
    with zipfile.ZipFile(archive) as layer:
        for name in layer.namelist():
            if found := _PACKAGE.fullmatch(name):
                yield PackageURL("pypi", None, found["name"].lower().replace("_", "-"), found["version"])


def _programs() -> list[PackageURL]:
    minio, _, minio_version = pins.MINIO.partition("@")
    swagger_ui, _, swagger_ui_version = pins.SWAGGER_UI.partition("@")
    return [
        PackageURL("golang", minio.rpartition("/")[0], minio.rpartition("/")[2], minio_version),
        PackageURL("maven", "org.apache.cassandra", "cassandra-all", pins.CASSANDRA),
        PackageURL("npm", None, swagger_ui, swagger_ui_version),
    ]


def _component(purl: PackageURL, kind: ComponentType, *, layers: Sequence[str] = ()) -> Component:
    properties = [Property(name="photogram:layer", value=layer) for layer in layers]
    return Component(
        name=purl.name,
        group=purl.namespace,
        version=purl.version,
        type=kind,
        purl=purl,
        bom_ref=str(purl),
        properties=properties,
    )


def main() -> int:
    """Print the known vulnerabilities; 1 if there are some, 2 if they could not be looked up."""
    parser = argparse.ArgumentParser(prog="python -m infra.sbom", description=__doc__)
    parser.add_argument("--file", type=Path, default=CLONE / "build" / "sbom.json")
    parser.add_argument("--source", default=OSV, help=f"another server with OSV's interface than {OSV}")
    arguments = parser.parse_args()
    if not arguments.file.is_file():
        print(f"There is no {arguments.file}. Build it with: make package", file=sys.stderr)
        return 2
    bill = msgspec.json.decode(arguments.file.read_bytes(), type=_Bill)
    purls = [component.purl for component in bill.components]
    try:
        found = find_vulnerabilities(purls, source=arguments.source)
    except httpx.HTTPError as error:
        print(f"NOT CHECKED: {arguments.source} cannot be reached ({error!r})", file=sys.stderr)
        return 2
    for purl, ids in found.items():
        print(f"{purl}: {', '.join(ids)}")
    print(f"{len(purls)} components, {len(found)} with known vulnerabilities")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
