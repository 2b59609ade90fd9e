"""``accounts-es projects ...``: a project's settings. Secrets come from a file or a prompt."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import TypeAdapter
from pydantic_core import to_json

from accounts_es.adapters.ids import wire_id
from accounts_es.application import Application, Outcome
from accounts_es.cli.administer import DATA, Data, Url, administer, metadata
from accounts_es.cli.console import Trouble
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import AUTH_METHODS, PROJECT, PROTOCOLS, SERVICES, Policies, Project, commands
from accounts_es.domain.project.aggregate import project_stream
from accounts_es.domain.project.commands.settings import SECRET
from accounts_es.domain.project.events import PlatformKind, ProjectEvent, SmtpSecurity
from accounts_es.domain.project.policies import Policy
from accounts_es.http.models.providers import FIELDS, SHAPES, setting
from accounts_es.http.rules import Invalid

Named = Annotated[str, typer.Option("--project", help="The project.")]
SecretFile = Annotated[Path | None, typer.Option(help="A file with the secret; `-` is standard input.")]

policies = typer.Typer(help="The rules a project has for its accounts.", no_args_is_help=True)
methods = typer.Typer(help="The ways people may authenticate.", no_args_is_help=True)
platforms = typer.Typer(help="The pages and apps that may call a project.", no_args_is_help=True)
providers = typer.Typer(help="OAuth2 providers.", no_args_is_help=True)
smtp = typer.Typer(help="A project's own mail server.", no_args_is_help=True)


def _decide(
    project: str,
    data: Path,
    database_url: str | None,
    operation: str,
    command: Callable[..., Iterator[ProjectEvent]],
    **arguments: Any,
) -> None:
    """Carry out a command on a project."""

    async def work(app: Application) -> None:
        meta = metadata(project, operation)
        await app.execute(meta, PROJECT, project_stream(project), command, **arguments)

    administer(data, database_url, work)


def _show(project: str, data: Path, database_url: str | None, show: Callable[[Project], None]) -> None:
    """Print something of a project. Raises `Trouble` when there is none."""

    async def work(app: Application) -> None:
        outcome: Outcome[Project] = await app.load(PROJECT, project_stream(project))
        if not outcome.state.exists:
            raise Trouble(f"there is no project {project!r}")
        show(outcome.state)

    administer(data, database_url, work)


@policies.command("show")
def show_policies(project: Named = "default", data: Data = DATA, database_url: Url = None) -> None:
    """Print every rule and its settings."""

    def show(known: Project) -> None:
        for name, settings in known.policies.model_dump().items():
            print(f"{name.replace('_', '-')}\t{to_json(settings).decode()}")

    _show(project, data, database_url, show)


@policies.command("set")
def set_policy(
    policy: Annotated[str, typer.Argument(help="Its name, as `show` prints it.")],
    setting_: Annotated[list[str], typer.Argument(metavar="SETTING=VALUE...", help="For example total=5.")],
    project: Named = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Change settings of a rule; from the next request on."""
    name = policy.replace("-", "_")
    known: Policy | None = getattr(Policies(), name) if name in Policies.model_fields else None
    settings: JSONObject = {}
    for each in setting_:
        key, equals, value = each.partition("=")
        key = key.replace("-", "_")
        if known is None or not equals or key not in type(known).model_fields:
            raise Trouble(f"there is no setting {each!r} of a policy {policy!r}: see `policies show`")
        settings[key] = value
    if known is None:
        raise Trouble(f"there is no policy {policy!r}")
    try:
        # As texts they are read by their types; what is stored is what they mean.
        read = type(known).model_validate(settings).model_dump(mode="json")
    except ValueError:
        raise Trouble(f"{policy} cannot be {' '.join(setting_)}") from None
    settings = {key: read[key] for key in settings}
    _decide(project, data, database_url, "policies.set", commands.change_policy, policy=name, settings=settings)


