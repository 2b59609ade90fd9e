"""accounts-es: an event-sourced accounts server behind Appwrite's Account, Users and Teams APIs."""

import sys

# httpx brings its own command line, with rich and pygments, into whatever imports it: 4 MiB of each worker. It does
# without when that cannot be imported.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

if __name__.startswith("src."):
    raise ImportError("import accounts_es, not src.accounts_es: install the project with scripts/setup")
