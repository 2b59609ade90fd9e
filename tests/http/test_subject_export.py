"""Somebody wants to know what is known of them (T59)."""

import json
from typing import get_args

import projections
from accounts_es.domain.account.events import AccountErased, AccountEvent
from accounts_es.domain.event import personal_fields
from accounts_es.eventstore.audit_record import is_hidden
from accounts_es.http.subject import DERIVED, SPEAK_OF
from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client

OTHERS = {
    "projects_v2": "projects",
    "platforms_v2": "projects",
    "api_keys_v2": "projects",
    "webhooks_v1": "projects",
    "teams_v1": "teams",
    "resources_v2": "resources: who may is said in roles that an application names",
    "resource_readers_v1": "the same",
}
"""Tables that do not speak of people, and of what they speak."""


def export(operator: Client, person: Person) -> dict:
    answer = operator.ask("GET", f"/users/{person.account_id}/export")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    return json.loads(answer.text)


def live(world: World, operator: Client, jane: Person) -> None:
    """A bit of everything."""
    path = f"/users/{jane.account_id}"
    assert jane.ask("PATCH", "/account/prefs", prefs={"theme": "dark"}).status_code == 200
    assert jane.ask("PATCH", "/account/name", name="Jane of old").status_code == 200
    assert jane.ask("PATCH", "/account/name", name="Jane of now").status_code == 200
    assert operator.ask("PUT", f"{path}/labels", labels=["vip"]).status_code == 200
    team = jane.ask("POST", "/teams", teamId="unique()", name="Janes").json()
    assert team["name"] == "Janes"
    wrong = {"email": jane.email, "password": "not it at all"}
    assert world.server.client().ask("POST", "/account/sessions/email", **wrong).status_code == 401


def test_T59_every_column_of_every_read_model_that_speaks_of_a_person_is_there(
    world: World, operator: Client, jane: Person
) -> None:
    tables = {table for each in projections.ALL for table in each.tables}
    assert set(SPEAK_OF) | set(OTHERS) >= tables, "a new table speaks of people, or of something else: say so"
    live(world, operator, jane)
    said = export(operator, jane)["readModels"]
    assert said["accounts_v2"][0]["name"] == "Jane of now"
    assert said["accounts_v2"][0]["prefs"] == {"theme": "dark"}
    assert said["accounts_v2"][0]["email"] == jane.email
    assert len(said["sessions_v2"]) >= 1
    assert len(said["memberships_v1"]) == 1
    for table, rows in said.items():
        columns = {
            name
            for (name,) in world.log.connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'read' AND table_name = %s",
                (table,),
            )
        }
        for row in rows:
            assert set(row) == {name for name in columns if not is_hidden(name)} - DERIVED, table
        held = world.log.connection.execute(
            f"SELECT count(*) FROM read.{table} WHERE {SPEAK_OF[table]} = %s", (said["people_v1"][0]["stream"],)
        ).fetchone()
        assert held == (len(rows),), table


def test_T59_the_history_is_there_with_its_values_and_the_sign_ins_refused(
    world: World, operator: Client, jane: Person
) -> None:
    live(world, operator, jane)
    said = export(operator, jane)
    assert (said["format"], said["userId"]) == ("accounts-es/subject/1", jane.account_id)
    names = [each["data"]["name"] for each in said["events"] if each["event"] == "NameChanged"]
    assert names == ["Jane of old", "Jane of now"]
    kinds = {each["event"] for each in said["events"]}
    assert {"SignedUp", "SessionCreated", "SignInRefused", "TeamCreated", "MemberAdded"} <= kinds
    (refused,) = [each for each in said["events"] if each["event"] == "SignInRefused"]
    assert refused["data"]["identifier"] == jane.email
    assert refused["ip"] == "127.0.0.1"
    positions = [each["position"] for each in said["events"]]
    assert positions == sorted(set(positions))


def test_T59_no_hash_and_no_secret_is_in_it(world: World, operator: Client, jane: Person) -> None:
    live(world, operator, jane)
    text = json.dumps(export(operator, jane))
    row = world.log.connection.execute(
        """SELECT password_hash, secret_hash FROM read.accounts_v2 JOIN read.sessions_v2 USING (stream)
           WHERE account_id = %s""",
        (jane.account_id,),
    ).fetchone()
    assert row is not None
    assert all(each and each not in text for each in row)
    assert PASSWORD not in text
    assert "$argon2" not in text


def test_T59_every_personal_field_of_an_account_is_shown_or_a_secret() -> None:
    hidden = {
        f"{event.__name__}.{name}"
        for event in get_args(AccountEvent)
        for name in personal_fields(event)
        if is_hidden(name)
    }
    assert hidden == {
        "SignedUp.password_hash",
        "PasswordChanged.password_hash",
        "PasswordRehashed.password_hash",
        "SessionCreated.provider_access_token",
        "SessionCreated.provider_refresh_token",
        "SessionTokensRenewed.access_token",
        "SessionTokensRenewed.refresh_token",
        "AuthenticatorAdded.secret",
        "RecoveryCodesGenerated.codes",
        "ChallengeCreated.code",
        "IdentityLinked.access_token",
        "IdentityLinked.refresh_token",
    }
    assert AccountErased in get_args(AccountEvent)


def test_T50_who_reads_it_is_on_record_and_another_s_history_shows_it(operator: Client, jane: Person) -> None:
    export(operator, jane)
    reads = [each for each in export(operator, jane)["events"] if each["event"] == "AuditRead"]
    assert [each["data"]["attributes"] for each in reads] == [["export"]]


def test_whoever_is_deleted_can_still_be_told_and_whoever_is_erased_cannot(operator: Client, jane: Person) -> None:
    assert operator.ask("DELETE", f"/users/{jane.account_id}").status_code == 204
    said = export(operator, jane)
    assert said["readModels"]["accounts_v2"] == []
    (signed_up,) = [each for each in said["events"] if each["event"] == "SignedUp"]
    assert signed_up["data"]["email"] == jane.email
    assert operator.ask("POST", f"/users/{jane.account_id}/erasure").status_code == 201
    assert operator.ask("GET", f"/users/{jane.account_id}/export").status_code == 404


def test_where_somebody_else_acted_from_is_not_told(world: World, operator: Client, jane: Person) -> None:
    joe = world.server.client(user_agent="Mozilla/5.0 (Joe)", x_forwarded_for="193.0.6.139")
    email = an_email()
    joe.ask("POST", "/account", userId="unique()", email=email, password=PASSWORD, name="Joe")
    joe.ask("POST", "/account/sessions/email", email=email, password=PASSWORD)
    team = joe.ask("POST", "/teams", teamId="unique()", name="Joes").json()["$id"]
    invited = joe.ask("POST", f"/teams/{team}/memberships", email=jane.email, roles=["x"], url="http://localhost/")
    assert invited.status_code == 201, invited.text
    said = export(operator, jane)
    (event,) = [each for each in said["events"] if each["event"] == "MemberInvited"]
    assert (event["ip"], event["user_agent"]) == ("[redacted]", "[redacted]")
    assert "193.0.6.139" not in json.dumps(said)
