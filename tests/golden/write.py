"""Write the golden files of event shapes that have none yet: `python -m tests.golden.write`."""

import sys

from tests.support.golden import write_missing

for path in write_missing():
    sys.stdout.write(f"{path}\n")
