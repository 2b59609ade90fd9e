"""Nothing is in a read model that no event explains."""

from contextlib import closing
from pathlib import Path

from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.rebuild import verify
from accounts_es.http.table import OPERATIONS
from projections import ALL
from tests.http.calls import ready
from tests.support.running import World
from tests.support.server import MASTER, Log, Server


def test_T39_once_everything_was_done_every_row_of_every_read_model_is_explained(database: str, tmp_path: Path) -> None:
    """Each operation that changes something, on a server of its own: what it left is what its events say."""
    with (
        closing(Log(database)) as log,
        Server(tmp_path / "data", database_url=database, ACCOUNTS_MOCK_PROVIDERS="on") as server,
    ):
        world = World(server, log, database)
        world.provider("mock", client_id="1", settings={"client_secret": "123456"})
        for operation in OPERATIONS:
            if operation.emits:
                answer = ready(world, operation).send()
                assert answer.status_code == operation.status, operation.id
        done, difference = verify(database, MasterKey(MASTER), ALL)
    assert difference is None
    assert done.events > len(OPERATIONS)
