"""Checks template.yaml without AWS: with cfn-lint, the SAM translator and CloudFormation's limits.

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

MAX_RESOURCES = 500
MAX_BYTES = 1_000_000
"""For a template that is read from S3; one that is passed directly may have 51,200 bytes."""
MAX_PARAMETERS = 200
MAX_OUTPUTS = 200
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html

_REGION = "eu-central-1"


class CloudFormationTemplate(msgspec.Struct, frozen=True):
    """The CloudFormation template that the SAM translator generates."""

    document: dict[str, Any]

    @property
    def size_bytes(self) -> int:
        """The size as JSON."""
        return len(json.dumps(self.document))

    def exceeded_limits(self) -> list[str]:
        """A sentence for each of CloudFormation's limits that is exceeded."""
        counts = {section: len(self.document.get(section, ())) for section in ("Resources", "Parameters", "Outputs")}
        limits = {"Resources": MAX_RESOURCES, "Parameters": MAX_PARAMETERS, "Outputs": MAX_OUTPUTS}
        exceeded = [
            f"The template has {counts[section]} {section.lower()}; CloudFormation allows {limit}"
            for section, limit in limits.items()
            if counts[section] > limit
        ]
        if self.size_bytes > MAX_BYTES:
            exceeded.append(f"The template has {self.size_bytes} bytes; CloudFormation allows {MAX_BYTES}")
        return exceeded


class _Policies(ManagedPolicyLoader):  # type: ignore[misc]  # untyped
    """The ARNs of managed policies by name, which the translator would read from AWS."""

    def __init__(self) -> None:
        super().__init__(None)

    def load(self) -> dict[str, str]:
        names = ("AWSLambdaBasicExecutionRole",)
        return {name: f"arn:aws:iam::aws:policy/service-role/{name}" for name in names}


def translate(path: Path = TEMPLATE) -> CloudFormationTemplate:
    """Translate a SAM template; raises `InvalidDocumentException` with all errors."""
    os.environ.setdefault("AWS_DEFAULT_REGION", _REGION)
    document = yaml_parse(path.read_text())
    for resource in document["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = "s3://bucket/key"  # as `sam package` does
    return CloudFormationTemplate(transform(document, {}, _Policies()))


def main() -> int:
    """Print all errors, or the template's size; 0 if there are no errors."""
    lint = subprocess.run([str(Path(sys.executable).with_name("cfn-lint")), str(TEMPLATE)], check=False)
    try:
        template = translate()
    except InvalidDocumentException as error:
        print(error.message, *(cause.message for cause in error.causes), sep="\n", file=sys.stderr)
        return 1
    exceeded = template.exceeded_limits()
    for sentence in exceeded:
        print(sentence, file=sys.stderr)
    types = collections.Counter(resource["Type"] for resource in template.document["Resources"].values())
    print(f"{types.total()} resources, {template.size_bytes // 1000} kB: {dict(types.most_common())}")
    return 1 if lint.returncode or exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
