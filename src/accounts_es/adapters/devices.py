"""What a user agent says about the system, the program and the device it came from.

Names and versions are found by ua-parser. The short codes are those of Matomo's device detector, which the contract
shows (cross-cutting, 14); what has no code there has none here. Nothing found is an empty text.
"""

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ua_parser import OS, PartialResult, Resolver, UserAgent

LONGEST: Final = 1024
"""Characters looked at; no honest user agent is longer."""
_KNOWN: Final = 1024
_NAME: Final = 64


class Device(NamedTuple):
    """One user agent, understood."""

    os_code: str = ""
    os_name: str = ""
    os_version: str = ""
    client_type: str = ""
    client_code: str = ""
    client_name: str = ""
    client_version: str = ""
    client_engine: str = ""
    client_engine_version: str = ""
    device_name: str = ""
    device_brand: str = ""
    device_model: str = ""


class _Client(NamedTuple):
    kind: str = ""
    code: str = ""
    name: str = ""
    version: str = ""


class _System(NamedTuple):
    code: str = ""
    name: str = ""
    version: str = ""


# What ua-parser calls a system or a browser: its code, and its name where that is another -----------------------------

_SYSTEMS: Final[dict[str, tuple[str, str]]] = {
    "Android": ("AND", ""),
    "Arch Linux": ("ARL", ""),
    "ATV OS X": ("ATV", "tvOS"),
    "BlackBerry OS": ("BLB", ""),
    "CentOS": ("CES", ""),
    "Chrome OS": ("COS", ""),
    "Debian": ("DEB", ""),
    "Fedora": ("FED", ""),
    "Firefox OS": ("FOS", ""),
    "FreeBSD": ("BSD", ""),
    "Gentoo": ("GNT", ""),
    "HarmonyOS": ("HAR", ""),
    "iOS": ("IOS", ""),
    "KaiOS": ("KOS", ""),
    "Kubuntu": ("KBT", ""),
    "Linux": ("LIN", "GNU/Linux"),
    "Linux Mint": ("MIN", "Mint"),
    "Mac OS X": ("MAC", "Mac"),
    "NetBSD": ("NBS", ""),
    "OpenBSD": ("OBS", ""),
    "Red Hat": ("RHT", ""),
    "Solaris": ("SOS", ""),
    "SUSE": ("SSE", ""),
    "Tizen": ("TIZ", ""),
    "tvOS": ("ATV", ""),
    "Ubuntu": ("UBT", ""),
    "WatchOS": ("WAS", "watchOS"),
    "Web0S": ("WOS", "webOS"),
    "webOS": ("WOS", ""),
    "Windows": ("WIN", ""),
    "Windows Phone": ("WPH", ""),
}
_DESKTOPS: Final = frozenset(
    {"WIN", "MAC", "LIN", "COS", "BSD", "NBS", "OBS", "SOS"}
    | {"ARL", "CES", "DEB", "FED", "GNT", "KBT", "MIN", "RHT", "SSE", "UBT"}
)

_BROWSERS: Final[dict[str, tuple[str, str]]] = {
    "Amazon Silk": ("MS", "Mobile Silk"),
    "Android": ("AN", "Android Browser"),
    "Brave": ("BR", ""),
    "Chrome": ("CH", ""),
    "Chrome Mobile": ("CM", ""),
    "Chrome Mobile iOS": ("CI", ""),
    "Chrome Mobile WebView": ("CV", "Chrome Webview"),
    "Chromium": ("CR", ""),
    "Coc Coc": ("CC", ""),
    "DuckDuckGo": ("DD", "DuckDuckGo Privacy Browser"),
    "DuckDuckGo Mobile": ("DD", "DuckDuckGo Privacy Browser"),
    "Edge": ("PS", "Microsoft Edge"),
    "Edge Mobile": ("PS", "Microsoft Edge"),
    "Epiphany": ("EP", "GNOME Web"),
    "Firefox": ("FF", ""),
    "Firefox Focus": ("FK", ""),
    "Firefox iOS": ("F1", "Firefox Mobile iOS"),
    "Firefox Mobile": ("FM", ""),
    "HeadlessChrome": ("HC", "Headless Chrome"),
    "Huawei Browser": ("HU", ""),
    "IE": ("IE", "Internet Explorer"),
    "IE Mobile": ("IM", ""),
    "Konqueror": ("KO", ""),
    "MiuiBrowser": ("MU", "MIUI Browser"),
    "Mobile Safari": ("MF", ""),
    "Mobile Safari UI/WKWebView": ("MF", "Mobile Safari"),
    "Opera": ("OP", ""),
    "Opera Mini": ("OI", ""),
    "Opera Mobile": ("OM", ""),
    "Pale Moon": ("PM", ""),
    "QQ Browser": ("QQ", ""),
    "QQ Browser Mobile": ("QQ", "QQ Browser"),
    "Safari": ("SF", ""),
    "Samsung Internet": ("SB", "Samsung Browser"),
    "UC Browser": ("UC", ""),
    "Vivaldi": ("VI", ""),
    "Waterfox": ("WF", ""),
    "Whale": ("WH", "Whale Browser"),
    "Yandex Browser": ("YA", ""),
}