def _switch(method: str, project: str, data: Path, database_url: str | None, *, enabled: bool) -> None:
    if method not in AUTH_METHODS:
        raise Trouble(f"there is no method {method!r}; there are {', '.join(AUTH_METHODS)}")
    arguments = {"method": method, "enabled": enabled}
    _decide(project, data, database_url, "methods.switch", commands.switch_auth_method, **arguments)


def _switches(kind: str, names: Sequence[str], command: Callable[..., Iterator[ProjectEvent]]) -> typer.Typer:
    """``on`` and ``off`` for one kind of thing that people reach."""
    group = typer.Typer(help=f"The {kind}s that people may use; servers always may.", no_args_is_help=True)
    name_of = typer.Argument(metavar=kind.upper(), help=f"One of {', '.join(names)}.")

    def switch(name: str, project: str, data: Path, database_url: str | None, *, enabled: bool) -> None:
        if name not in names:
            raise Trouble(f"there is no {kind} {name!r}; there are {', '.join(names)}")
        _decide(project, data, database_url, f"{kind}s.switch", command, **{kind: name}, enabled=enabled)

    @group.command("on")
    def on(name: str = name_of, project: Named = "default", data: Data = DATA, database_url: Url = None) -> None:
        """Let people use it."""
        switch(name, project, data, database_url, enabled=True)

    @group.command("off")
    def off(name: str = name_of, project: Named = "default", data: Data = DATA, database_url: Url = None) -> None:
        """Let people use it no more."""
        switch(name, project, data, database_url, enabled=False)

    return group


Method = Annotated[str, typer.Argument(help=f"One of {', '.join(AUTH_METHODS)}.")]


@methods.command("on")
def switch_on(method: Method, project: Named = "default", data: Data = DATA, database_url: Url = None) -> None:
    """Let people authenticate this way."""
    _switch(method, project, data, database_url, enabled=True)


@methods.command("off")
def switch_off(method: Method, project: Named = "default", data: Data = DATA, database_url: Url = None) -> None:
    """Let people authenticate this way no more; servers still may."""
    _switch(method, project, data, database_url, enabled=False)


