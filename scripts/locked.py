"""Say whether the lock files hold what pyproject.toml asks for, with hashes, without addresses. Needs no network."""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def asked(project: dict[str, Any], group: str) -> Iterable[str]:
    """The requirements of the project itself and of one group, included groups and all."""
    yield from project["project"]["dependencies"]
    waiting = [group]
    while waiting:
        for each in project["dependency-groups"][waiting.pop()]:
            if isinstance(each, str):
                yield each
            else:
                waiting.append(each["include-group"])


def troubles(name: str, wanted: Iterable[str]) -> Iterable[str]:
    """What is wrong with one lock file."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    pins: dict[str, set[str]] = {}
    for package, version in PIN.findall(text):
        pins.setdefault(canonicalize_name(package), set()).add(version)
    for line in wanted:
        requirement = Requirement(line)
        versions = pins.get(canonicalize_name(requirement.name), set())
        if not any(requirement.specifier.contains(version, prereleases=True) for version in versions):
            yield f"{name}: nothing locked for {line}"
    if "://" in text:
        yield f"{name}: holds an address"
    blocks = re.split(r"\n(?=\S)", text)
    yield from (
        f"{name}: {block.split()[0]} has no hash" for block in blocks if "==" in block and "--hash=" not in block
    )


def main() -> int:
    """Print every trouble."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = [*troubles("runtime.txt", asked(project, "build")), *troubles("dev.txt", asked(project, "dev"))]
    if '"resolved"' in (ROOT / "tests" / "sdk" / "package-lock.json").read_text(encoding="utf-8"):
        found.append("package-lock.json: holds an address")
    for each in found:
        print(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
