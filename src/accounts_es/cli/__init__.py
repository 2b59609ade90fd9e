"""The ``accounts-es`` command."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from accounts_es.cli.console import Trouble, complain

COMMANDS: Final = {
    "serve": "serve",
    "replay": "replay",
    "audit": "audit",
    "revert": "revert",
    "checkpoint": "checkpoint",
    "deliver": "deliver",
    "version": "version",
    "projects": "projects",
    "keys": "keys",
    "master-key": "master_key",
    "users": "users",
    "webhooks": "webhooks",
    "hash": "hashes",
}
"""The commands, and the module in which a function or a group of that module's name is it."""


class _Commands(TyperGroup):
    """Loads a command when it is asked for: a server has no use for the others, nor for what they draw with."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - theirs
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - theirs
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        found = getattr(import_module(f"accounts_es.cli.{module}"), module)
        if isinstance(found, typer.Typer):
            group = get_group(found)
            group.name = cmd_name
            return group
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(found)
        return get_command(alone)


app = typer.Typer(
    name="accounts-es", cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def _about() -> None:
    """An event-sourced accounts server behind Appwrite's Account, Users and Teams APIs."""


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
