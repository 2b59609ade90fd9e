"""Where links in mails may lead, and how they are put together (contract: cross-cutting, 6)."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from accounts_es.domain.errors import GeneralArgumentInvalid
from accounts_es.http.context import Context
from accounts_es.http.origins import is_trusted, origin_host

_WEB = frozenset({"http", "https", "browser-extension", "tauri"})


def ensure_allowed(ctx: Context, parameter: str, url: str) -> None:
    """Raises `GeneralArgumentInvalid` unless the URL's host is one whose pages may call the project.

    Apps are reached by schemes of their own: ``exp`` and ``appwrite-callback-<project>``.
    """
    scheme = urlsplit(url).scheme.lower()
    if scheme in {"exp", f"appwrite-callback-{ctx.project_id}".lower()}:
        return
    hosts = (*ctx.services.settings.own_hosts, *ctx.required_project.hostnames)
    if scheme in _WEB and is_trusted(url, hosts):
        return
    host = origin_host(url) or scheme
    raise GeneralArgumentInvalid(
        f"Invalid `{parameter}` param: Invalid URI. Register your new client ({host}) as a new Web platform on your "
        "project console dashboard"
    )


def link(url: str, **parameters: str) -> str:
    """The URL with these parameters in its query, over those of the same name; the fragment stays at the end."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True)) | parameters
    return urlunsplit(parts._replace(query=urlencode(query)))
