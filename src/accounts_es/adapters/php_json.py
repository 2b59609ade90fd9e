"""JSON as PHP writes it, byte by byte: whoever checks a webhook's signature may decode and encode its body again."""

import json
from typing import Final

from pydantic import JsonValue

_SHORTEST: Final = 1e15
"""Whole numbers below it are written without a fraction or an exponent."""


def php_json(value: JsonValue) -> str:
    """ASCII, ``/`` as ``\\/``, and what PHP takes for a list as a list: an empty object, and keys 0, 1, 2."""
    match value:
        case dict():
            if all(key == str(nth) for nth, key in enumerate(value)):
                return php_json(list(value.values()))
            return "{" + ",".join(f"{_text(key)}:{php_json(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ",".join(map(php_json, value)) + "]"
        case str():
            return _text(value)
        case float():
            return _float(value)
        case _:
            return json.dumps(value)


def _text(value: str) -> str:
    # Unlike Python, PHP writes DEL as it is; both write everything beyond ASCII as UTF-16 units.
    return '"' + "\x7f".join(json.dumps(part)[1:-1] for part in value.split("\x7f")).replace("/", "\\/") + '"'


def _float(value: float) -> str:
    if value.is_integer() and abs(value) < _SHORTEST:
        return "-0.0" if str(value) == "-0.0" else str(int(value))
    mantissa, e, exponent = repr(value).partition("e")
    if not e:
        return mantissa.removesuffix(".0")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}e{int(exponent):+d}"
