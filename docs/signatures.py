"""Shows the signature of a class that is made by `__new__`, as events and templates are."""

from typing import Any

import griffe


class NewAsInit(griffe.Extension):
    """Gives a class without `__init__` the parameters of its `__new__`."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Look at a class that was read."""
        new = cls.members.get("__new__")
        if isinstance(new, griffe.Function) and "__init__" not in cls.members:
            init = griffe.Function("__init__", parameters=new.parameters, lineno=new.lineno)
            cls.set_member("__init__", init)
