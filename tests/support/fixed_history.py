"""A history that is the same wherever it is made: what its read models are can be written down."""

from datetime import timedelta

from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.project import PROJECT
from accounts_es.domain.project import commands as project_commands
from accounts_es.domain.resource import RESOURCE
from accounts_es.domain.resource import commands as resource_commands
from accounts_es.domain.team import TEAM
from accounts_es.domain.team import commands as team_commands
from tests.support.metadata import NOON, metadata

PEOPLE = ("Anna", "anna", "Ärger", "zoë", "Øre", "李", "_x", "-y", "Z\t\\N", "ß")
"""Names, and ends of stream names, that locales sort and split in their own ways."""


async def live_it(application: Application) -> None:
    """Carry it out."""
    meta, project = metadata(), "project-default"
    execute = application.execute
    await execute(meta, PROJECT, project, project_commands.create_project, project_id="default", name="D")
    await execute(meta, PROJECT, project, project_commands.add_platform, platform_id="p1", identifier="*.example.com")
    key = {"key_id": "k1", "name": "K", "scopes": ["users.read"], "secret_hash": "h"}
    await execute(meta, PROJECT, project, project_commands.create_api_key, **key)
    for nth, name in enumerate(PEOPLE):
        stream, at = f"account-{name}", metadata(at=NOON + timedelta(microseconds=nth))
        await execute(
            at,
            ACCOUNT,
            stream,
            commands.sign_up,
            account_id=f"a{nth}",
            name=name,
            email=f"{nth}@example.com",
            email_target_id=f"t{nth}",
        )
        await execute(at, ACCOUNT, stream, commands.replace_labels, labels=["b", name.encode().hex(), "A"])
        await execute(at, ACCOUNT, stream, commands.update_prefs, prefs={name: [1, 2.5, None, "\x7f"]})
        await execute(
            at,
            ACCOUNT,
            stream,
            commands.create_session,
            session_id=f"s{nth}",
            secret_hash=f"h{nth}",
            provider="email",
            factors=("password",),
            expires_at=NOON + timedelta(days=365, microseconds=nth),
        )
        await execute(
            at, ACCOUNT, stream, commands.link_identity, identity_id=f"i{nth}", provider="mock", provider_uid=name
        )
        team = f"team-{name}"
        await execute(
            at,
            TEAM,
            team,
            team_commands.create_team,
            team_id=f"team{nth}",
            name=name,
            by=stream,
            membership_id=f"m{nth}",
        )
        await execute(
            at,
            RESOURCE,
            f"resource-{name}",
            resource_commands.protect,
            resource_type="note",
            resource_id=f"r{nth}",
            permissions=['read("any")'],
        )
    await execute(meta, ACCOUNT, f"account-{PEOPLE[0]}", commands.delete_account)
    await execute(meta, TEAM, f"team-{PEOPLE[1]}", team_commands.delete_team)
