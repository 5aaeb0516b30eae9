"""``python3 -m local COMMAND``: needs Python 3.11 or newer, and nothing else."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - older Pythons do get here, and deserve a sentence
    sys.exit(f"Jobtrail needs Python 3.11 or newer, and this is Python {sys.version_info[0]}.{sys.version_info[1]}.")

from local import environment

if __name__ == "__main__":
    sys.exit(environment.main(sys.argv[1:]))
