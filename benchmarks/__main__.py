"""``python3 -m benchmarks`` and a command: ``--help`` explains each."""

import sys
from importlib import import_module

COMMANDS = ("requests", "imports", "breakdown", "memory", "door", "timing", "scale")


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        print(f"usage: python3 -m benchmarks {' | '.join(COMMANDS)} [--help]", file=sys.stderr)
        return 2
    # Only the one that is asked for: measuring imports needs none of what the others import.
    import_module(f"benchmarks.{arguments[0]}").main(arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
