"""Which methods of the official SDKs work here: what the installed packages have, against what our tests called."""

import json
import re
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from accounts_es.http.routes import Routes
from accounts_es.http.table import OPERATIONS

ROOT: Final = Path(__file__).parent.parent
NODE_MODULES: Final = ROOT / "tests" / "sdk" / "node_modules"
CALLS: Final = ROOT / "tests" / "sdk" / "calls"

ROUTES: Final = Routes(OPERATIONS)
SERVICES: Final = ("account", "users", "teams", "project", "webhooks", "activities")
SDKS: Final = ("web", "node", "python")

HEAD = """# Methods of the official SDKs

Written by `scripts/generated.py`. The methods are those of the installed packages:
{versions}.
A method *works* if a test called it against a running server and it succeeded; the test is named. The tests themselves
write down what they called (`tests/sdk/calls`). `-`: the SDK does not have the method.
"""


class Method(NamedTuple):
    """A method of an SDK and the request it makes."""

    name: str
    route: str


def snake(name: str) -> str:
    """A camel's name as the Python SDK spells it."""
    apart = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", apart).lower()


def _javascript(source: str, indent: str) -> Iterator[Method]:
    for found in re.finditer(rf"^{indent}(\w+)\([^\n]*\) \{{\n(.*?)^{indent}\}}$", source, re.MULTILINE | re.DOTALL):
        yield from _method(found[1], found[2], r"apiPath = [\"'](.+?)[\"']")


def _python(source: str) -> Iterator[Method]:
    for found in re.finditer(r"^    def (\w+)\((.*?)(?=^    def |\Z)", source, re.MULTILINE | re.DOTALL):
        yield from _method(found[1], found[2], r"api_path = '(.+?)'")


def _method(name: str, body: str, path: str) -> Iterator[Method]:
    asked = re.search(path, body)
    if asked is not None:
        verb = re.search(r"client\.call\(\s*[\"'](\w+)[\"']", body)
        # Without a call the browser itself is sent there.
        yield Method(name, _route(verb[1].upper() if verb is not None else "GET", asked[1]))


def _route(method: str, path: str) -> str:
    return f"{method} {re.sub(r'{.*?}', '{}', path)}"


def methods(sdk: str, service: str) -> list[Method]:
    """The methods that an installed SDK has for a service; none if it does not have the service."""
    match sdk:
        case "web":
            whole = (NODE_MODULES / "appwrite" / "dist" / "esm" / "sdk.js").read_text(encoding="utf-8")
            found = re.search(rf"^class {service.title()} \{{\n.*?^\}}$", whole, re.MULTILINE | re.DOTALL)
            return list(_javascript(found[0], "    ")) if found is not None else []
        case "node":
            file = NODE_MODULES / "node-appwrite" / "dist" / "services" / f"{service}.mjs"
            return list(_javascript(file.read_text(encoding="utf-8"), "  "))
        case _:
            file = Path(sysconfig.get_path("purelib")) / "appwrite" / "services" / f"{service}.py"
            return list(_python(file.read_text(encoding="utf-8")))


def called() -> Mapping[tuple[str, str], list[str]]:
    """The test modules that called a method of an SDK."""
    by_method: dict[tuple[str, str], list[str]] = {}
    for file in sorted(CALLS.glob("*.json")):
        written = json.loads(file.read_text(encoding="utf-8"))
        for sdk, names in written["calls"].items():
            for name in names:
                by_method.setdefault((sdk, name), []).append(Path(written["module"]).stem)
    return by_method


def _table(service: str, calls: Mapping[tuple[str, str], list[str]]) -> Iterator[str]:
    routes: dict[str, str] = {}
    has: dict[str, set[str]] = {}
    works: dict[str, int] = {}
    for sdk in SDKS:
        for method in methods(sdk, service):
            name = snake(method.name)
            has.setdefault(sdk, set()).add(method.name)
            works[sdk] = works.get(sdk, 0) + ((sdk, f"{service}.{method.name}") in calls)
            known = {snake(each): each for each in routes}
            if sdk != "python" or name not in known:
                routes[method.name] = method.route
    counts = ", ".join(f"{sdk} {works[sdk]} of {len(has[sdk])}" for sdk in SDKS if sdk in has)
    yield f"\n## {service}\n\nWorking: {counts}.\n\n| Method | Operation | {' | '.join(SDKS)} |\n"
    yield "|---|---|" + "---|" * len(SDKS) + "\n"
    for name, route in sorted(routes.items()):
        found = ROUTES.find(*route.split(" "))
        operation = f"`{found[0].id}`" if found is not None else "-"
        cells: list[str] = []
        for sdk in SDKS:
            spelled = snake(name) if sdk == "python" else name
            if spelled not in has.get(sdk, ()):
                cells.append("-")
            else:
                tests = calls.get((sdk, f"{service}.{spelled}"))
                cells.append(f"works: {', '.join(tests)}" if tests else "no")
        yield f"| `{name}` | {operation} | {' | '.join(cells)} |\n"


def _versions() -> Iterator[str]:
    for package in ("appwrite", "node-appwrite"):
        file = NODE_MODULES / package / "package.json"
        yield f"{package} {json.loads(file.read_text(encoding='utf-8'))['version']}"
    yield f"appwrite {version('appwrite')} for Python"


def document() -> str:
    """The whole page."""
    calls = called()
    return HEAD.format(versions=", ".join(_versions())) + "".join(
        line for service in SERVICES for line in _table(service, calls)
    )
