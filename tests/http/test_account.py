"""What people do with their own account, from signing up to leaving."""

from datetime import UTC, datetime, timedelta

from accounts_es.domain.values import MAX_SESSIONS
from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client


def test_a_person_signs_up_signs_in_changes_preferences_and_signs_out(guest: Client) -> None:
    email = an_email()
    account = guest.ask("POST", "/account", userId="unique()", email=email, password=PASSWORD, name="Jane").json()
    assert account["email"] == email
    assert account["name"] == "Jane"
    assert account["prefs"] == {}
    assert account["labels"] == []
    assert account["emailVerification"] is False
    assert account["registration"] == account["$createdAt"] == account["passwordUpdate"] == account["accessedAt"]
    assert [(each["providerType"], each["identifier"]) for each in account["targets"]] == [("email", email)]
    assert guest.ask("GET", "/account").status_code == 401, "signing up is not signing in"

    session = guest.ask("POST", "/account/sessions/email", email=email, password=PASSWORD).json()
    assert session["userId"] == account["$id"]
    assert (session["provider"], session["providerUid"], session["factors"]) == ("email", email, ["password"])
    assert session["current"] is True
    assert session["secret"] == "", "the secret travels in cookies, out of reach of the page"
    assert guest.ask("GET", "/account").json() == account

    prefs = {"darkTheme": True, "language": "en", "nested": {"list": [1, 2.5, None, "ü/🜚"]}}
    assert guest.ask("PATCH", "/account/prefs", prefs=prefs).json()["prefs"] == prefs
    assert guest.ask("GET", "/account/prefs").json() == prefs
    assert guest.ask("PATCH", "/account/prefs", prefs={"language": "de"}).json()["prefs"] == {"language": "de"}
    assert guest.ask("PATCH", "/account/prefs", prefs={}).json()["prefs"] == {}
    assert guest.get("/account/prefs").text == "{}"

    assert guest.ask("PATCH", "/account/name", name="Jane Roe").json()["name"] == "Jane Roe"

    assert guest.ask("DELETE", "/account/sessions/current").status_code == 204
    assert guest.ask("GET", "/account").status_code == 401


def test_an_address_belongs_to_one_account_however_it_is_written(jane: Person, guest: Client) -> None:
    for email in (jane.email, jane.email.upper(), f"  {jane.email} "):
        answer = guest.ask("POST", "/account", userId="unique()", email=email, password=PASSWORD)
        assert answer.status_code == 409
        assert answer.json()["type"] == "user_already_exists"


def test_an_id_belongs_to_one_account(jane: Person, guest: Client) -> None:
    answer = guest.ask("POST", "/account", userId=jane.account_id, email=an_email(), password=PASSWORD)
    assert answer.json()["type"] == "user_already_exists"


def test_signing_in_does_not_mind_capitals_of_the_address(jane: Person, guest: Client) -> None:
    answer = guest.ask("POST", "/account/sessions/email", email=jane.email.upper(), password=PASSWORD)
    assert answer.status_code == 201


def test_ids_made_by_the_server_are_like_those_of_the_sdk(guest: Client) -> None:
    account = guest.ask("POST", "/account", userId="unique()", email=an_email(), password=PASSWORD).json()
    assert len(account["$id"]) == 20
    assert set(account["$id"]) <= set("0123456789abcdef")
    moment = datetime.fromtimestamp(int(account["$id"][:13], 16) / 1_000_000, UTC)
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)


def test_who_leaves_frees_address_and_id_and_every_session_ends(world: World, jane: Person) -> None:
    elsewhere = world.server.client()
    elsewhere.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD)

    assert jane.ask("DELETE", "/account").status_code == 204

    assert jane.ask("GET", "/account").status_code == 401
    assert elsewhere.ask("GET", "/account").status_code == 401
    again = world.server.client()
    answer = again.ask("POST", "/account", userId=jane.account_id, email=jane.email, password=PASSWORD)
    assert answer.status_code == 201
    assert jane.ask("GET", "/account").status_code == 401, "the old session does not open the new account"
    assert again.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD).status_code == 201


def test_an_anonymous_account_is_nothing_but_its_session(guest: Client) -> None:
    session = guest.ask("POST", "/account/sessions/anonymous").json()
    account = guest.ask("GET", "/account").json()
    assert account["$id"] == session["userId"]
    assert (account["email"], account["name"], account["passwordUpdate"]) == ("", "", "")
    assert account["targets"] == []
    assert account["emailCanonical"] is None
    assert (session["provider"], session["factors"]) == ("anonymous", ["anonymous"])
    again = guest.ask("POST", "/account/sessions/anonymous")
    assert again.json()["type"] == "user_session_already_exists"


# Sessions -------------------------------------------------------------------------------------------------------------


