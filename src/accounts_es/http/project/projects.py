"""The project itself."""

from typing import Annotated

from accounts_es.domain.project import AUTH_METHODS, PROJECT, PROTOCOLS, SERVICES, commands
from accounts_es.domain.project.events import AuthMethodSwitched, LabelsReplaced, ProtocolSwitched, ServiceSwitched
from accounts_es.http.context import Context
from accounts_es.http.models.projects import Project, project
from accounts_es.http.operation import operation
from accounts_es.http.rules import Choice, Flag, Label, Texts


@operation("GET", "/project", id="project.get", scope="project.read", returns=Project)
async def get(ctx: Context) -> Project:
    """The project, with its settings and without its secrets."""
    return project(await ctx.load(PROJECT, ctx.required_project.stream))


@operation(
    "PUT",
    "/project/labels",
    id="project.updateLabels",
    scope="project.write",
    returns=Project,
    emits=(LabelsReplaced,),
)
async def update_labels(ctx: Context, *, labels: Annotated[list[str], Texts(Label(), 1000)]) -> Project:
    """Replace the project's labels."""
    stream = ctx.required_project.stream
    outcome = await ctx.execute(PROJECT, stream, commands.replace_project_labels, labels=labels)
    return project(outcome.state)


@operation(
    "PATCH",
    "/project/auth-methods/{methodId}",
    id="project.updateAuthMethod",
    scope="project.write",
    returns=Project,
    emits=(AuthMethodSwitched,),
)
async def update_auth_method(
    ctx: Context, *, method_id: Annotated[str, Choice(AUTH_METHODS)], enabled: Annotated[bool, Flag()]
) -> Project:
    """Let people authenticate this way, or not; from their next request on."""
    stream = ctx.required_project.stream
    outcome = await ctx.execute(PROJECT, stream, commands.switch_auth_method, method=method_id, enabled=enabled)
    return project(outcome.state)


@operation(
    "PATCH",
    "/project/services/{serviceId}",
    id="project.updateService",
    scope="project.write",
    returns=Project,
    emits=(ServiceSwitched,),
)
async def update_service(
    ctx: Context, *, service_id: Annotated[str, Choice(SERVICES)], enabled: Annotated[bool, Flag()]
) -> Project:
    """Let people call a service, or none of it; from their next request on. Servers always may."""
    stream = ctx.required_project.stream
    outcome = await ctx.execute(PROJECT, stream, commands.switch_service, service=service_id, enabled=enabled)
    return project(outcome.state)


@operation(
    "PATCH",
    "/project/protocols/{protocolId}",
    id="project.updateProtocol",
    scope="project.write",
    returns=Project,
    emits=(ProtocolSwitched,),
)
async def update_protocol(
    ctx: Context, *, protocol_id: Annotated[str, Choice(PROTOCOLS)], enabled: Annotated[bool, Flag()]
) -> Project:
    """Let people reach the project by a protocol, or not; from their next request on. Servers always may."""
    stream = ctx.required_project.stream
    outcome = await ctx.execute(PROJECT, stream, commands.switch_protocol, protocol=protocol_id, enabled=enabled)
    return project(outcome.state)
