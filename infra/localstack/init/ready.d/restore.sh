#!/bin/sh
# Deploys again what was deployed before LocalStack ended, which stores nothing itself.
set -eu
unset PYTHONPATH  # of LocalStack
cd "$(dirname "$0")/../../../.."
exec "$PHOTOGRAM_PYTHON" -m infra.localstack restore --profile "$PHOTOGRAM_PROFILE"
