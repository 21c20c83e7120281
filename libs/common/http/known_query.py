"""Refuses query parameters that a route does not declare, and those that are there twice.

What is misunderstood must neither be done nor answered; of two values one server takes the first and another the last.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from types import UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from libs.common.errors import Unprocessable
from libs.common.field_errors import FIELD_ERRORS_MAX, field_error

_SHOWN_MAX: Final = 20
_SHOWN_CHARACTERS_MAX: Final = 100


class _Declared(NamedTuple):
    """A route's query parameters: names, beginnings of names, and those of the names that stand for a list."""

    route: APIRoute
    names: tuple[str, ...]
    beginnings: tuple[str, ...]
    lists: frozenset[str]


class KnownQueries:
    """Knows which query parameters each route declares, in its signature or in `openapi_extra`.

    A name with braces in `openapi_extra`, such as `metadata.{key}`, stands for every name that begins like it.
    """

    def __init__(self, routes: Iterable[BaseRoute] = ()) -> None:
        """Read what these routes declare; a plain Starlette route declares nothing and looks itself."""
        self._declared = [_declared_by(route) for route in routes if isinstance(route, APIRoute)]

    def require_known(self, scope: Scope) -> None:
        """Let pass a request whose query the route knows all of, each once; one without a query costs next to nothing.

        Raises: Unprocessable query_not_understood, naming what is unknown and what is known, or what is there twice.
        """
        if not scope["query_string"]:
            return
        declared = next((one for one in self._declared if one.route.matches(scope)[0] is Match.FULL), None)
        if declared is None:
            return
        asked = QueryParams(scope["query_string"])
        unknown = sorted(
            name for name in asked if name not in declared.names and not name.startswith(declared.beginnings)
        )
        if unknown:
            scope["route_template"] = declared.route.path
            raise _not_understood(unknown, [*declared.names, *(f"{beginning}*" for beginning in declared.beginnings)])
        if len(asked) != len(asked.multi_items()):
            counts = Counter(name for name, _ in asked.multi_items())
            repeated = sorted(name for name, count in counts.items() if count > 1 and name not in declared.lists)
            if repeated:
                scope["route_template"] = declared.route.path
                raise _repeated(repeated)


def _declared_by(route: APIRoute) -> _Declared:
    extra = [one["name"] for one in (route.openapi_extra or {}).get("parameters", ()) if one["in"] == "query"]
    known = dict(_parameters_of(route.dependant))
    lists = frozenset(name for name, kind in known.items() if _is_list(kind))
    return _Declared(route, tuple(known), tuple(name.partition("{")[0] for name in extra), lists)


def _parameters_of(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    """Yield name and type of the parameters of a route and of what it depends on; a model stands for its fields."""
    for parameter in dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from ((field.alias or name, field.annotation) for name, field in kind.model_fields.items())
        else:
            yield parameter.alias, kind
    for other in dependant.dependencies:
        yield from _parameters_of(other)


def _is_list(kind: Any) -> bool:
    """Tell whether a type, or one of a union's, is a list."""
    return get_origin(kind) is list or (get_origin(kind) in (Union, UnionType) and any(map(_is_list, get_args(kind))))


def _not_understood(unknown: Sequence[str], known: Sequence[str]) -> Unprocessable:
    """Return the refusal; what it repeats of the caller's is bounded."""
    advice = f"This route knows {', '.join(known)}." if known else "This route knows none."
    return Unprocessable(
        "query_not_understood",
        f"Leave out the query parameters named in `unknown`; nothing was done. {advice}",
        unknown=[name[:_SHOWN_CHARACTERS_MAX] for name in unknown[:_SHOWN_MAX]],
        known=list(known),
        errors=[field_error("query", [name], "There is no such parameter.") for name in unknown[:FIELD_ERRORS_MAX]],
    )


def _repeated(names: Sequence[str]) -> Unprocessable:
    """Return the refusal of what is there twice and is no list."""
    return Unprocessable(
        "query_not_understood",
        "Say each of these query parameters once; nothing was done.",
        errors=[field_error("query", [name], "It is there more than once.") for name in names[:FIELD_ERRORS_MAX]],
    )
