"""Rebuild read models from the log: ``.venv/bin/python scripts/replay.py [read-model ...] [--verify]``."""

from accounts_es.cli import run
from accounts_es.cli.replay import replay

if __name__ == "__main__":
    run(replay)
