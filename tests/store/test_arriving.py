"""Whoever comes while others are being told misses nothing: what they were told their position is holds."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest_asyncio

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.eventstore.follower import Follower, Row
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.moments import Moments
from accounts_es.http.realtime.hub import Hub
from accounts_es.http.realtime.socket import Identity, Socket
from accounts_es.http.realtime.subscriptions import Subscription
from tests.support.metadata import metadata
from tests.support.waiting import until

_NEW = """SELECT originator_id, originator_version, topic, state, notification_id, project_id, request_id
    FROM log.accounts_events WHERE notification_id > %s ORDER BY notification_id"""


@pytest_asyncio.fixture
async def hub(log: EventLog, database: str, master: MasterKey) -> AsyncIterator[Hub]:
    moments = Moments(database, master, projections.ALL)
    await moments.start()
    try:
        yield Hub(log, moments, Follower(database))
    finally:
        await moments.stop()


class Ear:
    """A socket, and what it was told."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.socket = Socket(project="", address=name, subscriptions={"all": Subscription.of(["account"], [], name)})
        self.told: list[dict[str, Any]] = []
        self._hub = hub
        self._stream = f"account-{name}"

    async def come(self) -> None:
        self._hub.present.come(self.socket)
        self._hub.present.place(self.socket, "default")
        await self._hub.present.identify(self.socket, Identity(self._stream, "", None))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        async def send(message: Any) -> None:
            self.told.append(json.loads(message["text"])["data"])

        sending = asyncio.create_task(self.socket.send_all(send))
        try:
            yield
        finally:
            sending.cancel()

    async def heard(self, name: str) -> dict[str, Any]:
        await until(lambda: any(name in each["events"] for each in self.told))
        return next(each for each in self.told if name in each["events"])


async def sign_up(application: Application, name: str) -> None:
    arguments = {"account_id": name, "email": f"{name}@example.org", "email_target_id": f"t-{name}"}
    meta = metadata(request_id=f"up-{name}")
    await application.execute(meta, ACCOUNT, f"account-{name}", commands.sign_up, **arguments)


async def change(application: Application, whom: str, command: Callable[..., Any], **arguments: Any) -> None:
    meta = metadata(request_id=f"{command.__name__}-{whom}")
    await application.execute(meta, ACCOUNT, f"account-{whom}", command, **arguments)


async def new(application: Application, after: int) -> list[Row]:
    return [Row._make(row) for row in await application.log.reads.fetch(_NEW, (after,))]


async def test_who_comes_before_the_turn_of_their_event_is_told_it(application: Application, hub: Hub) -> None:
    jane, joe = Ear(hub, "jane"), Ear(hub, "joe")
    for name in ("jane", "joe"):
        await sign_up(application, name)
    begin = (await new(application, 0))[-1].position
    await change(application, "jane", commands.replace_labels, labels=["vip"])
    await change(application, "joe", commands.update_prefs, prefs={"nth": 1})
    rows = await new(application, begin)
    await jane.come()
    hub.position = begin
    async with jane.listening(), joe.listening():
        # What Jane may is being looked at, so she is not told yet, and nobody after her.
        async with jane.socket.turn:
            telling = asyncio.create_task(hub.take(rows))
            await asyncio.sleep(0)
            await joe.come()
            assert hub.position < rows[-1].position
        await telling
        assert hub.position == rows[-1].position
        await jane.heard("users.jane.update.labels")
        told = await joe.heard("users.joe.update.prefs")
        assert told["payload"] == {"nth": 1}


async def test_what_concerned_nobody_is_behind_whoever_comes_then(application: Application, hub: Hub) -> None:
    jane = Ear(hub, "jane")
    for name in ("jane", "joe"):
        await sign_up(application, name)
    begin = (await new(application, 0))[-1].position
    await change(application, "jane", commands.change_name, name="Janet")
    await change(application, "joe", commands.update_prefs, prefs={"nth": 1})
    passed = (await new(application, begin))[-1].position
    await change(application, "jane", commands.replace_labels, labels=["vip"])
    rows = await new(application, begin)
    await jane.come()
    hub.position = begin
    async with jane.listening():
        async with jane.socket.turn:
            telling = asyncio.create_task(hub.take(rows))
            # Joe would be told that this is his position, and his event is not told any more.
            await until(lambda: hub.position == passed)
        await telling
