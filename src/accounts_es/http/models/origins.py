"""Where a request came from: the address and its country, the user agent and what it says."""

from typing_extensions import TypedDict

from accounts_es.adapters import countries, devices


class Origin(TypedDict):
    """The fields sessions and logs have in common."""

    ip: str
    osCode: str
    osName: str
    osVersion: str
    clientType: str
    clientCode: str
    clientName: str
    clientVersion: str
    clientEngine: str
    clientEngineVersion: str
    deviceName: str
    deviceBrand: str
    deviceModel: str
    countryCode: str
    countryName: str


def origin(ip: str | None, user_agent: str | None, locale: str) -> Origin:
    """What is known of where a request came from; nothing is an empty text (contract: cross-cutting, 14)."""
    device = devices.parse(user_agent or "")
    country = countries.country_of(ip or "")
    return {
        "ip": ip or "",
        "osCode": device.os_code,
        "osName": device.os_name,
        "osVersion": device.os_version,
        "clientType": device.client_type,
        "clientCode": device.client_code,
        "clientName": device.client_name,
        "clientVersion": device.client_version,
        "clientEngine": device.client_engine,
        "clientEngineVersion": device.client_engine_version,
        "deviceName": device.device_name,
        "deviceBrand": device.device_brand,
        "deviceModel": device.device_model,
        "countryCode": country,
        "countryName": countries.country_name(country, locale),
    }
