"""Show who did what: ``.venv/bin/python scripts/audit.py [ACCOUNT-ID] [--json] [--at POSITION|TIME] ...``."""

from accounts_es.cli import run
from accounts_es.cli.audit import audit

if __name__ == "__main__":
    run(audit)