@platforms.command("add")
def add_platform(
    identifier: Annotated[str, typer.Argument(help="A host (`*.` for any below it), or what the app is called.")],
    kind: Annotated[str, typer.Option(help="web, apple, android, windows or linux.")] = "web",
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    project: Named = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Let pages or an app call the project; prints the platform's id."""
    try:
        checked = TypeAdapter[PlatformKind](PlatformKind).validate_python(kind)
    except ValueError:
        raise Trouble(f"there is no kind of platform {kind!r}") from None
    platform_id = wire_id()
    identifier = identifier.lower() if kind == "web" else identifier
    arguments = {"platform_id": platform_id, "kind": checked, "name": name, "identifier": identifier}
    _decide(project, data, database_url, "platforms.add", commands.add_platform, **arguments)
    print(platform_id)


@platforms.command("list")
def list_platforms(project: Named = "default", data: Data = DATA, database_url: Url = None) -> None:
    """List the platforms, oldest first: id, kind, name, host or app."""

    def show(known: Project) -> None:
        for each in known.platforms.values():
            print(f"{each.platform_id}\t{each.kind}\t{each.name}\t{each.identifier}")

    _show(project, data, database_url, show)


@platforms.command("remove")
def remove_platform(
    platform_id: Annotated[str, typer.Argument(help="Its id, as `list` shows it.")],
    project: Named = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Let a platform call the project no more."""
    _decide(project, data, database_url, "platforms.remove", commands.remove_platform, platform_id=platform_id)


@providers.command("set")
def set_provider(
    provider: Annotated[str, typer.Argument(help="Such as google or github.")],
    client_id: Annotated[str | None, typer.Option(help="What the provider calls the project.")] = None,
    secret_file: SecretFile = None,
    ask_secret: Annotated[bool, typer.Option("--ask-secret", help="Ask for the secret.")] = False,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="Whether people may use it.")] = None,
    extra: Annotated[list[str] | None, typer.Option("--with", help="Such as tenant=common.")] = None,
    native: Annotated[
        bool | None, typer.Option("--native-on/--native-off", help="Whether apps may, with its ID tokens.")
    ] = None,
    native_client_id: Annotated[
        list[str] | None, typer.Option(help="A client of an app; all of them are said again.")
    ] = None,
    project: Named = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Configure an OAuth2 provider. What is not said stays as it is."""
    if provider not in SHAPES:
        raise Trouble(f"there is no provider {provider!r}; there are {', '.join(SHAPES)}")
    settings: JSONObject = {}
    for each in extra or ():
        name, _, value = each.partition("=")
        if name not in SHAPES[provider].extras:
            raise Trouble(f"{provider} has no setting {name!r}; it has {', '.join(SHAPES[provider].extras) or 'none'}")
        try:
            settings[setting(name)] = FIELDS[name].parse([*value.split(",")] if name == "prompt" else value)
        except Invalid as broken:
            raise Trouble(f"{name}: {broken}") from None
    secret = _secret(secret_file, ask=ask_secret)
    if secret is not None:
        settings[SECRET] = secret
    if not SHAPES[provider].native and (native is not None or native_client_id):
        raise Trouble(f"{provider} gives no ID tokens to apps")
    arguments = {
        "provider": provider,
        "enabled": enabled,
        "client_id": client_id,
        "native_enabled": native,
        "native_client_ids": tuple(native_client_id) if native_client_id else None,
        "settings": settings,
    }
    _decide(project, data, database_url, "providers.set", commands.adjust_provider, **arguments)


@smtp.command("set")
def set_smtp(
    host: Annotated[str | None, typer.Option(help="The server.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65_535)] = None,
    security: Annotated[str | None, typer.Option(help="tls (STARTTLS), ssl, or none.")] = None,
    username: Annotated[str | None, typer.Option()] = None,
    secret_file: SecretFile = None,
    ask_secret: Annotated[bool, typer.Option("--ask-secret", help="Ask for the password.")] = False,
    sender_email: Annotated[str | None, typer.Option()] = None,
    sender_name: Annotated[str | None, typer.Option()] = None,
    reply_to_email: Annotated[str | None, typer.Option()] = None,
    reply_to_name: Annotated[str | None, typer.Option()] = None,
    enabled: Annotated[bool | None, typer.Option("--on/--off")] = None,
    project: Named = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Send the project's mail by a server of its own, which is not tried. What is not said stays as it is."""
    if security not in {None, "tls", "ssl", "none"}:
        raise Trouble("the security is tls, ssl or none")
    secured: SmtpSecurity | None = None if security is None else "tls" if security == "tls" else "ssl"
    said: dict[str, Any] = {
        "host": host,
        "port": port,
        "security": "" if security == "none" else secured,
        "username": username,
        "password": _secret(secret_file, ask=ask_secret),
        "sender_email": sender_email,
        "sender_name": sender_name,
        "reply_to_email": reply_to_email,
        "reply_to_name": reply_to_name,
        "enabled": enabled,
    }
    changes = {name: value for name, value in said.items() if value is not None}
    _decide(project, data, database_url, "smtp.set", commands.configure_smtp, changes=changes)


def _secret(file: Path | None, *, ask: bool) -> str | None:
    """From a file or a prompt, never from the command line, where others can read it."""
    if file is not None:
        return (sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")).strip()
    return str(typer.prompt("Secret", hide_input=True)) if ask else None


GROUPS: Final = {
    "services": _switches("service", SERVICES, commands.switch_service),
    "protocols": _switches("protocol", PROTOCOLS, commands.switch_protocol),
    "policies": policies,
    "methods": methods,
    "platforms": platforms,
    "providers": providers,
    "smtp": smtp,
}
