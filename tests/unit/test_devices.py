"""What is read from user agents: a table of real ones, and what nobody should send."""

import time

import pytest

from accounts_es.adapters.devices import Device, parse

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"

BROWSERS = {
    f"{WINDOWS} Chrome/70.0.3538.77 Safari/537.36": (
        "WIN Windows 10 | browser CH Chrome 70.0 | Blink 70.0.3538.77 | desktop"
    ),
    f"{WINDOWS} Chrome/124.0.0.0 Safari/537.36 Edg/124.0.2478.51": (
        "WIN Windows 10 | browser PS Microsoft Edge 124.0 | Blink 124.0.0.0 | desktop"
    ),
    f"{WINDOWS} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763": (
        "WIN Windows 10 | browser PS Microsoft Edge 18.17763 | Edge 18.17763 | desktop"
    ),
    "Mozilla/5.0 (Windows NT 6.3; Win64; x64; rv:115.0) Gecko/20100101 Firefox/115.0": (
        "WIN Windows 8.1 | browser FF Firefox 115.0 | Gecko 115.0 | desktop"
    ),
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko": (
        "WIN Windows 10 | browser IE Internet Explorer 11.0 | Trident 7.0 | desktop"
    ),
    f"{WINDOWS} Chrome/109.0.0.0 Safari/537.36 OPR/95.0.0.0": (
        "WIN Windows 10 | browser OP Opera 95.0 | Blink 109.0.0.0 | desktop"
    ),
    f"{WINDOWS} Chrome/122.0.0.0 Safari/537.36 Vivaldi/6.6.3271.45": (
        "WIN Windows 10 | browser VI Vivaldi 6.6 | Blink 122.0.0.0 | desktop"
    ),
    f"{WINDOWS} Chrome/122.0.0.0 YaBrowser/24.4.0.0 Safari/537.36": (
        "WIN Windows 10 | browser YA Yandex Browser 24.4 | Blink 122.0.0.0 | desktop"
    ),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4.1 Safari/605.1.15": "MAC Mac 10.15 | browser SF Safari 17.4 | WebKit 605.1.15 | desktop Apple",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:125.0) Gecko/20100101 Firefox/125.0": (
        "MAC Mac 10.15 | browser FF Firefox 125.0 | Gecko 125.0 | desktop Apple"
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": (
        "LIN GNU/Linux | browser FF Firefox 140.0 | Gecko 140.0 | desktop"
    ),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0": (
        "UBT Ubuntu | browser FF Firefox 125.0 | Gecko 125.0 | desktop"
    ),
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/124.0.0.0 Safari/537.36": (
        "COS Chrome OS 14541.0.0 | browser CH Chrome 124.0 | Blink 124.0.0.0 | desktop"
    ),
    "Mozilla/5.0 (X11; FreeBSD amd64; rv:120.0) Gecko/20100101 Firefox/120.0": (
        "BSD FreeBSD | browser FF Firefox 120.0 | Gecko 120.0 | desktop"
    ),
    f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/124.0.0.0 Mobile Safari/537.36": (
        "AND Android 10 | browser CM Chrome Mobile 124.0 | Blink 124.0.0.0 | smartphone"
    ),
    f"Mozilla/5.0 (Linux; Android 13; SM-G991B Build/TP1A) {WEBKIT} Chrome/116.0.5845.92 Mobile Safari/537.36": (
        "AND Android 13 | browser CM Chrome Mobile 116.0 | Blink 116.0.5845.92 | smartphone Samsung SM-G991B"
    ),
    f"Mozilla/5.0 (Linux; Android 13; SM-X906C) {WEBKIT} Chrome/116.0.5845.92 Safari/537.36": (
        "AND Android 13 | browser CH Chrome 116.0 | Blink 116.0.5845.92 | tablet Samsung SM-X906C"
    ),
    f"Mozilla/5.0 (Linux; Android 13; Pixel 6; wv) {WEBKIT} Version/4.0 Chrome/115.0.5790.166 Mobile Safari/537.36": (
        "AND Android 13 | browser CV Chrome Webview 115.0 | Blink 115.0.5790.166 | smartphone Google Pixel 6"
    ),
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {WEBKIT} Chrome/124.0.0.0 Mobile Safari/537.36 EdgA/124.0.0.0": (
        "AND Android 14 | browser PS Microsoft Edge 124.0 | Blink 124.0.0.0 | smartphone Google Pixel 8"
    ),
    f"Mozilla/5.0 (Linux; Android 13; SM-S918B) {WEBKIT} SamsungBrowser/21.0 Chrome/110.0.5481.154 Mobile "
    "Safari/537.36": (
        "AND Android 13 | browser SB Samsung Browser 21.0 | Blink 110.0.5481.154 | smartphone Samsung SM-S918B"
    ),
    f"Mozilla/5.0 (Linux; Android 12; M2101K6G) {WEBKIT} Chrome/100.0.4896.79 Mobile Safari/537.36": (
        "AND Android 12 | browser CM Chrome Mobile 100.0 | Blink 100.0.4896.79 | smartphone M2101K6G"
    ),
    "Mozilla/5.0 (Android 14; Mobile; rv:125.0) Gecko/125.0 Firefox/125.0": (
        "AND Android 14 | browser FM Firefox Mobile 125.0 | Gecko 125.0 | smartphone"
    ),
    f"{IPHONE} Version/17.4.1 Mobile/15E148 Safari/604.1": (
        "IOS iOS 17.4.1 | browser MF Mobile Safari 17.4 | WebKit 605.1.15 | smartphone Apple iPhone"
    ),
    f"{IPHONE} CriOS/124.0.6367.68 Mobile/15E148 Safari/604.1": (
        "IOS iOS 17.4.1 | browser CI Chrome Mobile iOS 124.0 | WebKit 605.1.15 | smartphone Apple iPhone"
    ),
    f"{IPHONE} FxiOS/125.0 Mobile/15E148 Safari/605.1.15": (
        "IOS iOS 17.4.1 | browser F1 Firefox Mobile iOS 125.0 | WebKit 605.1.15 | smartphone Apple iPhone"
    ),
    f"{IPHONE} Version/17.0 EdgiOS/124.0.2478.50 Mobile/15E148 Safari/605.1.15": (
        "IOS iOS 17.4.1 | browser PS Microsoft Edge 124.0 | WebKit 605.1.15 | smartphone Apple iPhone"
    ),
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 "
    "Mobile/15E148 Safari/604.1": (
        "IPA iPadOS 16.6 | browser MF Mobile Safari 16.6 | WebKit 605.1.15 | tablet Apple iPad"
    ),
    f"Mozilla/5.0 (Linux; Android 11; KFTRWI) {WEBKIT} Silk/100.1 like Chrome/100.0.4896.127 Safari/537.36": (
        "AND Android 11 | browser MS Mobile Silk 100.1 | Blink 100.0.4896.127 | tablet Amazon Kindle"
    ),
    f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) {WEBKIT} 76.0.3809.146/6.0 TV Safari/537.36": (
        "TIZ Tizen 6.0 | browser SF Safari | WebKit 537.36 | tv Samsung SMART-TV"
    ),
    "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 "
    "Safari/605.1.15": "| browser SF Safari 13.0 | WebKit 605.1.15 | console Sony PlayStation 5",
    "Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5": (
        "KOS KaiOS 2.5 | browser FM Firefox Mobile 48.0 | Gecko 48.0 | smartphone Nokia 8110"
    ),
    f"Mozilla/5.0 (Phone; OpenHarmony 5.0) {WEBKIT} Chrome/114.0.0.0 Safari/537.36 ArkWeb/4.1.6.1 Mobile "
    "HuaweiBrowser/5.0.4.300": (
        "HAR HarmonyOS 5.0 | browser HU Huawei Browser 5.0 | Blink 114.0.0.0 | smartphone"
    ),
}  # fmt: skip
"""System, program, engine, device."""

