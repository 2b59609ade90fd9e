"""An operator erases people, or keeps them from being erased."""

from contextlib import closing
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client, Log, Server
from tests.support.smtp import free_port
from tests.support.verifier import verifier


def test_an_erased_person_is_gone_and_the_certificate_can_be_checked(
    world: World, operator: Client, jane: Person
) -> None:
    subject = world.log.connection.execute(
        "SELECT stream FROM read.accounts_v2 WHERE account_id = %s", (jane.account_id,)
    ).fetchone()
    answer = operator.ask("POST", f"/users/{jane.account_id}/erasure")
    assert answer.status_code == 201, answer.text
    erased = answer.json()
    assert subject == (erased["subject"],)
    assert datetime.fromisoformat(erased["erasedAt"]).tzinfo is not None
    key = verifier.read_key(operator.ask("GET", "/audit/key").json()["verifier"])
    assert "account" in verifier.check_certificate(erased["certificate"], key)
    file = world.server.data / "erasures" / f"{erased['subject']}.txt"
    assert file.read_text() == erased["certificate"]

    assert jane.ask("GET", "/account").status_code == 401
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/erasure"), ("GET", "/hold"), ("GET", "/logs")):
        gone = operator.ask(method, f"/users/{jane.account_id}{path}")
        assert (gone.status_code, gone.json()["type"]) == (404, "user_not_found"), path
    again = operator.ask("POST", "/users", userId=jane.account_id, email=jane.email, password=PASSWORD)
    assert again.status_code == 201, "the id and the address are free"


def test_whoever_was_deleted_can_be_erased_by_their_id(operator: Client) -> None:
    user = operator.ask("POST", "/users", userId="unique()", email=an_email(), name="Ann").json()
    assert operator.ask("DELETE", f"/users/{user['$id']}").status_code == 204
    hold = operator.ask("GET", f"/users/{user['$id']}/hold").json()
    assert (hold["held"], hold["deletedAt"] is not None) == (False, True)
    assert operator.ask("POST", f"/users/{user['$id']}/erasure").status_code == 201
    assert operator.ask("GET", f"/users/{user['$id']}/hold").status_code == 404


def test_a_legal_hold_is_seen_and_in_the_way_until_it_is_lifted(operator: Client, jane: Person) -> None:
    path = f"/users/{jane.account_id}"
    held = operator.ask("PUT", f"{path}/hold", reason="4 O 17/26").json()
    assert held == operator.ask("GET", f"{path}/hold").json()
    assert held["held"] is True
    refused = operator.ask("POST", f"{path}/erasure")
    assert (refused.status_code, refused.json()["type"]) == (409, "user_under_legal_hold")
    assert operator.ask("DELETE", path).status_code == 204, "deletion is Appwrite's, and destroys nothing"
    refused = operator.ask("POST", f"{path}/erasure")
    assert (refused.status_code, refused.json()["type"]) == (409, "user_under_legal_hold")
    assert operator.ask("DELETE", f"{path}/hold").status_code == 204
    assert operator.ask("POST", f"{path}/erasure").status_code == 201


def test_an_answer_kept_for_an_idempotent_request_is_not_kept_for_an_erased_person(operator: Client) -> None:
    headers = {"idempotency-key": token_hex(8)}
    made = {"userId": "unique()", "email": an_email()}
    first = operator.request("POST", "/users", json=made, headers=headers)
    assert operator.request("POST", "/users", json=made, headers=headers).json() == first.json()
    assert operator.ask("POST", f"/users/{first.json()['$id']}/erasure").status_code == 201
    then = operator.request("POST", "/users", json=made, headers=headers)
    assert (then.status_code, then.json()["type"]) == (409, "general_idempotency_key_reused")


def test_an_answer_about_a_membership_is_not_kept_for_an_erased_person(
    world: World, operator: Client, jane: Person
) -> None:
    team = operator.ask("POST", "/teams", teamId="unique()", name="Theirs").json()["$id"]
    headers, made = {"idempotency-key": token_hex(8)}, {"email": jane.email, "roles": ["x"]}
    path = f"/teams/{team}/memberships"
    first = operator.request("POST", path, json=made, headers=headers)
    assert first.json()["userEmail"] == jane.email
    assert operator.request("POST", path, json=made, headers=headers).json() == first.json()
    assert operator.ask("POST", f"/users/{jane.account_id}/erasure").status_code == 201
    then = operator.request("POST", path, json=made, headers=headers)
    assert (then.status_code, then.json()["type"]) == (409, "general_idempotency_key_reused")


def test_an_invitation_that_waits_goes_with_whom_it_invites(database: str, tmp_path: Path) -> None:
    away = {"ACCOUNTS_SMTP_HOST": "127.0.0.1", "ACCOUNTS_SMTP_PORT": str(free_port())}
    with closing(Log(database)) as log, Server(tmp_path / "data", database_url=database, **away) as server:
        owner, operator, email = server.client(), server.operator(), an_email()
        owner.ask("POST", "/account", userId="unique()", email=email, password=PASSWORD)
        owner.ask("POST", "/account/sessions/email", email=email, password=PASSWORD)
        team = owner.ask("POST", "/teams", teamId="unique()", name="Theirs").json()["$id"]
        known = operator.ask("POST", "/users", userId="unique()", email=an_email()).json()["email"]
        for invited in (known, an_email()):
            fields = {"email": invited, "roles": ["x"], "url": "http://localhost/"}
            made = owner.ask("POST", f"/teams/{team}/memberships", **fields)
            assert made.status_code == 201, made.text
            waiting = "SELECT count(*) FROM log.outbox"
            assert log.connection.execute(waiting).fetchall() == [(1,)]
            assert operator.ask("POST", f"/users/{made.json()['userId']}/erasure").status_code == 201
            assert log.connection.execute(waiting).fetchall() == [(0,)]
