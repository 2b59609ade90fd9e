"""What client and server say to each other on a socket (contract: cross-cutting, 12)."""

import base64
import json
from urllib.parse import quote, unquote

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.running import Person, World
from tests.support.server import Client
from tests.support.sockets import Listener, listening


def session_of(person: Person) -> str:
    """What the SDK keeps when cookies do not arrive."""
    return unquote(person.client.cookies["a_session_default"])


def test_a_guest_is_connected_and_may_ask_for_anything(world: World) -> None:
    with Listener(world.server) as guest:
        connected = guest.said("connected")
        assert connected["channels"] == []
        assert connected["subscriptions"] == []
        assert connected["user"] is None
        assert isinstance(connected["position"], int)
        guest.say("ping")
        assert guest.receive() == {"type": "pong"}
        answer = guest.subscribe("account", "teams", "account.create")
        assert answer["subscriptions"] == [
            {"subscriptionId": "first", "channels": ["account", "account.create", "teams"], "queries": []}
        ]


@pytest.mark.parametrize("how", ["cookie", "header", "jwt", "message"])
def test_somebody_is_known_however_they_say_who_they_are(world: World, jane: Person, how: str) -> None:
    given: dict = {}
    match how:
        case "cookie":
            given = {"cookies": dict(jane.client.cookies.items())}
        case "header":
            given = {"session": session_of(jane)}
        case "jwt":
            given = {"query": f"&jwt={jane.ask('POST', '/account/jwts').json()['jwt']}"}
        case _:
            pass
    with Listener(world.server, **given) as listener:
        me = listener.said("connected")["user"]
        if how == "message":
            assert me is None
            listener.subscribe("account")
            listener.say("authentication", {"session": session_of(jane)})
            me = listener.answered("authentication")["user"]
        else:
            listener.subscribe("account")
        assert me == jane.ask("GET", "/account").json()
        jane.ask("PATCH", "/account/name", name="Janet")
        told = listener.event(f"users.{jane.account_id}.update.name")
        assert told["events"][0] == f"users.{jane.account_id}.update"
        assert {"account", f"account.{jane.account_id}", "account.update"} <= set(told["channels"])
        assert told["payload"] == jane.ask("GET", "/account").json()
        assert told["subscriptions"] == ["first"]


def test_channels_of_the_url_are_subscriptions_with_ids_of_ours(world: World, jane: Person) -> None:
    only = json.dumps({"method": "equal", "attribute": "name", "values": ["Crew"]})
    query = f"&channels[]=account&channels[]=teams&teams[1][]={quote(only)}"
    cookies = dict(jane.client.cookies.items())
    with Listener(world.server, cookies=cookies, query=query) as listener:
        connected = listener.said("connected")
        assert connected["channels"] == ["account", f"account.{jane.account_id}", "teams"]
        ours, filtered = connected["subscriptions"]
        jane.ask("PATCH", "/account/prefs", prefs={"a": 1})
        assert listener.said("event")["subscriptions"] == [ours]
        jane.ask("POST", "/teams", teamId="unique()", name="Others")
        jane.ask("POST", "/teams", teamId="unique()", name="Crew")
        told = listener.said("event")
        assert (told["payload"]["name"], told["subscriptions"]) == ("Crew", [filtered])


def test_queries_pick_what_is_told(world: World, jane: Person) -> None:
    with listening(world.server, jane) as listener:
        named = json.dumps({"method": "equal", "attribute": "name", "values": ["One", "Two"]})
        either = json.dumps(
            {"method": "or", "values": [json.loads(named), {"method": "isNull", "attribute": "nothing"}]}
        )
        everything = json.dumps({"method": "select", "values": ["*"]})
        assert listener.subscribe("account.update", queries=[named], name="named")["success"]
        assert listener.subscribe("account.update", queries=[either, everything], name="either")["success"]
        for name, heard in [("One", {"named", "either"}), ("Three", {"either"}), ("Two", {"named", "either"})]:
            jane.ask("PATCH", "/account/name", name=name)
            assert set(listener.event("users.*.update.name")["subscriptions"]) == heard
        wrong = json.dumps({"method": "search", "attribute": "name", "values": ["x"]})
        assert listener.subscribe("account", queries=[wrong])["code"] == 1003
        assert listener.subscribe("account", queries=["x"])["code"] == 1003


def test_a_subscription_is_changed_by_its_id_and_taken_back(world: World, jane: Person) -> None:
    with listening(world.server, jane, "account") as listener:
        listener.subscribe("teams")
        jane.ask("PATCH", "/account/name", name="Unheard")
        listener.nothing_yet()
        listener.say("subscribe", [{"channels": ["account"]}])
        (made,) = listener.answered("subscribe")["subscriptions"]
        assert made["subscriptionId"]
        listener.say("unsubscribe", [{"subscriptionId": made["subscriptionId"]}, {"subscriptionId": "other"}])
        assert [each["removed"] for each in listener.answered("unsubscribe")["subscriptions"]] == [True, False]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("no json", "Message format is not valid."),
        ('"text"', "Message format is not valid."),
        ('{"type":"unknown"}', "Message type is not valid."),
        ('{"data":{}}', "Message type is not valid."),
        ('{"type":"authentication","data":{"session":"bad"}}', "Session is not valid."),
        ('{"type":"authentication","data":{}}', "Payload is not valid."),
        ('{"type":"authentication","data":[]}', "Payload is not valid."),
        ('{"type":"subscribe"}', "Payload is not valid."),
        ('{"type":"subscribe","data":[{"subscriptionId":"$","channels":["a"]}]}', "Payload is not valid."),
        ('{"type":"subscribe","data":[{"subscriptionId":"a","channels":["a"],"after":-1}]}', "Payload is not valid."),
        ('{"type":"subscribe","data":[{"subscriptionId":"a","channels":[]}]}', None),
        ('{"type":"subscribe","data":[{"subscriptionId":"a","channels":[7]}]}', None),
        ('{"type":"unsubscribe","data":[{}]}', "Payload is not valid."),
    ],
)
def test_a_message_that_means_nothing_is_refused_and_the_socket_stays(world: World, message: str, said: str) -> None:
    with Listener(world.server) as listener:
        listener.said("connected")
        listener.connection.send(message)
        error = listener.said("error")
        assert error["code"] == 1003
        assert said is None or error["message"] == said
        listener.say("ping")
        assert listener.receive() == {"type": "pong"}


