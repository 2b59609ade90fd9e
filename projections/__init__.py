"""The read models, one file each. `ALL` is the list; a test holds it against the files."""

from typing import Final

from accounts_es.eventstore.projection import Projection
from projections import accounts, api_keys, identities, people, projects, resources, sessions, streams, teams, webhooks

ALL: Final[tuple[Projection, ...]] = (
    projects.projection,
    api_keys.projection,
    accounts.projection,
    sessions.projection,
    identities.projection,
    people.projection,
    teams.projection,
    resources.projection,
    streams.projection,
    webhooks.projection,
)
