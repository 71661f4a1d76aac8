"""`make config`: every setting of the stack of `make run`, its value, and where it comes from.

python -m infra.stack.config
"""

import sys

from infra.stack import lifecycle, options
from infra.stack.profiles import profile


def main() -> int:
    """Print the table; 1 if a setting cannot be used."""
    try:
        stack = profile("run")
        options.for_functions()
        applied = lifecycle.applied_options(stack)
        for name in options.OPTIONS:
            value = options.value(name)
            differs = applied.get(name, "") != value
            note = f"  (last started with {applied.get(name) or '-'})" if applied and differs else ""
            print(f"{name:<29}{value or '-':<45}{options.source(name)}{note}".rstrip())
    except options.InvalidSetting as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\nAddress: {stack.origin}. Settings are described in {options.EXAMPLE.name}; put yours into {options.FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
