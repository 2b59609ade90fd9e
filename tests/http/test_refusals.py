"""Who was refused what, when and from where: recorded, and never without bound (ASVS V16.3.1, V16.3.2)."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from accounts_es.domain.security.events import AuditReadsCounted, RefusalsCounted
from accounts_es.security import EACH
from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client, Log, Server

UA = "Mozilla/5.0 (Story)"


def test_T49_a_sign_in_is_recorded_with_who_when_where_and_how(world: World, jane: Person, guest: Client) -> None:
    headers = {"x-forwarded-for": "203.0.113.9", "user-agent": UA, "x-request-id": "trace-7"}
    answer = guest.post("/account/sessions/email", json={"email": jane.email, "password": PASSWORD}, headers=headers)
    (recorded,) = world.log.recorded(answer)
    assert recorded.event.topic == "account.session_created"
    assert recorded.event.model_dump()["provider"] == "email"
    assert recorded.event.model_dump()["factors"] == ("password",)
    assert (recorded.meta.ip, recorded.meta.user_agent) == ("203.0.113.9", UA)
    assert recorded.meta.correlation_id == "trace-7"
    assert recorded.meta.operation == "account.createEmailPasswordSession"
    assert abs(recorded.meta.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert answer.json()["ip"] == "203.0.113.9"


def test_T49_a_refused_sign_in_is_recorded_with_whom_it_aimed_at(world: World, jane: Person, guest: Client) -> None:
    headers = {"x-forwarded-for": "203.0.113.9", "user-agent": UA}
    nobody = an_email()
    for email, known in ((jane.email, True), (nobody, False)):
        body = {"email": email, "password": "wrong password"}
        answer = guest.post("/account/sessions/email", json=body, headers=headers)
        assert answer.status_code == 401
        (refused,) = world.log.recorded(answer)
        assert refused.event.topic == "security.sign_in_refused"
        fields = refused.event.model_dump()
        assert (fields["method"], fields["reason"]) == ("email-password", "invalid_credentials")
        assert fields["identifier"] == email
        assert bool(fields["account"]) is known
        assert (refused.meta.ip, refused.meta.user_agent) == ("203.0.113.9", UA)
        assert refused.meta.actor.kind == "guest"
        assert refused.stream.startswith("security-default-")
    assert jane.ask("GET", "/account").json()["name"] == "Jane Roe"


def test_an_address_that_no_proxy_vouched_for_is_not_believed(world: World, jane: Person, guest: Client) -> None:
    for forwarded in ("nonsense", "", "999.1.1.1", "<script>"):
        body = {"email": jane.email, "password": "wrong password"}
        answer = guest.post("/account/sessions/email", json=body, headers={"x-forwarded-for": forwarded})
        (refused,) = world.log.recorded(answer)
        assert refused.meta.ip == "127.0.0.1"


def test_T50_reaching_for_somebody_elses_session_is_recorded(world: World, jane: Person) -> None:
    other = world.person()
    answer = jane.ask("DELETE", f"/account/sessions/{other.session_id}")
    assert (answer.status_code, answer.json()["type"]) == (404, "user_session_not_found")
    (denied,) = world.log.recorded(answer)
    assert denied.event.model_dump() == {"operation": "account.deleteSession", "reason": "user_session_not_found"}
    assert denied.meta.actor.kind == "account"
    assert other.ask("GET", "/account").status_code == 200


def test_T49_a_flood_is_counted_to_the_last_one_and_stays_small(database: str, tmp_path: Path) -> None:
    flood = EACH + 100
    with closing(Log(database)) as log:
        with Server(tmp_path / "data", database_url=database) as server:
            victim = server.client()
            victim.ask("POST", "/account", userId="victim", email="victim@example.org", password=PASSWORD)
            attacker = server.client()

            def attack(nth: int) -> int:
                body = {"email": "victim@example.org", "password": f"wrong password {nth}"}
                return attacker.ask("POST", "/account/sessions/email", **body).status_code

            with ThreadPoolExecutor(16) as together:
                assert set(together.map(attack, range(flood))) == {401}
            login = victim.ask("POST", "/account/sessions/email", email="victim@example.org", password=PASSWORD)
            assert login.status_code == 201, "the victim is not locked out"
        events = list(log.read("topic LIKE %s", "security.%"))

    one_by_one = [each for each in events if each.event.topic == "security.sign_in_refused"]
    counted = [each for each in events if each.event.topic == "security.refusals_counted"]
    assert len(one_by_one) == EACH
    assert [each.event.model_dump() for each in counted] == [{"kind": "sign_in_refused", "count": flood - EACH}]
    streams = {each.stream for each in events}
    assert len(streams) == 1, "none of it in the stream of the victim"


def test_T50_guests_who_knock_are_counted(database: str, tmp_path: Path) -> None:
    with closing(Log(database)) as log:
        with Server(tmp_path / "data", database_url=database) as server:
            guest = server.client()
            assert {guest.ask("GET", "/account").status_code for _ in range(25)} == {401}
        (counted,) = log.read("topic LIKE %s", "security.%")
    assert counted.event.model_dump() == {"kind": "access_denied", "count": 25}


def test_T51_nothing_that_can_be_set_switches_recording_off(database: str, tmp_path: Path) -> None:
    """With the least there can be, what is not recorded one by one is counted to the last, exports never."""
    with closing(Log(database)) as log:
        with Server(tmp_path / "data", database_url=database, ACCOUNTS_REFUSALS_RECORDED="1") as server:
            operator, guest = server.operator(), server.client()
            for _ in range(5):
                assert operator.ask("GET", "/activities/events").status_code == 200
                assert operator.ask("GET", "/audit/export").status_code == 200
                guest.ask("POST", "/account/sessions/email", email="nobody@example.org", password="wrong password")
        events = [each.event for each in log.read("topic LIKE %s", "security.%")]
    counts = Counter(type(each).__name__ for each in events)
    assert (counts["AuditRead"], counts["AuditExported"], counts["SignInRefused"]) == (1, 5, 1)
    (reads,) = [each for each in events if isinstance(each, AuditReadsCounted)]
    (refused,) = [each for each in events if isinstance(each, RefusalsCounted)]
    assert (reads.count, refused.kind, refused.count) == (4, "sign_in_refused", 4)


def test_T51_how_long_something_is_kept_is_itself_on_record(world: World) -> None:
    project = world.project("kept-for-30-days")
    world.policy("retention", project=project, origins=30)
    auditor = world.server.client(project=project, key=world.key("events.read", project=project))
    changed = auditor.ask("GET", "/activities/events", search="policy").json()["events"][0]
    assert (changed["event"], changed["data"]["policy"]) == ("policy.update", "retention")
    changes = auditor.ask("GET", f"/activities/events/{changed['$id']}").json()["changes"]
    assert {each["field"]: (each["old"], each["new"]) for each in changes} == {"policies/retention/origins": (0, 30)}
