"""Read models are made anew from the log: the same bytes, while the server goes on."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import timedelta
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.errors import Refusal
from accounts_es.domain.event import JSONObject, Metadata
from accounts_es.domain.project import PROJECT
from accounts_es.domain.project import commands as project_commands
from accounts_es.domain.resource import RESOURCE
from accounts_es.domain.resource import commands as resource_commands
from accounts_es.domain.team import TEAM
from accounts_es.domain.team import commands as team_commands
from accounts_es.eventstore import shadow
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.rebuild import RebuildRunning, UnreadableEvent, fill, rebuild, state_hash, verify
from tests.conftest import temporary_database
from tests.support.metadata import NOON
from tests.support.waiting import until

Meta = Callable[..., Metadata]

EXPIRY = NOON + timedelta(days=365)

TABLES = [table for projection in projections.ALL for table in projection.tables]


def hashes(conninfo: str) -> dict[str, str]:
    """A fingerprint of every live table."""
    with connect_sync(conninfo, as_app=False) as owner:
        return {table: state_hash(owner, table) for table in TABLES}


async def populate(application: Application, meta: Meta, accounts: int = 20) -> None:
    for nth in range(accounts):
        stream = f"account-{nth}"
        await application.execute(meta(), ACCOUNT, stream, commands.sign_up, account_id=f"a{nth}", name="N")
        await application.execute(meta(), ACCOUNT, stream, commands.replace_labels, labels=["x", f"l{nth}"])
        await application.execute(meta(), ACCOUNT, stream, commands.update_prefs, prefs={"n": nth})


async def test_a_rebuild_gives_the_same_tables(
    application: Application, database: str, master: MasterKey, meta: Meta
) -> None:
    await populate(application, meta)
    before = hashes(database)
    done = await asyncio.to_thread(rebuild, database, master, projections.ALL, batch=7)
    assert done.events == 80
    assert hashes(database) == before
    # The server's prepared statements find the new tables.
    await application.execute(meta(), ACCOUNT, "account-0", commands.change_name, name="After")
    _, difference = await asyncio.to_thread(verify, database, master, projections.ALL)
    assert difference is None


async def test_T44_a_rebuild_leaves_a_share_of_the_time_to_others(
    application: Application, database: str, master: MasterKey, meta: Meta, monkeypatch: pytest.MonkeyPatch
) -> None:
    await populate(application, meta)
    before, clock, pauses = hashes(database), count(), list[float]()
    monkeypatch.setattr(shadow, "time", SimpleNamespace(monotonic=lambda: float(next(clock)), sleep=pauses.append))
    done = rebuild(database, master, projections.ALL, batch=25, pause=0.5)
    assert pauses == [0.5] * (done.events // 25), "half of the second that each whole batch took"
    assert hashes(database) == before
    pauses.clear()
    rebuild(database, master, projections.ALL, batch=25)
    assert pauses == []


async def test_T44_no_request_fails_while_read_models_are_swapped_under_writers(
    application: Application, database: str, master: MasterKey, meta: Meta
) -> None:
    await populate(application, meta, accounts=4)
    stop = asyncio.Event()
    written = 0

    async def write(nth: int) -> None:
        nonlocal written
        count = 0
        while not stop.is_set():
            count += 1
            stream = f"account-{nth}"
            await application.execute(meta(), ACCOUNT, stream, commands.update_prefs, prefs={"count": count})
            row = await projections.accounts.get(application.log.reads, "default", f"a{nth}")
            assert row.prefs == f'{{"count":{count}}}', "a writer reads its own write"
            written += 1

    writers = [asyncio.create_task(write(nth)) for nth in range(4)]
    for _ in range(3):
        at_least = written + 20
        await until(lambda at_least=at_least: written >= at_least)
        await asyncio.to_thread(rebuild, database, master, projections.ALL, batch=50)
    stop.set()
    await asyncio.gather(*writers)
    _, difference = await asyncio.to_thread(verify, database, master, projections.ALL)
    assert difference is None


async def test_verify_finds_a_row_that_somebody_changed(
    application: Application, database: str, master: MasterKey, meta: Meta
) -> None:
    await populate(application, meta, accounts=3)
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE read.accounts_v2 SET name = 'forged' WHERE account_id = 'a1'")
    _, difference = verify(database, master, projections.ALL)
    assert difference is not None
    assert (difference.table, difference.key, difference.rows) == ("accounts_v2", {"stream": "account-1"}, 1)
    assert difference.live is not None
    assert difference.live["name"] == "forged"
    assert difference.rebuilt is not None
    assert difference.rebuilt["name"] == "N"


async def test_verify_finds_a_row_that_no_event_explains(
    application: Application, database: str, master: MasterKey, meta: Meta
) -> None:
    await populate(application, meta, accounts=1)
    with psycopg.connect(database) as owner:
        owner.execute(
            """INSERT INTO read.projects_v2 (project_id, stream, version, name, created_at)
               VALUES ('ghost', 'project-ghost', 1, 'Ghost', now())"""
        )
    _, difference = verify(database, master, projections.ALL)
    assert difference is not None
    assert difference.rebuilt is None
    assert difference.key == {"project_id": "ghost"}


async def test_a_rebuild_starts_over_after_one_that_was_killed(
    application: Application, database: str, master: MasterKey, meta: Meta
) -> None:
    await populate(application, meta, accounts=2)
    with psycopg.connect(database) as owner:
        owner.execute("CREATE SCHEMA read_next; CREATE TABLE read_next.accounts_v2 (half int); CREATE SCHEMA read_old")
    before = hashes(database)
    rebuild(database, master, projections.ALL)
    assert hashes(database) == before


async def test_two_rebuilds_at_once_are_one_too_many(database: str, master: MasterKey) -> None:
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7017280570803617909)")
        with pytest.raises(RebuildRunning):
            rebuild(database, master, projections.ALL)


async def test_T36_an_event_of_a_later_release_stops_a_rebuild_and_leaves_the_tables_alone(
    application: Application, database: str, master: MasterKey, meta: Meta
) -> None:
    await populate(application, meta, accounts=2)
    before = hashes(database)
    with psycopg.connect(database) as owner:
        owner.execute(
            """INSERT INTO log.accounts_events
               (originator_id, originator_version, topic, state, project_id, recorded_at, actor, operation, request_id,
                correlation_id)
               VALUES ('account-9', 1, 'account.levitated', '{}', 'default', now(), 'system', 'x', 'r', 'r')"""
        )
    with pytest.raises(UnreadableEvent, match=r"account\.levitated"):
        rebuild(database, master, projections.ALL)
    assert hashes(database) == before


async def test_one_read_model_can_be_filled_alone(
    application: Application, database: str, master: MasterKey, meta: Meta
) -> None:
    await populate(application, meta, accounts=3)
    before = hashes(database)
    with psycopg.connect(database) as owner:
        owner.execute("TRUNCATE read.accounts_v2")
        owner.execute("UPDATE log.read_models SET rebuilt_to = -1 WHERE name = 'accounts'")
    fill(database, master, projections.ALL, ["accounts"])
    assert hashes(database) == before


async def test_an_id_that_changed_hands_within_a_batch_is_rebuilt(
    application: Application, database: str, master: MasterKey, meta: Meta
) -> None:
    for nth in range(3):
        stream = f"account-{nth}"
        await application.execute(meta(), ACCOUNT, stream, commands.sign_up, account_id="jane", name=f"Jane {nth}")
        await application.execute(meta(), ACCOUNT, stream, commands.replace_labels, labels=["x", "y"])
        if nth < 2:
            await application.execute(meta(), ACCOUNT, stream, commands.delete_account)
    before = hashes(database)
    rebuild(database, master, projections.ALL)
    assert hashes(database) == before


# Random histories -----------------------------------------------------------------------------------------------------

IDS = st.sampled_from(["a", "b", "c", "d"])
EMAILS = st.sampled_from([None, "x@example.com", "y@example.com"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PREFS = st.dictionaries(st.text(max_size=5), JSON, max_size=3)
NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)

LONG = int(os.environ.get("ACCOUNTS_HISTORY_COMMANDS", "2000"))
"""T40 asks for 100,000."""

STEPS = st.one_of(
    st.tuples(st.just("sign_up"), IDS, EMAILS, NAMES),
    st.tuples(st.just("anonymous"), IDS),
    st.tuples(st.just("name"), IDS, NAMES),
    st.tuples(st.just("prefs"), IDS, PREFS),
    st.tuples(st.just("labels"), IDS, st.lists(st.sampled_from(["p", "q", "r"]), max_size=4)),
    st.tuples(st.just("verify"), IDS, st.booleans()),
    st.tuples(st.just("session"), IDS),
    st.tuples(st.just("email"), IDS, EMAILS),
    st.tuples(st.just("phone"), IDS, st.sampled_from([None, "+4930901820", "+4930901821"])),
    st.tuples(st.just("password"), IDS),
    st.tuples(st.just("active"), IDS, st.booleans()),
    st.tuples(st.just("mfa"), IDS, st.booleans()),
    st.tuples(st.just("authenticator"), IDS),
    st.tuples(st.just("challenge"), IDS),
    st.tuples(st.just("target"), IDS),
    st.tuples(st.just("rename_targets"), IDS, NAMES),
    st.tuples(st.just("remove_target"), IDS),
    st.tuples(st.just("identity"), IDS, st.sampled_from(["1", "2"])),
    st.tuples(st.just("protect"), IDS, st.sampled_from(["any", "users/verified", "user:a"])),
    st.tuples(st.just("permit"), IDS, st.sampled_from(["any", "team:t/owner"])),
    st.tuples(st.just("release"), IDS),
    st.tuples(st.just("policy"), st.sampled_from(["session_limit", "user_limit"]), st.integers(0, 3)),
    st.tuples(st.just("method"), st.sampled_from(["anonymous", "jwt"]), st.booleans()),
    st.tuples(st.just("mock_phone"), st.sampled_from(["+4930901820", "+4930901821"]), st.booleans()),
    st.tuples(st.just("end"), IDS),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("team"), IDS, IDS, NAMES),
    st.tuples(st.just("rename_team"), IDS, NAMES),
    st.tuples(st.just("team_prefs"), IDS, PREFS),
    st.tuples(st.just("invite"), IDS, IDS),
    st.tuples(st.just("add"), IDS, IDS),
    st.tuples(st.just("join"), IDS, IDS),
    st.tuples(st.just("roles"), IDS, IDS, st.lists(st.sampled_from(["owner", "coach"]), max_size=3)),
    st.tuples(st.just("leave"), IDS, IDS),
    st.tuples(st.just("remove"), IDS, IDS),
    st.tuples(st.just("delete_team"), IDS),
    st.tuples(st.just("platform"), st.sampled_from(["one.example", "two.example"])),
    st.tuples(st.just("no_platform"), st.sampled_from(["one.example", "two.example"])),
    st.tuples(st.just("other_platform"), st.sampled_from(["one.example", "two.example"]), st.booleans()),
    st.tuples(st.just("key"), st.sampled_from(["one", "two"]), st.booleans()),
    st.tuples(st.just("use_key"), st.sampled_from(["one", "two"]), st.sampled_from(["", "Node.js", "Dart"])),
    st.tuples(st.just("rename"), st.sampled_from(["Shop", "Club"])),
)

TEAM_STEPS = {"rename_team", "team_prefs", "invite", "add", "join", "roles", "leave", "remove", "delete_team"}


_NUMBER: ContextVar[int] = ContextVar("_NUMBER")


class History:
    """Carries out random steps the way the API does: ids are free again after a deletion."""

    def __init__(self, application: Application, meta: Meta) -> None:
        self.application = application
        self.meta = meta
        self.streams: dict[str, str] = {}
        self.teams: dict[str, str] = {}
        self._numbers = count(1)

    @property
    def made(self) -> int:
        """The number of the step, also after others have begun."""
        return _NUMBER.get()

    async def step(self, kind: str, *args: object) -> None:
        """One step; a refusal is a step as well."""
        try:
            await self._step(kind, *args)
        except Refusal:
            return

    async def _step(self, kind: str, *args: object) -> None:
        _NUMBER.set(next(self._numbers))
        fresh = f"account-{self.made}"
        name = str(args[0])
        if kind in {"sign_up", "anonymous"}:
            command: dict[str, object] = {"account_id": name}
            if kind == "sign_up":
                command |= {"email": args[1], "name": args[2], "email_target_id": f"t{self.made}"}
                await self._run(fresh, commands.sign_up, **command)
            else:
                command |= {"session_id": f"s{self.made}", "secret_hash": f"h{self.made}", "expires_at": EXPIRY}
                await self._run(fresh, commands.sign_up_anonymously, **command)
            self.streams[name] = fresh
        elif kind in {"policy", "method", "mock_phone", "key", "use_key", "rename"} or "platform" in kind:
            await self._on_project(kind, name, *args[1:])
        elif kind in {"protect", "permit", "release"}:
            await self._on_resource(kind, name, *args[1:])
        elif kind == "team":
            by = self.streams.get(str(args[1]))
            founder = {"by": by, "membership_id": f"m{self.made}"}
            await self._team(f"team-{self.made}", team_commands.create_team, team_id=name, name=args[2], **founder)
            self.teams[name] = f"team-{self.made}"
        elif kind in TEAM_STEPS:
            await self._on_team(kind, self.teams.get(name, "team-none"), *args[1:])
        else:
            await self._on_account(kind, self.streams.get(name, "account-none"), *args[1:])

    async def _on_account(self, kind: str, stream: str, *args: object) -> None:
        match kind:
            case "name":
                await self._run(stream, commands.change_name, name=args[0])
            case "prefs":
                await self._run(stream, commands.update_prefs, prefs=args[0])
            case "labels":
                await self._run(stream, commands.replace_labels, labels=args[0])
            case "verify":
                await self._run(stream, commands.set_email_verification, verified=args[0])
            case "session":
                await self._run(
                    stream,
                    commands.create_session,
                    session_id=f"s{self.made}",
                    secret_hash=f"h{self.made}",
                    provider="email",
                    factors=("password",),
                    expires_at=EXPIRY,
                    limit=3,
                )
            case "email":
                await self._run(stream, commands.change_email, email=args[0], target_id=f"e{self.made}")
            case "phone":
                await self._run(stream, commands.change_phone, phone=args[0], target_id=f"p{self.made}")
            case "password":
                await self._run(stream, commands.change_password, password_hash=f"hash {self.made}")
            case "active":
                await self._run(stream, commands.set_active, active=args[0])
            case "mfa":
                await self._run(stream, commands.switch_mfa, on=args[0], session_id=await self._session(stream))
            case "authenticator" | "challenge":
                await self._factor(kind, stream)
            case "target":
                session_id = await self._session(stream)
                device: dict[str, object] = {"target_id": f"d{self.made}", "identifier": f"device {self.made}"}
                await self._run(stream, commands.add_target, **device, provider_type="push", session_id=session_id)
            case "rename_targets" | "remove_target":
                state = (await self.application.load(ACCOUNT, stream)).state
                target_id = state.targets[0].target_id if state.targets else "none"
                if kind == "remove_target":
                    await self._run(stream, commands.remove_target, target_id=target_id)
                else:
                    await self._run(stream, commands.change_target, target_id=target_id, name=args[0])
            case "identity":
                known = {"provider": "google", "provider_uid": args[0], "access_token": f"t{self.made}"}
                await self._run(stream, commands.link_identity, identity_id=f"i{self.made}", **known)
            case "end":
                await self._run(stream, commands.delete_sessions, reason="test")
            case _:
                await self._run(stream, commands.delete_account)

    async def _session(self, stream: str) -> str | None:
        state = (await self.application.load(ACCOUNT, stream)).state
        return next(iter(state.sessions), None)

    async def _factor(self, kind: str, stream: str) -> None:
        session_id = await self._session(stream) or "none"
        if kind == "authenticator":
            await self._run(stream, commands.add_authenticator, secret=f"seed {self.made}")
            await self._run(stream, commands.verify_authenticator, steps=[self.made], session_id=session_id)
            return
        challenge = {"challenge_id": f"c{self.made}", "factor": "totp"}
        await self._run(stream, commands.create_challenge, **challenge, expires_at=EXPIRY)
        answer = {"challenge_id": f"c{self.made}", "steps": [self.made + 1000], "now": NOON}
        await self._run(stream, commands.pass_challenge, **answer, session_id=session_id)

    async def _on_resource(self, kind: str, name: str, *args: object) -> None:
        stream = self.streams.setdefault(f"resource {name}", f"resource-{self.made}")
        read = [f'read("{args[0]}")', 'update("users")'] if args else []
        command, arguments = {
            "protect": (
                resource_commands.protect,
                {"resource_type": "notes", "resource_id": name, "permissions": read},
            ),
            "permit": (resource_commands.replace_permissions, {"permissions": read}),
            "release": (resource_commands.release, {}),
        }[kind]
        await self.application.execute(self.meta(), RESOURCE, stream, command, **arguments)  # type: ignore[arg-type]

    async def _on_project(self, kind: str, name: str, *args: object) -> None:
        match kind:
            case "policy":
                await self._decide(project_commands.change_policy, policy=name, settings={"total": args[0]})
            case "method":
                await self._decide(project_commands.switch_auth_method, method=name, enabled=args[0])
            case "mock_phone":
                if args[0]:
                    await self._decide(project_commands.add_mock_phone, number=name, otp="123456")
                    await self._decide(project_commands.change_mock_phone, number=name, otp=f"{self.made:06}")
                else:
                    await self._decide(project_commands.remove_mock_phone, number=name)
            case "rename":
                await self._decide(project_commands.rename_project, name=name)
            case "key":
                change = {"key_id": name, "name": f"Key {self.made}", "scopes": ["users.read"]}
                if not args[0]:
                    await self._decide(project_commands.delete_api_key, key_id=name)
                elif name in (await self.application.load(PROJECT, "project-default")).state.keys:
                    await self._decide(project_commands.update_api_key, **change)
                else:
                    await self._decide(project_commands.create_api_key, **change, secret_hash=f"h{self.made}")
            case "use_key":
                now = NOON + timedelta(days=2 * self.made)
                await self._decide(project_commands.note_key_use, key_id=name, sdk=args[0], now=now)
            case "other_platform":
                known = "apple" if args[0] else "web"
                await self._decide(project_commands.add_platform, platform_id=name, kind=known, identifier=name)
                change = {"platform_id": name, "kind": known, "name": "Other", "identifier": f"other.{name}"}
                await self._decide(project_commands.change_platform, **change)
            case _:
                await self._decide(project_commands.add_platform, platform_id=name, identifier=name)
                if kind == "no_platform":
                    await self._decide(project_commands.remove_platform, platform_id=name)

    async def _on_team(self, kind: str, stream: str, *args: object) -> None:
        who = self.streams.get(str(args[0]), "account-none") if args else ""
        invitation: dict[str, object] = {"membership_id": f"m{self.made}", "account": who, "roles": ["coach"]}
        state = (await self.application.load(TEAM, stream)).state
        known = state.membership_of(who)
        one = {"membership_id": known.membership_id if known is not None else "none"}
        secret_hash = known.secret_hash if known is not None else "none"
        match kind:
            case "rename_team":
                await self._team(stream, team_commands.rename_team, name=args[0])
            case "team_prefs":
                await self._team(stream, team_commands.update_prefs, prefs=args[0])
            case "invite":
                invitation |= {"secret_hash": f"h{self.made}", "by": None}
                await self._team(stream, team_commands.invite_member, **(invitation | (one if known else {})))
            case "add":
                await self._team(stream, team_commands.add_member, **invitation)
            case "join":
                shown = {"secret_hash": secret_hash, "accounts": {who}}
                await self._team(stream, team_commands.accept_invitation, **one, **shown)
            case "roles":
                await self._team(stream, team_commands.change_roles, **one, roles=args[1])
            case "leave" | "remove":
                by = who if kind == "leave" else None
                await self._team(stream, team_commands.end_membership, **one, by=by)
            case _:
                await self._team(stream, team_commands.delete_team)

    async def _team(self, stream: str, command: Callable[..., object], **kwargs: object) -> None:
        await self.application.execute(self.meta(), TEAM, stream, command, **kwargs)  # type: ignore[arg-type]

    async def _decide(self, command: Callable[..., object], **kwargs: object) -> None:
        await self.application.execute(self.meta(), PROJECT, "project-default", command, **kwargs)  # type: ignore[arg-type]

    async def _run(self, stream: str, command: Callable[..., object], **kwargs: object) -> None:
        await self.application.execute(self.meta(), ACCOUNT, stream, command, **kwargs)  # type: ignore[arg-type]


async def live(database: str, master: MasterKey, meta: Meta, steps: Sequence[tuple[Any, ...]], at_once: int) -> None:
    """Carry out the steps, some of them at once, as requests are."""
    log = EventLog(database, master, projections.ALL)
    await log.start()
    try:
        history = History(Application(log), meta)
        await history.application.execute(
            meta(), PROJECT, "project-default", project_commands.create_project, project_id="default", name="D"
        )
        for start in range(0, len(steps), at_once):
            await asyncio.gather(*(history.step(*step) for step in steps[start : start + at_once]))
    finally:
        await log.stop()


def replayed_to_the_same(database: str, master: MasterKey, batch: int) -> None:
    before = hashes(database)
    _, difference = verify(database, master, projections.ALL, batch=batch)
    assert difference is None
    rebuild(database, master, projections.ALL, batch=batch)
    assert hashes(database) == before


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=5, max_size=60), batch=st.sampled_from([1, 3, 5000]))
def test_T40_T41_any_history_replays_to_the_same_bytes_in_batches_of_any_size(
    server_conninfo: str, template: str, master: MasterKey, meta: Meta, steps: list[tuple[str, JSONObject]], batch: int
) -> None:
    with temporary_database(server_conninfo, template) as database:
        asyncio.run(live(database, master, meta, steps, at_once=4))
        replayed_to_the_same(database, master, batch)


@settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # the first is the simplest
@given(pool=st.lists(STEPS, min_size=200, max_size=200), seed=st.integers(0, 2**32))
def test_T40_a_long_history_replays_to_the_same_bytes(
    server_conninfo: str, template: str, master: MasterKey, meta: Meta, pool: list[tuple[Any, ...]], seed: int
) -> None:
    with temporary_database(server_conninfo, template) as database:
        asyncio.run(live(database, master, meta, Random(seed).choices(pool, k=LONG), at_once=16))
        replayed_to_the_same(database, master, 5000)
