"""Signatures as a caller needs them: every keyword, the values of defaults, no private names.

A class that is made by `__new__` shows its parameters. A parameter that only refuses unknown
keywords is left out. `**settings` of a TypedDict becomes its keywords, with the defaults of the
module's response. A response shows the class of its options. Names of constants and private return
types are replaced by the values, or `...`, and by nothing.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import griffe

from gaistream.http.resumption import Resumption
from gaistream.writing.options import NDJSONOptions, SSEOptions

_CONSTANT = re.compile(r"_?[A-Z][A-Z_]+")
_KEYWORD = griffe.ParameterKind.keyword_only


class Signatures(griffe.Extension):
    """Rewrites the signatures of the package when all of it has been read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite every function and class of the package."""
        for module in _modules(pkg):
            for member in list(module.members.values()):
                if isinstance(member, griffe.Class):
                    _rewrite_class(member)
                elif isinstance(member, griffe.Function):
                    _rewrite(member)


def _modules(module: griffe.Module) -> Iterator[griffe.Module]:
    yield module
    for member in list(module.members.values()):
        if isinstance(member, griffe.Module):
            yield from _modules(member)


def _rewrite_class(cls: griffe.Class) -> None:
    base = re.fullmatch(r"(\w+)\[(\w+Options)\]", str(cls.bases[0])) if cls.bases else None
    if "__init__" not in cls.members and "__new__" in cls.members:
        cls.set_member("__init__", _copy(cls.members["__new__"]))
    elif "__init__" not in cls.members and base is not None:
        init = _copy(cls.module.members[base[1]].members["__init__"])
        cls.set_member("__init__", init)
        for each in init.parameters:
            if "_Options" in str(each.annotation):
                each.annotation = _expression(f"{base[2]} | None", cls.module)
    for member in list(cls.members.values()):
        if isinstance(member, griffe.Function):
            _rewrite(member)
        elif isinstance(member, griffe.Attribute) and _CONSTANT.fullmatch(str(member.value)):
            member.value = _value(str(member.value), str(member.annotation), cls)  # of a dataclass


def _copy(function: Any) -> griffe.Function:
    parameters = [
        griffe.Parameter(
            each.name, annotation=each.annotation, kind=each.kind, default=each.default
        )
        for each in function.parameters
    ]
    return griffe.Function(
        "__init__", parameters=griffe.Parameters(*parameters), lineno=function.lineno
    )


def _rewrite(function: griffe.Function) -> None:
    for overload in function.overloads or ():
        _rewrite(overload)
    function.parameters = griffe.Parameters(*_parameters(function))
    if str(function.returns).startswith("_"):
        function.returns = None


def _parameters(function: griffe.Function) -> Iterator[griffe.Parameter]:
    module = function.module
    for each in function.parameters:
        annotation = str(each.annotation)
        if annotation.startswith("Unpack["):
            yield from _keywords(annotation[len("Unpack[") : -1], module)
        elif annotation != "Never" and each.name != "unknown" and not each.name.startswith("_"):
            if _CONSTANT.fullmatch(str(each.default)):
                each.default = _value(str(each.default), annotation, function.parent or module)
            yield each


def _keywords(name: str, module: griffe.Module) -> Iterator[griffe.Parameter]:
    """Yield the keywords of a TypedDict, with the defaults of a response there, or of options.

    Those of a face are keywords of gaistream.asgi's or gaistream.wsgi's response, but for `cors`.
    """
    loaded = importlib.import_module(module.path)
    package = importlib.import_module(module.path.rpartition(".")[0])
    rooms = [getattr(loaded, room, None) for room in ("wsgi", "asgi")]
    response = getattr(loaded, "SSEResponse", None) or getattr(package, "SSEResponse", object)
    defaults: dict[str, Any] = {
        field.name: field.default
        for options in (NDJSONOptions, SSEOptions)
        for field in dataclasses.fields(options)
    }
    of_rooms = [room.SSEResponse for room in rooms if room]
    for cls in [Resumption, *reversed(response.__mro__), *of_rooms]:
        parameters = inspect.signature(cls.__init__).parameters.values()
        given = [each for each in parameters if each.default is not each.empty]
        defaults |= {parameter.name: parameter.default for parameter in given}
    if package.__name__ == "gaistream.frameworks":
        defaults["cors"] = None
    settings = functools.reduce(getattr, name.split("."), loaded)
    for keyword, annotation in settings.__annotations__.items():
        text = getattr(annotation, "__forward_arg__", annotation)
        yield griffe.Parameter(
            keyword, annotation=_expression(text, module), kind=_KEYWORD,
            default=repr(defaults[keyword]),
        )  # fmt: skip


def _expression(text: str, module: griffe.Module) -> Any:
    return griffe.get_annotation(ast.parse(text, mode="eval").body, parent=module)


def _value(constant: str, annotation: str, scope: griffe.Module | griffe.Class) -> str:
    """Return the value of a constant that the class or its module has, as source text."""
    module = importlib.import_module(scope.module.path)
    holder = getattr(module, scope.name, module)
    value = getattr(holder, constant, getattr(module, constant, None))
    if not isinstance(value, int | float | str):
        return "..." if constant.startswith("_") else constant
    return repr(bool(value)) if annotation == "bool" else str(value)
