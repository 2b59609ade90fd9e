"""What the API answers about protected resources and decisions (OpenID AuthZEN Authorization API 1.0, 6 and 7)."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from accounts_es.http.models.dates import date
from projections.resources import ResourceRow

Resource = TypedDict(
    "Resource",
    {
        "$createdAt": str,
        "$updatedAt": str,
        "$permissions": list[str],
        "resourceType": str,
        "resourceId": str,
    },
)


class ResourceList(TypedDict):
    """A page of resources."""

    total: int
    resources: list[Resource]


class Decision(TypedDict):
    """Whether it is allowed, and why."""

    decision: bool
    context: dict[str, Any]


class Decisions(TypedDict):
    """One decision for each question, in their order; or a single one where only one thing was asked."""

    evaluations: NotRequired[list[Decision]]
    decision: NotRequired[bool]
    context: NotRequired[dict[str, Any]]


def resource(row: ResourceRow) -> Resource:
    """A resource."""
    return {
        "$createdAt": date(row.created_at),
        "$updatedAt": date(row.updated_at),
        "$permissions": row.permissions,
        "resourceType": row.resource_type,
        "resourceId": row.resource_id,
    }
