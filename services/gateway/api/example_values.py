"""Examples of requests and answers, made from schemas: what the schema says itself, else what the field's name says.

So a new route has an example without anybody writing one; the contract lane holds each against its schema.
"""

from collections.abc import Mapping
from typing import Any, Final

from services.gateway.api.field_table import field_of

_ID: Final = "0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f01"
_MOMENT: Final = "2026-03-01T12:00:00.000000Z"
_AMOUNT_MINOR: Final = 1250
_DEPTH_MAX: Final = 8
_BY_FORMAT: Final = {
    "date-time": _MOMENT,
    "date": "2026-03-01",
    "uuid": _ID,
    "email": "alice@example.com",
    "uri": "https://shop.example/hooks",
    "json-pointer": "/amount_minor",
}
_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


class ExampleValues:
    """Makes examples for the schemas of one document."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        """Know what `#/components/schemas/…` refers to."""
        self._schemas = schemas

    def of(self, schema: Mapping[str, Any], name: str = "", owner: str = "", depth: int = 0) -> Any:
        """Return an example; `name` is the field's, `owner` the name of the schema that the field stands in."""
        if "$ref" in schema:
            owner = schema["$ref"].rpartition("/")[2]
            return self.of(self._schemas[owner], name, owner, depth + 1)
        if schema.get("examples"):
            return schema["examples"][0]
        if "const" in schema:
            return schema["const"]
        line = field_of(owner, name)
        if line is not None and line.examples and self._fits(line.examples[0], schema):
            return line.examples[0]
        if "enum" in schema:
            return schema["enum"][0]
        for one in ("anyOf", "oneOf", "allOf"):
            if one in schema and "properties" not in schema:
                return self.of(self._choice(schema[one]), name, owner, depth + 1)
        return self._by_type(schema, name, owner, depth)

    def _by_type(self, schema: Mapping[str, Any], name: str, owner: str, depth: int) -> Any:
        match _type_of(schema):
            case "object":
                owner = schema.get("title", owner)
                members = _shown_members(schema) if depth < _DEPTH_MAX else {}
                return {member: self.of(inner, member, owner, depth + 1) for member, inner in members.items()}
            case "array":
                item = self.of(schema.get("items", {}), name.removesuffix("s"), owner, depth + 1)
                return [item] * max(1, schema.get("minItems", 1)) if depth < _DEPTH_MAX else []
            case "integer" | "number":
                return _number(schema, name)
            case "boolean":
                return bool(schema.get("default", False))
            case "null":
                return None
            case "string":
                return _text(schema, name)
            case _:
                return {}

    def _choice(self, schemas: list[Mapping[str, Any]]) -> Mapping[str, Any]:
        return next((one for one in schemas if one.get("type") != "null"), schemas[0])

    def _fits(self, value: Any, schema: Mapping[str, Any]) -> bool:
        """Tell whether an example found by its name alone is of the right type here, and one of the choices."""
        if "enum" in schema:
            return value in schema["enum"]
        for one in ("anyOf", "oneOf"):
            if one in schema:
                return any(self._fits(value, inner) for inner in schema[one])
        if "$ref" in schema:
            return self._fits(value, self._schemas[schema["$ref"].rpartition("/")[2]])
        kinds = schema.get("type")
        if kinds is None or (isinstance(value, bool) and kinds != "boolean"):
            return kinds is None
        if value == {} and schema.get("required"):
            return False
        return any(isinstance(value, _KINDS[kind]) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _shown_members(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an example has: what must be there, or else the first of what may be."""
    members: Mapping[str, Any] = schema.get("properties", {})
    required = [name for name in members if name in schema.get("required", ())]
    return {name: members[name] for name in required or [*members][:1]}


def _type_of(schema: Mapping[str, Any]) -> str | None:
    kinds = schema.get("type", "object" if "properties" in schema else None)
    return kinds if isinstance(kinds, str | None) else next(kind for kind in kinds if kind != "null")


def _number(schema: Mapping[str, Any], name: str) -> int:
    least = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    wanted = schema.get("default") or (_AMOUNT_MINOR if name.endswith("_minor") else 1)
    return int(min(max(wanted, least), schema.get("maximum", wanted)))


def _text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    if name.endswith("_id"):
        return _ID
    if name.endswith(("_at", "_before")):
        return _MOMENT
    text = str(schema.get("default") or "text").ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]
