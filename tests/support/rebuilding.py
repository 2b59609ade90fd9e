"""A rebuild in a process of its own, for tests that kill it: ``python -m tests.support.rebuilding WHAT CONNINFO``."""

import sys

from accounts_es.eventstore.kept import NothingKept, forget, roll_back
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.rebuild import NothingToResume, rebuild, resume
from projections import ALL
from tests.support.server import MASTER


def say(word: str) -> None:
    """To whoever waits for it."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(what: str, conninfo: str) -> None:
    """Do it in small steps, so that there are many moments to be killed in."""
    master = MasterKey(MASTER)
    say("begun")
    match what:
        case "rebuild":
            rebuild(conninfo, master, ALL, batch=25)
        case "resume":
            try:
                resume(conninfo, master, ALL, batch=25)
            except NothingToResume:
                rebuild(conninfo, master, ALL, batch=25)
        case "roll back":
            try:
                roll_back(conninfo, master, ALL, batch=25)
            except NothingKept:
                rebuild(conninfo, master, ALL, batch=25)
        case _:
            forget(conninfo, master, ALL)
    say("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
