"""What parameters about access must look like."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from accounts_es.domain.errors import GeneralArgumentInvalid
from accounts_es.domain.permissions import MOST_PERMISSIONS, MalformedPermission, Permission, aggregated, parse
from accounts_es.http.rules import Invalid

MAX_ENTITY: Final = 255


@dataclass(frozen=True, slots=True)
class Permissions:
    """Permission texts for these actions; ``write`` is taken apart, repeated ones count once."""

    actions: tuple[str, ...]

    def parse(self, value: JsonValue) -> list[Permission]:
        """The permissions, each of one action."""
        if not isinstance(value, list) or len(value) > MOST_PERMISSIONS:
            raise Invalid(f"Value must be a valid array of at most {MOST_PERMISSIONS} permissions")
        found: list[Permission] = []
        for text in value:
            if not isinstance(text, str):
                raise Invalid("Every permission must be of type string.")
            try:
                found.append(parse(text, self.actions))
            except MalformedPermission as wrong:
                raise Invalid(f"Every permission must be a valid one: {wrong}") from None
        return list(aggregated(found, self.actions))

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "array", "maxItems": MOST_PERMISSIONS, "items": {"type": "string"}}


class Entity:
    """A JSON object with at least these texts, as AuthZEN names subjects, actions and resources."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def parse(self, value: JsonValue) -> dict[str, Any]:
        """The object."""
        if not isinstance(value, dict):
            raise Invalid("Value must be a valid object")
        for name in self.names:
            text = value.get(name)
            if not isinstance(text, str) or not 0 < len(text) <= MAX_ENTITY or "\x00" in text:
                raise Invalid(f"Value must be an object with the text {name}")
        return value

    def checked(self, parameter: str, value: JsonValue) -> dict[str, Any]:
        """`parse` for a value that came inside of another. Raises `GeneralArgumentInvalid`."""
        try:
            return self.parse(value)
        except Invalid as wrong:
            raise GeneralArgumentInvalid(f"Invalid `{parameter}` param: {wrong}") from None

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        texts = {name: {"type": "string", "maxLength": MAX_ENTITY} for name in self.names}
        return {"type": "object", "properties": texts, "required": list(self.names), "additionalProperties": True}


@dataclass(frozen=True, slots=True)
class Entities:
    """A list of at most ``most`` JSON objects."""

    most: int

    def parse(self, value: JsonValue) -> list[dict[str, Any]]:
        """The objects."""
        if not isinstance(value, list) or len(value) > self.most:
            raise Invalid(f"Value must be a valid array of at most {self.most} objects")
        objects = [each for each in value if isinstance(each, dict)]
        if len(objects) != len(value):
            raise Invalid("Value must be a valid array of objects")
        return objects

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "array", "maxItems": self.most, "items": {"type": "object"}}
