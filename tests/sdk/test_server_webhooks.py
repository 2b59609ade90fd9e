"""Every method of Webhooks in the official server SDKs."""

from tests.support.backends import Backend
from tests.support.calls import Calls
from tests.support.running import World
from tests.support.script import refused

TOLD = ["users.*.create", "teams.*.memberships.*.update.status"]


def test_webhooks(keyed: Backend) -> None:
    url = "https://localhost:1/hook"
    made = keyed.call("Webhooks", "create", webhookId="unique()", url=url, name="The CRM", events=TOLD)
    assert (made["url"], made["events"], made["enabled"], made["attempts"]) == (url, TOLD, True, 0)
    assert made["secret"]
    webhook = {"webhookId": made["$id"]}
    assert keyed.call("Webhooks", "get", **webhook)["secret"] == ""
    assert made["$id"] in [each["$id"] for each in keyed.call("Webhooks", "list")["webhooks"]]
    changed = keyed.call(
        "Webhooks",
        "update",
        **webhook,
        name="The other CRM",
        url=url,
        events=["users.*"],
        enabled=False,
        tls=True,
        authUsername="them",
        authPassword="their password",
    )
    assert (changed["name"], changed["events"], changed["enabled"]) == ("The other CRM", ["users.*"], False)
    rotated = keyed.call("Webhooks", "updateSecret", **webhook, secret="a secret of ours")
    assert rotated["secret"] == "a secret of ours"
    assert keyed.call("Webhooks", "updateSecret", **webhook)["secret"] not in {"", made["secret"], "a secret of ours"}
    keyed.call("Webhooks", "delete", **webhook)
    with refused("webhook_not_found"):
        keyed.call("Webhooks", "get", **webhook)


def test_what_was_called_is_written_down(calls: Calls, world: World) -> None:
    assert world
    calls.held()