def test_T20_a_person_sees_and_ends_their_sessions(world: World, jane: Person) -> None:
    phone = world.server.client()
    other = phone.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD).json()

    listed = jane.ask("GET", "/account/sessions").json()
    assert listed["total"] == 2
    assert [each["$id"] for each in listed["sessions"]] == [jane.session_id, other["$id"]]
    assert [each["current"] for each in listed["sessions"]] == [True, False]
    assert [each["secret"] for each in listed["sessions"]] == ["", ""]
    assert jane.ask("GET", "/account/sessions/current").json()["$id"] == jane.session_id
    assert jane.ask("GET", f"/account/sessions/{other['$id']}").json()["current"] is False

    assert jane.ask("DELETE", f"/account/sessions/{other['$id']}").status_code == 204
    assert phone.ask("GET", "/account").status_code == 401
    assert jane.ask("GET", "/account").status_code == 200
    again = jane.ask("DELETE", f"/account/sessions/{other['$id']}")
    assert (again.status_code, again.json()["type"]) == (404, "user_session_not_found")

    phone.cookies.clear()
    phone.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD)
    assert phone.ask("DELETE", "/account/sessions").status_code == 204
    assert jane.ask("GET", "/account").status_code == 401


def test_a_session_lasts_a_year_to_the_second(jane: Person) -> None:
    session = jane.ask("GET", "/account/sessions/current").json()
    begun, ends = (datetime.fromisoformat(session[name]) for name in ("$createdAt", "expire"))
    assert abs(ends - begun - timedelta(days=365)) < timedelta(seconds=1)


def test_one_session_more_than_allowed_ends_the_oldest(world: World, jane: Person) -> None:
    devices = [world.server.client() for _ in range(MAX_SESSIONS)]
    answers = [device.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD) for device in devices]
    assert [answer.status_code for answer in answers] == [201] * MAX_SESSIONS

    assert jane.ask("GET", "/account").status_code == 401, "the oldest is gone"
    assert [device.ask("GET", "/account").status_code for device in devices] == [200] * MAX_SESSIONS
    assert [event.topic for event in world.log.of(answers[-1])] == [
        "account.session_created",
        "account.session_deleted",
    ]
    listed = devices[0].ask("GET", "/account/sessions").json()
    assert [each["$id"] for each in listed["sessions"]] == [answer.json()["$id"] for answer in answers]


def test_T18_every_sign_in_has_a_new_secret_of_which_only_a_fingerprint_is_kept(world: World, jane: Person) -> None:
    key = world.server.credentials["key"]
    secrets = set()
    for _ in range(3):
        server_side = world.server.client(key=key)
        session = server_side.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD).json()
        secrets.add(session["secret"])
        stored = world.log.connection.execute(
            "SELECT to_jsonb(s)::text FROM read.sessions_v2 AS s WHERE session_id = %s", (session["$id"],)
        ).fetchone()
        assert stored is not None
        assert session["secret"] not in stored[0]
    assert len(secrets) == 3
    assert all(len(secret) > 256 for secret in secrets)


def test_T26_a_person_cannot_write_what_is_not_theirs_to_write(jane: Person) -> None:
    before = jane.ask("GET", "/account").json()
    wishes = {
        "labels": ["admin"],
        "emailVerification": True,
        "status": False,
        "$id": "other",
        "email": "other@example.org",
        "password": "other password",
        "hash": "x",
        "registration": "2001-01-01T00:00:00.000+00:00",
    }
    jane.ask("PATCH", "/account/name", name="Other", **wishes)
    jane.ask("PATCH", "/account/prefs", prefs=wishes, **wishes)
    after = jane.ask("GET", "/account").json()
    assert after == before | {"name": "Other", "prefs": wishes, "$updatedAt": after["$updatedAt"]}


def test_what_does_not_change_is_not_recorded(world: World, jane: Person) -> None:
    first = jane.ask("PATCH", "/account/prefs", prefs={"a": 1})
    again = jane.ask("PATCH", "/account/prefs", prefs={"a": 1})
    assert [event.topic for event in world.log.of(first)] == ["account.prefs_updated"]
    assert world.log.of(again) == []
    assert again.json() == first.json()
    otherwise = jane.ask("PATCH", "/account/prefs", prefs={"a": 1.0})
    assert len(world.log.of(otherwise)) == 1, "1 and 1.0 are not the same"


def test_whoever_was_here_a_day_ago_is_seen_again(world: World, jane: Person) -> None:
    assert world.log.of(jane.ask("GET", "/account")) == []
    with world.log.connection.transaction():
        world.log.connection.execute(
            "UPDATE read.accounts_v2 SET accessed_at = now() - interval '25 hours' WHERE account_id = %s",
            (jane.account_id,),
        )
    # The read model says so, the events say otherwise: nothing is recorded, and nothing fails.
    answer = jane.ask("GET", "/account")
    assert answer.status_code == 200
    assert world.log.of(answer) == []