def test_too_many_messages_are_refused(world: World) -> None:
    with Listener(world.server) as listener:
        listener.said("connected")
        for _ in range(100):
            listener.say("ping")
        assert listener.said("error")["code"] == 1013


def test_a_message_that_is_too_long_ends_the_socket(world: World) -> None:
    with Listener(world.server) as listener:
        listener.said("connected")
        listener.connection.send("x" * 70_000)
        assert listener.ended()[0] == 1009


@pytest.mark.parametrize("project", ["", "unknown", "no/id"])
def test_without_a_project_it_ends(world: World, project: str) -> None:
    with Listener(world.server, project=project) as listener:
        assert listener.said("error") == {"code": 1008, "message": "Missing or unknown project ID"}
        assert listener.ended()[0] == 1008


@pytest.mark.parametrize(("origin", "passes"), [("http://localhost:3000", True), ("https://evil.example", False)])
def test_only_known_pages_may_connect(world: World, jane: Person, origin: str, passes: bool) -> None:
    cookies = dict(jane.client.cookies.items())
    with Listener(world.server, cookies=cookies, headers={"origin": origin}) as listener:
        if passes:
            assert listener.said("connected")["user"]["$id"] == jane.account_id
        else:
            assert listener.said("error")["code"] == 1008
            assert listener.ended()[0] == 1008


def test_a_bad_jwt_is_told_and_the_socket_ends(world: World, jane: Person) -> None:
    with Listener(world.server, query="&jwt=bad") as listener:
        assert listener.said("error")["code"] == 401
        assert listener.ended()[0] == 1008
    jwt = jane.ask("POST", "/account/jwts").json()["jwt"]
    with Listener(world.server, session=session_of(jane), query=f"&jwt={jwt}") as listener:
        assert listener.said("error")["code"] == 403


def test_a_bad_session_is_a_guest(world: World) -> None:
    unknown = base64.b64encode(json.dumps({"id": "nobody", "secret": "0" * 64}).encode()).decode()
    with Listener(world.server, session=unknown) as listener:
        assert listener.said("connected")["user"] is None


def test_a_jwt_is_heard_no_longer_than_it_is_good(world: World, jane: Person) -> None:
    jwt = jane.ask("POST", "/account/jwts", duration=2).json()["jwt"]
    with Listener(world.server, query=f"&jwt={jwt}") as listener:
        assert listener.said("connected")["user"]["$id"] == jane.account_id
        assert listener.ended()[0] == 1008


def test_other_paths_have_no_sockets(world: World, guest: Client) -> None:
    url = world.server.url.replace("http://", "ws://")
    for path in ("/account", "/realtime/x", ""):
        with pytest.raises(InvalidStatus) as refused, connect(f"{url}{path}?project=default", proxy=None):
            pass
        assert refused.value.response.status_code == 403
    assert guest.ask("GET", "/realtime").status_code == 404


def test_a_project_without_sockets(world: World) -> None:
    world.project("unsocketed")
    by_key = world.server.client(project="unsocketed", key=world.key("project.write", project="unsocketed"))
    assert by_key.ask("PATCH", "/project/protocols/websocket", enabled=False).is_success
    with Listener(world.server, project="unsocketed") as listener:
        assert listener.said("error")["code"] == 1008
        assert listener.ended()[0] == 1008


def test_who_does_not_read_is_hung_up_on_and_the_others_hear_everything(world: World, jane: Person) -> None:
    url = f"{world.server.url.replace('http://', 'ws://')}/realtime?project=default"
    cookies = "; ".join(f"{name}={value}" for name, value in jane.client.cookies.items())
    given = {"additional_headers": {"cookie": cookies}, "proxy": None, "close_timeout": 1}
    with listening(world.server, jane, "account.update") as reading, connect(url, max_queue=1, **given) as idle:
        idle.recv()
        idle.send(json.dumps({"type": "subscribe", "data": [{"subscriptionId": "a", "channels": ["account"]}]}))
        idle.recv()
        for nth in range(250):
            jane.ask("PATCH", "/account/prefs", prefs={"nth": nth, "much": "x" * 60_000})
            assert reading.event("users.*.update.prefs")["payload"]["nth"] == nth
        with pytest.raises(ConnectionClosed):
            assert len([idle.recv(5) for _ in range(250)]) == 0


def test_queries_of_a_socket_are_bounded_together(world: World) -> None:
    """A guest may ask for anything, but not for the server's memory."""
    long = json.dumps({"method": "equal", "attribute": "name", "values": ["x" * 3900]})
    with Listener(world.server) as guest:
        guest.said("connected")
        assert guest.subscribe("account", queries=[long] * 4)["success"]
        assert guest.subscribe("teams", queries=[long], name="more")["code"] == 1003
        assert guest.subscribe("account", queries=[long])["success"]
        assert guest.subscribe("teams", queries=[long], name="more")["success"]