OTHERS = {
    "AppwriteNodeJSSDK/27.1.0 (Linux; #1 SMP; x64)": ("LIN GNU/Linux | library AppwriteNodeJSSDK 27.1.0 | | desktop"),
    "AppwritePythonSDK/27.0.0 (Windows; 10.0; AMD64)": "WIN Windows | library AppwritePythonSDK 27.0.0 | | desktop",
    "AppwriteCLI/6.2.3 (linux; x64)": "LIN GNU/Linux | desktop cli Appwrite CLI 6.2.3 | | desktop",
    "com.example.notes/2.1.0 Android/14": "AND Android 14 | mobile app com.example.notes 2.1.0 | |",
    "com.example.notes/1.0.0 iOS/17.4": "IOS iOS 17.4 | mobile app com.example.notes 1.0.0 | | Apple",
    "curl/8.5.0": "| library curl 8.5 | |",
    "Wget/1.21.4": "| library Wget 1.21 | |",
    "PostmanRuntime/7.37.3": "| library Postman Runtime 7.37 | |",
    "okhttp/4.12.0": "| library OkHttp 4.12 | |",
    "Dart/3.3 (dart:io)": "| library Dart 3.3 | |",
    "GuzzleHttp/7": "| library Guzzle 7 | |",
    "python-requests/2.31.0": "| library Python Requests 2.31 | |",
    "python-httpx/0.28.1": "| library HTTPX 0.28 | |",
    "Python/3.12 aiohttp/3.9.5": "| library aiohttp 3.9 | |",
    "Go-http-client/2.0": "| library Go-http-client 2.0 | |",
    "axios/1.6.8": "| library Axios 1.6 | |",
    "node": "| library Node Fetch | |",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "| bot Googlebot 2.1 | |",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)": "| bot bingbot 2.0 | |",
}


def told(device: Device) -> str:
    """Without what is empty."""
    parts = (device[0:3], device[3:7], device[7:9], device[9:12])
    return " ".join(" | ".join(" ".join(part) for part in parts).split())


@pytest.mark.parametrize("user_agent", [*BROWSERS, *OTHERS])
def test_a_user_agent_is_understood(user_agent: str) -> None:
    assert told(parse(user_agent)) == {**BROWSERS, **OTHERS}[user_agent]


@pytest.mark.parametrize("user_agent", ["", " ", "UNKNOWN", "?", "\x00\x01", "\udcff", "A(/;" * 2048])
def test_what_says_nothing_is_nothing(user_agent: str) -> None:
    assert parse(user_agent) == Device()


@pytest.mark.alone
@pytest.mark.parametrize(
    "part", ["Mozilla/5.0 (", "Android ", "Mobile ", "Android Mobile;", "Chrome/1.1.1.1", "a.b.", "1."]
)
def test_however_long_it_is_it_takes_milliseconds_and_stays_short(part: str) -> None:
    parse("Android; Tablet")
    began = time.perf_counter()
    device = parse(part * (8192 // len(part)))
    assert time.perf_counter() - began < 0.1
    assert max(map(len, device)) <= 1024
    assert parse(f"Mozilla/5.0 {part * 8192} Firefox/125.0").client_name != "Firefox", "only the beginning counts"
