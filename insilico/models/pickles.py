"""Pickles taken apart without running them: every object stays a description of itself."""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

#: Longest name of a class or function that is repeated in a message.
NAME_LIMIT = 60


class Global:
    """The name of a class or function that a pickle asks for; it is never looked up.

    Parameters
    ----------
    module, name : str
        As the pickle has them.
    """

    __slots__ = ("module", "name")

    def __init__(self, module: Any, name: Any) -> None:
        self.module, self.name = str(module), str(name)

    @property
    def path(self) -> str:
        """Module and name, joined by a period."""
        return f"{self.module}.{self.name}"


class Made:
    """What a pickle would make by a call, with the items and the state that it would add.

    Parameters
    ----------
    maker : object
        What would be called, mostly a :class:`Global`.
    arguments : tuple
        What it would be called with.

    Attributes
    ----------
    items : list of (key, value)
        Assigned entries, in order; keys may repeat and be of any kind.
    """

    __slots__ = ("arguments", "items", "maker")

    def __init__(self, maker: Any, arguments: tuple[Any, ...] = ()) -> None:
        self.maker, self.arguments = maker, arguments
        self.items: list[tuple[Any, Any]] = []


class Reference:
    """A persistent id: how a pickle refers to data that lie outside of it.

    Parameters
    ----------
    id : object
        What the pickle says of the data.
    """

    __slots__ = ("id",)

    def __init__(self, id: Any) -> None:  # noqa: A002 (the word of the pickle module)
        self.id = id


def take_apart(pickle: bytes) -> Any:
    """Read a pickle without importing, calling or changing anything that it names.

    Parameters
    ----------
    pickle : bytes
        Of any protocol.

    Returns
    -------
    object
        Numbers, texts, bytes, None, lists and tuples as they are; everything else, dictionaries
        too, as :class:`Global`, :class:`Made` or :class:`Reference`. It may hold itself and be
        nested deeply.

    Raises
    ------
    ValueError
        If these bytes are no complete pickle.

    References
    ----------
    Operations: the Python standard library, pickletools.
    """
    machine = _Machine()
    try:
        for operation, argument, _ in pickletools.genops(pickle):
            machine.run(operation.name, argument)
        return machine.result
    except (LookupError, TypeError, OverflowError, MemoryError) as error:
        raise ValueError(f"damaged pickle: {error}") from error


def describe(made: object) -> str:
    """Name what a pickle holds, in a few words for a message."""
    match made:
        case Made(maker=Global() as maker):
            return f"an object made by {maker.path[:NAME_LIMIT]!r}"
        case Global():
            return f"the name {made.path[:NAME_LIMIT]!r}"
        case int() | float():
            return "a number"
        case None:
            return "nothing"
        case str() | bytes() | list() | tuple():
            return f"a {type(made).__name__}"
    return "an object"


class _Machine:
    """The stack machine that pickles are written for, with calls replaced by descriptions."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # stacks under each mark
        self._memo: dict[int, Any] = {}
        self.result: Any = None

    def run(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _OPERATIONS:
            _OPERATIONS[name](self, argument)
        elif name not in _IGNORED:
            raise ValueError(f"unknown operation {name}")

    def stop(self, _: Any) -> None:
        if self._below or len(self._stack) != 1:
            raise ValueError("a pickle ends with one object")
        self.result = self._stack.pop()

    def mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def pop_mark(self, _: Any = None) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self.pop_mark()

    def duplicate(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def remember(self, index: Any) -> None:
        self._memo[len(self._memo) if index is None else index] = self._stack[-1]

    def recall(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise ValueError("the stack is empty")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def tuple_from_mark(self, _: Any) -> None:
        items = tuple(self.pop_mark())
        self._stack.append(items)

    def list_from_mark(self, _: Any) -> None:
        items = self.pop_mark()
        self._stack.append(items)

    def dict_from_mark(self, _: Any) -> None:
        items = self.pop_mark()
        self._stack.append(Made(Global("builtins", "dict")))
        self._set(items)

    def set_from_mark(self, _: Any) -> None:
        items = self.pop_mark()
        self._stack.append(Made(Global("builtins", "frozenset"), (items,)))

    def append(self, _: Any) -> None:
        self._extend([self._stack.pop()])

    def append_many(self, _: Any) -> None:
        self._extend(self.pop_mark())

    def set_item(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def set_many(self, _: Any) -> None:
        self._set(self.pop_mark())

    def name(self, argument: str) -> None:
        self._stack.append(Global(*argument.split(" ", 1)))

    def name_from_stack(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name is a text")
        self._stack.append(Global(module, name))

    def extension(self, code: int) -> None:
        self._stack.append(Global("copyreg", f"extension {code}"))

    def call(self, _: Any) -> None:
        arguments, maker = self._stack.pop(), self._stack.pop()
        self._make(maker, arguments)

    def call_with_keywords(self, _: Any) -> None:
        keywords, arguments, maker = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._make(maker, (arguments, keywords))

    def call_by_name(self, argument: str) -> None:
        arguments = tuple(self.pop_mark())
        self._make(Global(*argument.split(" ", 1)), arguments)

    def call_from_mark(self, _: Any) -> None:
        maker, *arguments = self.pop_mark()
        self._make(maker, tuple(arguments))

    def build(self, _: Any) -> None:
        """Drop the state that would be set: no state is needed of what is read."""
        self._stack.pop()
        if not self._stack:
            raise ValueError("the stack is empty")

    def refer(self, argument: str) -> None:
        self._stack.append(Reference(argument))

    def refer_from_stack(self, _: Any) -> None:
        self._stack.append(Reference(self._stack.pop()))

    def _make(self, maker: Any, arguments: Any) -> None:
        if not isinstance(arguments, tuple):
            raise ValueError("arguments are a tuple")
        self._stack.append(Made(maker, arguments))

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Made):
            raise ValueError("only lists and objects grow")

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, Made) or len(items) % 2:
            raise ValueError("only dictionaries and objects take entries, in pairs")
        target.items.extend(zip(items[::2], items[1::2], strict=True))


#: Operations whose argument is the object.
_LITERALS = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    ]
)

#: Operations that make the same object every time.
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": lambda: Made(Global("builtins", "dict")),
    "EMPTY_SET": lambda: Made(Global("builtins", "set")),
    "NEXT_BUFFER": lambda: Reference(None),
}

_IGNORED = frozenset({"PROTO", "FRAME", "READONLY_BUFFER"})

_OPERATIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "STOP": _Machine.stop,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    "TUPLE": _Machine.tuple_from_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "LIST": _Machine.list_from_mark,
    "DICT": _Machine.dict_from_mark,
    "FROZENSET": _Machine.set_from_mark,
    "APPEND": _Machine.append,
    **dict.fromkeys(("APPENDS", "ADDITEMS"), _Machine.append_many),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_many,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_from_stack,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _Machine.extension),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine.call),
    "NEWOBJ_EX": _Machine.call_with_keywords,
    "INST": _Machine.call_by_name,
    "OBJ": _Machine.call_from_mark,
    "BUILD": _Machine.build,
    "PERSID": _Machine.refer,
    "BINPERSID": _Machine.refer_from_stack,
}
