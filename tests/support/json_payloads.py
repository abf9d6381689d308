"""Payloads that JSON can say and that it cannot, and the libraries that are to say them alike."""

import dataclasses
import datetime as dt
import enum
import functools
import math
import os
import subprocess
import sys
from collections import namedtuple
from typing import Any, ClassVar

import msgspec
import numpy as np
import pydantic
import pytest

from gaistream import core
from gaistream.core import json as _json


class Installed:
    """A JSON library, with which the core that runs writes payloads."""

    def __init__(self, library):
        self.library = library
        self.name = library.name
        self._load = lambda: library

    def dumps(self, payload, **options):
        core.install_json(self._load)
        try:
            return core.json_bytes(payload, **options)
        finally:
            core.install_json(core.load_json_library)


STANDARD = Installed(_json.STANDARD)
MSGSPEC = Installed(_json.msgspec_library())
LIBRARIES = {each.name: each for each in (Installed(_json.library), MSGSPEC, STANDARD)}
needs_orjson = pytest.mark.skipif("orjson" not in LIBRARIES, reason="orjson is not installed")


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "not what it holds"


class Whole(int):
    def __index__(self):
        return 42


class Real(float):
    pass


class Many(list):
    def __iter__(self):
        return iter(["not what it holds"])


class Mapping(dict):
    def items(self):
        return {"not": "what it holds"}.items()


class Three(tuple):
    __slots__ = ()


class Moment(dt.datetime):
    pass


Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, ["x"])
    NOTHING = None
    BAD = frozenset()


class Level(enum.IntEnum):
    LOW = 1


class Label(str, enum.Enum):  # noqa: UP042 - the older kind
    ONE = "one"


class Titled(str, enum.Enum):  # noqa: UP042 - StrEnum takes one value
    ONE = "one", "Title"

    def __new__(cls, text, title):
        made = str.__new__(cls, text)
        made._value_ = title
        return made


class Measure(np.float64, enum.Enum):
    A = 1.5

    @property
    def value(self):
        return "Measure"


class Deep(enum.Enum):
    A = {"k": [1, {2}]}


class Flags(enum.Flag):
    A = 1
    B = 2


class ChoicesType(enum.EnumMeta):
    """Such as Django's: orjson knows enums only by the exact metaclass."""


class Choice(enum.Enum, metaclass=ChoicesType):
    A = "a"


@dataclasses.dataclass
class Record:
    a: Any = 1
    _hidden: int = 2
    shared: ClassVar[int] = 3
    given: dataclasses.InitVar[int] = 4
    later: int = dataclasses.field(init=False, default=5)

    @functools.cached_property
    def cached(self):
        return 6


@dataclasses.dataclass(slots=True)
class Slotted:
    a: Any = 1
    _hidden: int = 2
    later: int = dataclasses.field(init=False, default=5)


class Undecorated(Record):
    pass


class UndecoratedSlotted(Slotted):
    pass


@dataclasses.dataclass
class RecordText(str):
    a: int = 1


@dataclasses.dataclass
class RecordTuple(tuple):
    a: int = 1


class Model(pydantic.BaseModel):
    x: Any = None
    f: float | None = pydantic.Field(None, serialization_alias="number")


class ConstantsModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(ser_json_inf_nan="constants")
    f: float = math.inf


class OwnJSONModel(pydantic.BaseModel):
    def model_dump_json(self, **_):
        return '{"own":\n[NaN, 1e5, "\u2028"]}'


class OwnDumpModel(pydantic.BaseModel):
    def model_dump(self, **_):
        return {"own": math.nan}


class FailingModel(pydantic.BaseModel):
    def model_dump_json(self, **_):
        raise RuntimeError("no dump today")


class Packed(msgspec.Struct, rename={"x": "X"}, tag=True):
    x: Any = None


class UnknownZone(dt.tzinfo):
    def utcoffset(self, _):
        return None


class FailingZone(dt.tzinfo):
    def utcoffset(self, _):
        raise RuntimeError("no offset")


@dataclasses.dataclass(slots=True)
class Guarded:
    a: int = 1


def _fail(_):
    raise RuntimeError("no getting")


Guarded.a = property(_fail)


class FailingEnum(enum.Enum):
    A = 1

    @property
    def value(self):
        raise RuntimeError("no value")


def record(**attributes):
    made = Record()
    vars(made).update(attributes)
    return made


def moment(**offset):
    return dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(**offset)))


def nested(kind, depth, inside=1):
    for _ in range(depth):
        inside = kind(inside)
    return inside


def in_a_child(code, **environment):
    """Run code in a process of its own, with the same modules, and give what it printed."""
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")
