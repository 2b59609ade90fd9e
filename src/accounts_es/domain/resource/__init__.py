"""Something of an application's own that this server decides about."""

from accounts_es.domain.resource.aggregate import RESOURCE, Resource

__all__ = ["RESOURCE", "Resource"]
