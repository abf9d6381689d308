"""What stands for a value in JSON: a dataclass's dict, a datetime's text, a model's own dump.

A form need not be plain all through: a dataclass's dict holds what its fields hold. What has no
form is `Refused`, with the path to it. How: the kind of a class is found out once and kept. The
rules are orjson's, where it has any (fields with a leading underscore stay out, an offset has
whole minutes). numpy, pydantic and msgspec are not imported, but looked up.
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


class Refused(Exception):
    """A value that JSON cannot say; each level that it passes adds a step to its path."""

    def __init__(self, before: str, after: str = "") -> None:
        super().__init__(before, after)
        self.path: list[str] = []  # innermost first

    def __str__(self) -> str:
        steps = self.path[::-1]
        if len(steps) > 32:
            steps[8:-8] = ["..."]
        return f"{self.args[0]} ${''.join(steps)}{self.args[1]}"


def _datetime_form(value: datetime) -> str:
    text = value.isoformat()
    if value.tzinfo is None or text[-6] in "+-":  # naive, or an offset of whole minutes
        return text
    offset = value.utcoffset()
    # As orjson does: whole minutes, halves away from zero, and an unknown offset is none.
    seconds = 0 if offset is None else offset.days * 86400 + offset.seconds
    hours, minutes = divmod(min((abs(seconds) + 30) // 60, 1439), 60)
    sign = "-" if seconds < 0 else "+"
    return f"{value.replace(tzinfo=None).isoformat()}{sign}{hours:02}:{minutes:02}"


def _time_form(value: time) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    raise Refused("cannot encode time with tzinfo at")


def _instance_form(value: Any) -> dict[Any, Any]:
    held: dict[Any, Any] = value.__dict__.copy()
    for name in tuple(held):
        if type(name) is str and name[:1] == "_":
            del held[name]
    return held


def _fields_form(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _pydantic_form(value: Any, base: Any) -> Any:
    cls = type(value)
    if cls.model_dump_json is not base.model_dump_json:  # a model's own override counts
        return json.loads(value.model_dump_json())
    if cls.model_dump is not base.model_dump:
        return value.model_dump(mode="json")
    return cls.__pydantic_serializer__.to_python(value, mode="json")  # as fast as its JSON text


def _pydantic_dataclass_form(value: Any) -> Any:
    return type(value).__pydantic_serializer__.to_python(value, mode="json")


def numpy_form(value: Any) -> Any:
    """Give the form of an array or a scalar."""
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
            raise Refused("cannot encode datetime64 at", ": NaT or not in the years 0 to 9999")
        numpy: Any = sys.modules["numpy"]
        exact = value.astype("M8[us]")
        whole = exact.astype("M8[s]")
        text = numpy.datetime_as_string
        return numpy.where(exact == whole, text(whole), text(exact)).tolist()
    raise Refused(f"cannot encode numpy {value.dtype} at")


def _loaded(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


def _refuse(value: Any) -> Any:
    standard = ""
    if isinstance(value, tuple):
        instead = "value._asdict()" if hasattr(value, "_asdict") else "list(value)"
        standard = f": the standard library's json would write it as a list; pass {instead}"
    elif isinstance(value, float):
        standard = ": the standard library's json would write it as a number; pass float(value)"
    raise Refused(f"cannot encode {type(value).__name__} at", standard)


_FIELDS: Final = "__dataclass_fields__"
_FORMS: Final[dict[type, Callable[[Any], Any]]] = {
    datetime: _datetime_form,
    date: date.isoformat,
    time: _time_form,
    UUID: str,
}


@lru_cache(512)  # bounded, for classes may be made without end
def form_of(cls: Any) -> Callable[[Any], Any]:
    """Choose what gives the form of a class's instances; for most of numpy it is `numpy_form`."""
    bases = cls.__mro__  # not issubclass(), which pydantic's metaclass makes slow
    if (base := _loaded("pydantic.main", "BaseModel")) in bases:
        return partial(_pydantic_form, base=base)
    if _loaded("msgspec", "Struct") in bases:
        return partial(_loaded("msgspec", "to_builtins"), str_keys=True)
    if Enum in bases:
        return attrgetter("value")
    if _loaded("numpy", "ndarray") in bases or _loaded("numpy", "generic") in bases:
        return float if float in bases else numpy_form  # float64 is a float
    declared: Any = next((vars(base) for base in bases if _FIELDS in vars(base)), None)
    if declared is None:
        return _FORMS.get(cls, _refuse)
    if "__pydantic_serializer__" in declared:  # which may leave fields out, or call them otherwise
        return _pydantic_dataclass_form
    if "__slots__" not in declared:  # orjson's rule: all that the instance holds, declared or not
        return _instance_form
    names = (field.name for field in dataclasses.fields(cls))
    return partial(_fields_form, names=tuple(name for name in names if name[0] != "_"))


def form(value: Any) -> Any:
    """Give what stands for a value that is not plain; it need not be plain all through."""
    cls: Any = type(value)
    return form_of(cls)(value)
