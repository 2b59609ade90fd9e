"""What is known of a person, for whoever must tell them."""

from collections.abc import AsyncGenerator
from typing import Annotated

from accounts_es.domain.errors import UserNotFound
from accounts_es.domain.security.events import AuditRead
from accounts_es.http import subject
from accounts_es.http.context import Context
from accounts_es.http.operation import Streamed, operation
from accounts_es.http.rules import Id
from projections import people


@operation(
    "GET",
    "/users/{userId}/export",
    id="users.export",
    scope="users.export",
    returns=Streamed,
    emits=(AuditRead,),
    raises=(UserNotFound,),
)
async def export(ctx: Context, *, user_id: Annotated[str, Id()]) -> Streamed:
    """All that is known of a person, deleted or not, with its history: one JSON document without hashes or secrets."""
    log = ctx.services.application.log
    person = await people.get(ctx.reads, ctx.project_id, user_id)
    found = await subject.positions(log, person)
    await ctx.note_audit_read(AuditRead(attributes=("export",), count=len(found), about=person.stream))

    async def encoded() -> AsyncGenerator[bytes]:
        async for part in subject.document(log, person, found, ctx.at):
            yield part.encode()

    return Streamed("application/json; charset=UTF-8", f"person-{person.stream}.json", encoded())
