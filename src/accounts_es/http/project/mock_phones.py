"""Numbers that get no messages and always the same code, for tests of apps."""

from typing import Annotated

from accounts_es.domain.errors import (
    MockNumberAlreadyExists,
    MockNumberLimitExceeded,
    MockNumberNotFound,
)
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.events import MockPhoneAdded, MockPhoneChanged, MockPhoneRemoved
from accounts_es.eventstore.listing import Asked
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries
from accounts_es.http.models.projects import MockNumber, MockNumberList, mock_number
from accounts_es.http.operation import operation
from accounts_es.http.project.keys import ALL_OF_THEM
from accounts_es.http.rules import Digits, Flag, Phone


@operation(
    "POST",
    "/project/mock-phones",
    id="project.createMockPhone",
    scope="mocks.write",
    returns=MockNumber,
    status=201,
    emits=(MockPhoneAdded,),
    raises=(MockNumberAlreadyExists, MockNumberLimitExceeded),
)
async def create_mock_phone(
    ctx: Context, *, number: Annotated[str, Phone()], otp: Annotated[str, Digits(6)]
) -> MockNumber:
    """Send nothing to a number, and take this code from it."""
    outcome = await ctx.execute(PROJECT, ctx.required_project.stream, commands.add_mock_phone, number=number, otp=otp)
    return mock_number(outcome.state.mock_phones[number])


@operation(
    "GET",
    "/project/mock-phones",
    id="project.listMockPhones",
    scope="mocks.read",
    returns=MockNumberList,
)
async def list_mock_phones(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries()] = ALL_OF_THEM,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> MockNumberList:
    """The mock phones, oldest first."""
    known = list((await ctx.load(PROJECT, ctx.required_project.stream)).mock_phones.values())
    part = known[queries.offset : queries.offset + queries.limit]
    return {"total": len(known) if total else 0, "mockNumbers": [mock_number(each) for each in part]}


@operation(
    "GET",
    "/project/mock-phones/{number}",
    id="project.getMockPhone",
    scope="mocks.read",
    returns=MockNumber,
    raises=(MockNumberNotFound,),
)
async def get_mock_phone(ctx: Context, *, number: Annotated[str, Phone()]) -> MockNumber:
    """One mock phone."""
    known = (await ctx.load(PROJECT, ctx.required_project.stream)).mock_phones.get(number)
    if known is None:
        raise MockNumberNotFound
    return mock_number(known)


@operation(
    "PUT",
    "/project/mock-phones/{number}",
    id="project.updateMockPhone",
    scope="mocks.write",
    returns=MockNumber,
    emits=(MockPhoneChanged,),
    raises=(MockNumberNotFound,),
)
async def update_mock_phone(
    ctx: Context, *, number: Annotated[str, Phone()], otp: Annotated[str, Digits(6)]
) -> MockNumber:
    """Take another code from a number."""
    outcome = await ctx.execute(
        PROJECT, ctx.required_project.stream, commands.change_mock_phone, number=number, otp=otp
    )
    return mock_number(outcome.state.mock_phones[number])


@operation(
    "DELETE",
    "/project/mock-phones/{number}",
    id="project.deleteMockPhone",
    scope="mocks.write",
    emits=(MockPhoneRemoved,),
    raises=(MockNumberNotFound,),
)
async def delete_mock_phone(ctx: Context, *, number: Annotated[str, Phone()]) -> None:
    """Treat a number like any other again."""
    await ctx.execute(PROJECT, ctx.required_project.stream, commands.remove_mock_phone, number=number)
