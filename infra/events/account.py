"""The AWS account and region that local events name."""

ACCOUNT = "000000000000"
REGION = "eu-central-1"
