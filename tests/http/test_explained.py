"""Nothing is in a read model that no event explains."""

from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.rebuild import verify
from projections import ALL
from tests.support.running import PASSWORD, Person, World
from tests.support.server import MASTER


def test_T39_every_row_of_every_read_model_is_explained_by_events(world: World, jane: Person) -> None:
    """Whatever other tests did to this server before is in it as well."""
    team = jane.ask("POST", "/teams", teamId="unique()", name="The Crew").json()["$id"]
    world.server.operator().ask("PUT", f"/users/{jane.account_id}/labels", labels=["vip"])
    jane.ask("POST", "/account/targets/push", targetId="unique()", identifier="device")
    other = world.person()
    world.server.operator().ask("POST", f"/teams/{team}/memberships", userId=other.account_id, roles=["player"])
    other.ask("POST", "/account/sessions/email", email=other.email, password=PASSWORD)
    world.server.operator().ask("DELETE", f"/users/{jane.account_id}")
    done, difference = verify(world.conninfo, MasterKey(MASTER), ALL)
    assert difference is None
    assert done.events > 10
