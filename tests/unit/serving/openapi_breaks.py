"""What of an OpenAPI document would break a client that was made for an earlier one.

Both directions are one question, whether all that one schema allows is allowed by another: what clients send by the released document
must be allowed by the current one, and what the service answers by the current document must be allowed by the released one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LOWER = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
UPPER = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
EXACT = ("pattern", "format", "multipleOf", "uniqueItems", "contentEncoding", "contentMediaType")


def breaks(released: Schema, current: Schema) -> list[str]:
    """Return what a client of the released document would stumble over, a line each; empty when nothing."""
    return list(_breaks(released, current))


def _breaks(released: Schema, current: Schema) -> Iterator[str]:
    for path, methods in released["paths"].items():
        for method in (each for each in METHODS if each in methods):
            where, now = f"{method.upper()} {path}", current["paths"].get(path, {}).get(method)
            if now is None:
                yield f"{where}: removed"
                continue
            yield from _of_operation(where, methods[method], now, released, current)
            if not _needs_key(released, methods[method]) and _needs_key(current, now):
                yield f"{where}: needs a key now"


def _of_operation(where: str, was: Schema, now: Schema, released: Schema, current: Schema) -> Iterator[str]:
    if was.get("operationId") != now.get("operationId"):
        yield f"{where}: operationId changed, so generated functions are called otherwise"
    had, has = _parameters(was), _parameters(now)
    for name, parameter in has.items():
        if parameter.get("required") and not had.get(name, {}).get("required"):
            yield f"{where}: parameter {name[1]} newly required"
        if name in had:
            yield from _Contained(released, current)(f"{where}: parameter {name[1]}", had[name]["schema"], parameter["schema"])
    for name in had.keys() - has.keys():
        yield f"{where}: parameter {name[1]} removed"
    sent, taken = was.get("requestBody", {}), now.get("requestBody", {})
    if taken.get("required") and not sent.get("required"):
        yield f"{where}: request body newly required"
    yield from _of_media(f"{where}: request", sent, taken, _Contained(released, current))

    def answered(at: str, old: Schema, new: Schema) -> Iterator[str]:
        return _Contained(current, released)(at, new, old)

    for status, answer in was["responses"].items():
        told, place = now["responses"].get(status), f"{where}: {status}"
        if told is None:
            yield f"{place}: removed"
            continue
        yield from (f"{place}: header {name} removed" for name in answer.get("headers", {}).keys() - told.get("headers", {}).keys())
        yield from _of_media(place, answer, told, answered)


def _of_media(where: str, was: Schema, now: Schema, compare: Callable[[str, Schema, Schema], Iterator[str]]) -> Iterator[str]:
    for media_type, content in was.get("content", {}).items():
        if media_type not in now.get("content", {}):
            yield f"{where}: {media_type} removed"
        else:
            yield from compare(where, content.get("schema", {}), now["content"][media_type].get("schema", {}))


def _parameters(operation: Schema) -> dict[tuple[str, str], Schema]:
    return {(each["in"], each["name"]): each for each in operation.get("parameters", [])}


def _needs_key(document: Schema, operation: Schema) -> bool:
    security = operation.get("security", document.get("security", []))
    return bool(security) and {} not in security


@dataclass
class _Contained:
    """Says where a schema of `inner_document` allows what a schema of `outer_document` does not."""

    inner_document: Schema
    outer_document: Schema

    def __call__(self, where: str, inner: Schema, outer: Schema, depth: int = 0) -> Iterator[str]:
        if depth > 30:  # a schema that holds itself: compared often enough
            return
        allowed = _variants(outer, self.outer_document)
        for kind, variant in _variants(inner, self.inner_document).items():
            other = allowed.get(kind) or (allowed.get("number") if kind == "integer" else None) or allowed.get("any")
            if other is None:
                yield f"{where}: {'null' if kind == 'null' else kind} against {' or '.join(allowed)}"
            else:
                yield from self._constraints(where, variant, other)
                yield from self._properties(where, variant, other, depth)
                if "items" in other:
                    yield from self(f"{where}[]", variant.get("items", {}), other["items"], depth + 1)

    def _constraints(self, where: str, inner: Schema, outer: Schema) -> Iterator[str]:
        nothing = float("inf")
        yield from (f"{where}: {name}" for name in LOWER if inner.get(name, -nothing) < outer.get(name, -nothing))
        yield from (f"{where}: {name}" for name in UPPER if inner.get(name, nothing) > outer.get(name, nothing))
        yield from (f"{where}: {name}" for name in EXACT if outer.get(name) and inner.get(name) != outer[name])
        held, allowed = _values(inner), _values(outer)
        if allowed is not None and (held is None or any(value not in allowed for value in held)):
            yield f"{where}: enum"

    def _properties(self, where: str, inner: Schema, outer: Schema, depth: int) -> Iterator[str]:
        has, allowed = inner.get("properties", {}), outer.get("properties", {})
        yield from (f"{where}.{name}: required" for name in set(outer.get("required", [])) - set(inner.get("required", [])))
        inner_is_open, outer_is_open = (each.get("additionalProperties", True) is not False for each in (inner, outer))
        if inner_is_open and not outer_is_open:
            yield f"{where}: further fields"
        for name, schema in has.items():
            if name in allowed:
                yield from self(f"{where}.{name}", schema, allowed[name], depth + 1)
            elif not outer_is_open:
                yield f"{where}.{name}: no such field"
        if inner_is_open:
            yield from (f"{where}.{name}: not described" for name in allowed.keys() - has.keys())


def _variants(schema: Schema, document: Schema) -> dict[str, Schema]:
    """Return the schema's alternatives by their JSON type, `any` where it names none; references are followed.

    Raises:
        NotImplementedError: Two alternatives have one type, or the schema is combined otherwise: this comparison is too small for it.
    """
    while "$ref" in schema:
        part: Any = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            part = part[name]
        schema = part
    if schema.keys() & {"allOf", "not", "if", "patternProperties", "prefixItems"}:
        raise NotImplementedError(f"cannot compare {sorted(schema)}")
    found: dict[str, Schema] = {}
    for choice in schema.get("anyOf", schema.get("oneOf", [])):
        for kind, variant in _variants(choice, document).items():
            if kind in found:
                raise NotImplementedError(f"two alternatives of type {kind}")
            found[kind] = variant
    if found:
        return found
    kinds = schema.get("type", "any")
    return dict.fromkeys([kinds] if isinstance(kinds, str) else kinds, schema)


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")
