"""Checks template.yaml as AWS would, without AWS: cfn-lint, the SAM translator, CloudFormation's limits.

python -m infra.check_template
"""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from infra.template_map import TEMPLATE

RESOURCES = 500
BYTES = 1_000_000
"""Of the translated template, through S3; CloudFormation takes 51,200 directly."""
PARAMETERS = 200
OUTPUTS = 200

_REGION = "eu-central-1"


class Translated(msgspec.Struct, frozen=True):
    """What the SAM translator makes of the template."""

    document: dict[str, Any]

    @property
    def size_bytes(self) -> int:
        """As CloudFormation counts it."""
        return len(json.dumps(self.document))

    def excesses(self) -> list[str]:
        """Which of CloudFormation's limits are passed."""
        limits = {"Resources": RESOURCES, "Parameters": PARAMETERS, "Outputs": OUTPUTS}
        found = [
            f"{len(self.document.get(part, ()))} {part.lower()}; CloudFormation takes {limit}"
            for part, limit in limits.items()
            if len(self.document.get(part, ())) > limit
        ]
        return [
            *found,
            *([f"{self.size_bytes} bytes; CloudFormation takes {BYTES}"] if self.size_bytes > BYTES else []),
        ]


class _Policies(ManagedPolicyLoader):  # type: ignore[misc]  # untyped
    """Managed policies by name, without asking AWS for the list."""

    def __init__(self) -> None:
        super().__init__(None)

    def load(self) -> dict[str, str]:
        names = ("AWSLambdaBasicExecutionRole",)
        return {name: f"arn:aws:iam::aws:policy/service-role/{name}" for name in names}


def translated(path: Path = TEMPLATE) -> Translated:
    """The template as CloudFormation gets it; raises `InvalidDocumentException` with all that is wrong."""
    os.environ.setdefault("AWS_DEFAULT_REGION", _REGION)
    document = yaml_parse(path.read_text())
    for resource in document["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = "s3://bucket/key"  # as packaging would put it
    return Translated(transform(document, {}, _Policies()))


def main() -> int:
    """Print what is wrong, or how large the template is; 0 if all is well."""
    linted = subprocess.run([str(Path(sys.executable).with_name("cfn-lint")), str(TEMPLATE)], check=False)
    try:
        found = translated()
    except InvalidDocumentException as error:
        print(error.message, *(cause.message for cause in error.causes), sep="\n", file=sys.stderr)
        return 1
    for excess in found.excesses():
        print(excess, file=sys.stderr)
    kinds = collections.Counter(resource["Type"] for resource in found.document["Resources"].values())
    print(f"{kinds.total()} resources, {found.size_bytes // 1000} kB: {dict(kinds.most_common())}")
    return 1 if linted.returncode or found.excesses() else 0


if __name__ == "__main__":
    sys.exit(main())
