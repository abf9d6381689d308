"""Objects that JSON has no type for, converted: a dataclass to its dict, a datetime to its text.

One call converts one level: the dict of a dataclass holds whatever its fields hold. A value that
cannot be converted raises `Unencodable`, which collects the path to it. How: the converter of a
class is chosen once and cached. The rules are orjson's where it has any (fields with a leading
underscore are left out, an offset has whole minutes). numpy, pydantic and msgspec are never
imported, only looked up among the loaded modules.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from datetime import date, datetime, time
from enum import Enum
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, Final
from uuid import UUID


class Unencodable(Exception):
    """A value that JSON cannot express; each container that it passes adds a step to its path."""

    def __init__(self, before: str, after: str = "") -> None:
        super().__init__(before, after)
        self.path: list[str] = []  # innermost first

    def __str__(self) -> str:
        steps = self.path[::-1]
        if len(steps) > 32:
            steps[8:-8] = ["..."]
        return f"{self.args[0]} ${''.join(steps)}{self.args[1]}"


def _datetime_text(value: datetime) -> str:
    text = value.isoformat()
    if value.tzinfo is None or text[-6] in "+-":  # naive, or an offset of whole minutes
        return text
    offset = value.utcoffset()
    # As orjson: whole minutes, halves rounded away from zero, an unknown offset is zero.
    seconds = 0 if offset is None else offset.days * 86400 + offset.seconds
    hours, minutes = divmod(min((abs(seconds) + 30) // 60, 1439), 60)
    sign = "-" if seconds < 0 else "+"
    return f"{value.replace(tzinfo=None).isoformat()}{sign}{hours:02}:{minutes:02}"


def _time_text(value: time) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    raise Unencodable("cannot encode time with tzinfo at")


def _attributes(value: Any) -> dict[Any, Any]:
    attributes: dict[Any, Any] = value.__dict__.copy()
    for name in tuple(attributes):
        if type(name) is str and name[:1] == "_":
            del attributes[name]
    return attributes


def _fields(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _model_dump(value: Any, base: Any) -> Any:
    cls = type(value)
    if cls.model_dump_json is not base.model_dump_json:  # overridden: use the model's own method
        return json.loads(value.model_dump_json())
    if cls.model_dump is not base.model_dump:
        return value.model_dump(mode="json")
    return cls.__pydantic_serializer__.to_python(value, mode="json")  # as fast as its JSON text


def _pydantic_dataclass_dump(value: Any) -> Any:
    return type(value).__pydantic_serializer__.to_python(value, mode="json")


def numpy_to_plain(value: Any) -> Any:
    """Convert an array or a scalar of numpy."""
    kind = value.dtype.kind
    if kind in "biuUTO" or value.dtype.char == "d":
        return value.tolist()
    if kind == "f":
        if value.dtype.itemsize < 8:  # as orjson: the shortest decimals of 32 bits
            value = value.astype("f4").astype("U32")
        return value.astype("f8").tolist()
    if kind == "M":
        years = value.astype("M8[Y]").astype("i8")  # counted from 1970; NaT is the lowest int64
        if not ((years >= -1970) & (years <= 8029)).all():
            raise Unencodable("cannot encode datetime64 at", ": NaT or not in the years 0 to 9999")
        numpy: Any = sys.modules["numpy"]
        exact = value.astype("M8[us]")
        whole = exact.astype("M8[s]")
        text = numpy.datetime_as_string
        return numpy.where(exact == whole, text(whole), text(exact)).tolist()
    raise Unencodable(f"cannot encode numpy {value.dtype} at")


def _loaded(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


def _refuse(value: Any) -> Any:
    hint = ""
    if isinstance(value, tuple):
        instead = "value._asdict()" if hasattr(value, "_asdict") else "list(value)"
        hint = f": the standard library's json would write it as a list; pass {instead}"
    elif isinstance(value, float):
        hint = ": the standard library's json would write it as a number; pass float(value)"
    raise Unencodable(f"cannot encode {type(value).__name__} at", hint)


_FIELDS: Final = "__dataclass_fields__"
_CONVERTERS: Final[dict[type, Callable[[Any], Any]]] = {
    datetime: _datetime_text,
    date: date.isoformat,
    time: _time_text,
    UUID: str,
}


@lru_cache(512)  # bounded: a program may create classes without end
def converter_of(cls: Any) -> Callable[[Any], Any]:
    """Return the function that converts instances; it is `numpy_to_plain` for most of numpy."""
    bases = cls.__mro__  # not issubclass(), which pydantic's metaclass makes slow
    if (base := _loaded("pydantic.main", "BaseModel")) in bases:
        return partial(_model_dump, base=base)
    if _loaded("msgspec", "Struct") in bases:
        return partial(_loaded("msgspec", "to_builtins"), str_keys=True)
    if Enum in bases:
        return attrgetter("value")
    if _loaded("numpy", "ndarray") in bases or _loaded("numpy", "generic") in bases:
        return float if float in bases else numpy_to_plain  # float64 is a float
    declared: Any = next((vars(base) for base in bases if _FIELDS in vars(base)), None)
    if declared is None:
        return _CONVERTERS.get(cls, _refuse)
    if "__pydantic_serializer__" in declared:  # it may exclude and rename fields
        return _pydantic_dataclass_dump
    if "__slots__" not in declared:  # as orjson: every attribute of the instance, declared or not
        return _attributes
    names = (field.name for field in dataclasses.fields(cls))
    return partial(_fields, names=tuple(name for name in names if name[0] != "_"))


def to_plain(value: Any) -> Any:
    """Convert a value by one level; what the result holds may need converting too."""
    cls: Any = type(value)
    return converter_of(cls)(value)
