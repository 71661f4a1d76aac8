#!/usr/bin/env bash
# Creates .venv with the locked packages, then runs infra.stack.install for the rest; --only-python omits the rest.
set -euo pipefail
cd "$(dirname "$0")/../.."

python() {
    local found
    for found in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13.*/bin/python3.13 python3; do
        # Run it: pyenv has shims for versions that are not active, and these fail.
        if "$found" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 13))' 2>/dev/null; then
            "$found" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    echo "Python 3.13 is not installed. Install it, for example with: pyenv install 3.13" >&2
    return 1
}

stamp=.venv/.lock-stamp
wanted=$(sha256sum requirements.lock)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
    started=$SECONDS
    echo "Python packages…"
    if [ ! -x .venv/bin/python ]; then
        found=$(python) # on a line of its own, so that its failure ends this script
        "$found" -m venv .venv
    fi
    [ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --require-hashes --no-deps \
        -r <(awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements.lock)
    VIRTUAL_ENV="$PWD/.venv" .venv/bin/uv pip sync --quiet --require-hashes requirements.lock
    echo "$wanted" >"$stamp"
    echo "Python packages: $((SECONDS - started)) s"
fi
[ "${1:-}" = --only-python ] || exec .venv/bin/python -m infra.stack.install "$@"
