"""The ``accounts-es`` command."""

import sys
from collections.abc import Callable

import typer

from accounts_es.cli.audit import audit
from accounts_es.cli.checkpoint import checkpoint
from accounts_es.cli.console import Trouble, complain
from accounts_es.cli.deliver import deliver
from accounts_es.cli.hashes import hashes
from accounts_es.cli.keys import keys
from accounts_es.cli.projects import projects
from accounts_es.cli.replay import replay
from accounts_es.cli.revert import revert
from accounts_es.cli.serve import serve
from accounts_es.cli.settings import GROUPS
from accounts_es.cli.users import users
from accounts_es.cli.version import version
from accounts_es.cli.webhooks import webhooks

app = typer.Typer(
    name="accounts-es",
    help="An event-sourced accounts server behind Appwrite's Account, Users and Teams APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(replay)
app.command()(audit)
app.command()(revert)
app.command()(checkpoint)
app.command()(deliver)
app.command()(version)
app.add_typer(projects, name="projects")
for name, group in GROUPS.items():
    projects.add_typer(group, name=name)
app.add_typer(keys, name="keys")
app.add_typer(users, name="users")
app.add_typer(webhooks, name="webhooks")
app.add_typer(hashes, name="hash")


def main() -> None:
    """Run the command; what is wrong is said in one sentence."""
    _explain(app)


def run(command: Callable[..., None]) -> None:
    """Run one command as a script of its own."""
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command()(command)
    _explain(alone)


def _explain(command: Callable[[], object]) -> None:
    try:
        command()
    except Trouble as trouble:
        complain(str(trouble))
        sys.exit(1)