# Programs that call themselves what they are, in lower case, and how they are shown -----------------------------------

_LIBRARIES: Final[dict[str, str]] = {
    "aiohttp": "aiohttp",
    "apache-httpclient": "Apache HTTP Client",
    "axios": "Axios",
    "bun": "Bun",
    "curl": "curl",
    "dart": "Dart",
    "deno": "Deno",
    "go-http-client": "Go-http-client",
    "guzzlehttp": "Guzzle",
    "java": "Java HTTP Client",
    "java-http-client": "Java HTTP Client",
    "node": "Node Fetch",
    "node-fetch": "Node Fetch",
    "okhttp": "OkHttp",
    "postmanruntime": "Postman Runtime",
    "python-httpx": "HTTPX",
    "python-requests": "Python Requests",
    "python-urllib": "Python urllib",
    "ruby": "Ruby",
    "undici": "undici",
    "wget": "Wget",
}
_LIBRARY: Final = re.compile(rf"(?:^|\s)({'|'.join(_LIBRARIES)})(?:/v?(\d[\w.]*)|$)", re.IGNORECASE | re.ASCII)
_SDK: Final = re.compile(r"^(Appwrite\w{1,32}SDK)(?:/(\d[\w.]*))?", re.ASCII)
_CLI: Final = re.compile(r"^AppwriteCLI(?:/(\d[\w.]*))?", re.ASCII)
_APP: Final = re.compile(r"^([A-Za-z]\w*(?:\.\w+){1,8})/(\d[\w.]*)", re.ASCII)
_BOT: Final = re.compile(r"bot|crawl|spider|slurp", re.IGNORECASE)
_ENGINES: Final = (
    ("Trident", re.compile(r"Trident/([\d.]+)")),
    ("Presto", re.compile(r"Presto/([\d.]+)")),
    ("Edge", re.compile(r"\bEdge/([\d.]+)")),
    ("Blink", re.compile(r"(?:Headless)?Chrome/([\d.]+)")),
    ("WebKit", re.compile(r"AppleWebKit/([\d.]+)")),
    ("Gecko", re.compile(r"\brv:([\d.]+)[^)]*\) Gecko/")),
)
_KINDS: Final = (
    ("console", re.compile(r"PlayStation|Xbox|Nintendo")),
    ("tv", re.compile(r"SmartTV|SMART-TV|Smart-TV|\bTV\b|AppleTV|CrKey|\bAFT[A-Z]|BRAVIA|Roku|HbbTV")),
    ("wearable", re.compile(r"watchOS|Watch\d|Wear OS")),
    ("smartphone", re.compile(r"iPhone|iPod|Windows Phone|Android.*\bMobile\b|\bMobile\b.*(?:rv:|Harmony)|\bPhone;")),
    ("tablet", re.compile(r"iPad|Tablet|Android.*AppleWebKit|Silk/")),
)


@cache
def _resolver(*, models: bool) -> "Resolver":
    """The library with its automata, loaded when first asked for: 12 MB for programs and systems, 15 for models."""
    from ua_parser.loaders import load_lazy_builtins  # noqa: PLC0415 - as above
    from ua_parser.regex import Resolver  # noqa: PLC0415 - as above

    programs, systems, devices = load_lazy_builtins()
    return Resolver(([], [], devices) if models else (programs, systems, []))


@lru_cache(maxsize=_KNOWN)
def parse(user_agent: str) -> Device:
    """Understand a user agent; of a long one, its beginning."""
    text = user_agent[:LONGEST].encode(errors="replace").decode()
    if not text.strip():
        return Device()
    found = _looked_up(text, models=False)
    system = _system(text, found.os)
    client = _client(text, found.user_agent)
    engine = _engine(text, system) if client.kind == "browser" else ("", "")
    return Device(*system, *client, *engine, *_device(text, system, client))


def _looked_up(text: str, *, models: bool) -> "PartialResult":
    from ua_parser import Domain  # noqa: PLC0415 - see `_resolver`

    return _resolver(models=models)(text, Domain.ALL)


def _version(*parts: str | None) -> str:
    said = [part for part in parts if part]
    return ".".join(said)[:_NAME]


def _system(text: str, found: "OS | None") -> _System:
    if "HarmonyOS" in text or "OpenHarmony" in text:
        # What such a device says of Android is for compatibility.
        match = re.search(r"Harmony(?:OS)?[ /]([\d.]+)", text)
        return _System("HAR", "HarmonyOS", match[1][:_NAME] if match else "")
    if found is None:
        return _System()
    code, name = _SYSTEMS.get(found.family, ("", ""))
    if code == "IOS" and "iPad" in text:
        code, name = "IPA", "iPadOS"
    # In two parts, as that of a program; the others in all (contract: cross-cutting, 14).
    patch = found.patch if code != "MAC" else None
    return _System(code, name or found.family[:_NAME], _version(found.major, found.minor, patch))


def _client(text: str, found: "UserAgent | None") -> _Client:
    if match := _CLI.match(text):
        return _Client("desktop", "cli", "Appwrite CLI", match[1] or "")
    if match := _SDK.match(text):
        return _Client("library", "", match[1], match[2] or "")
    if match := _APP.match(text):
        return _Client("mobile app", "", match[1][:_NAME], match[2][:_NAME])
    if not text.startswith("Mozilla/") and (match := _LIBRARY.search(text)):
        return _Client("library", "", _LIBRARIES[match[1].lower()], _two(match[2] or ""))
    if found is None:
        return _Client()
    version = _version(found.major, found.minor)
    if found.family in _BROWSERS:
        code, name = _BROWSERS[found.family]
        return _Client("browser", code, name or found.family, version)
    kind = "bot" if _BOT.search(found.family) else "browser" if text.startswith("Mozilla/") else ""
    return _Client(kind, "", found.family[:_NAME], version)


def _two(version: str) -> str:
    return ".".join(version.split(".")[:2])[:_NAME]


def _engine(text: str, system: _System) -> tuple[str, str]:
    for name, pattern in _ENGINES:
        # On Apple's mobile systems every browser is WebKit, whatever it calls itself.
        if (match := pattern.search(text)) and not (name == "Blink" and system.code in {"IOS", "IPA"}):
            return name, match[1][:_NAME]
    return "", ""


def _device(text: str, system: _System, client: _Client) -> tuple[str, str, str]:
    if client.kind == "bot":
        return "", "", ""
    name = next((kind for kind, pattern in _KINDS if pattern.search(text)), "")
    if system.code in {"IOS", "IPA"}:
        model = next((each for each in ("iPhone", "iPad", "iPod") if each in text), "")
        return name, "Apple", model
    if system.code in {"MAC", "ATV", "WAS"}:
        return name or {"MAC": "desktop", "ATV": "tv", "WAS": "wearable"}[system.code], "Apple", ""
    if not name and (client.code == "cli" or system.code in _DESKTOPS):
        return "desktop", "", ""
    if not name and system.code != "AND":
        return "", "", ""
    found = _looked_up(text, models=True).device
    brand, model = (found.brand or "", found.model or "") if found is not None else ("", "")
    if brand.startswith("Generic"):
        # "Android 10; K" is what browsers say to tell nothing; other unknown makers' devices still have a model.
        brand, model = "", model if brand == "Generic_Android" and model != "K" else ""
    if model == "Browser" or brand == "Spider":
        brand, model = "", ""
    return name, brand[:_NAME], model[:_NAME]
