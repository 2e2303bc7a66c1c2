"""What `@flow` makes of a function."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from . import _names, _native, _play, _step
from ._errors import DefinitionError
from ._options import PLAIN, Options
from ._wire import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._arguments import Parameters
    from ._codec import Codec

P = ParamSpec("P")
R = TypeVar("R")

# `inspect` has names for these, and takes longer to import than everything else here.
_CO_GENERATOR, _CO_COROUTINE, _CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200


class Flow(Generic[P, R]):
    """A function that is a flow: the root of a play, or a step of whatever flow calls it.

    In a running play a call is looked up first: if an earlier launch ended it, its outcome is returned or
    raised again and the body does not run. Outside a play it is the plain function.

    Attributes:
        function: The function that was decorated.
        given_name: The `name=` of the decorator, or None.
        options: What else was said there.
        recognizer: The play in which it was called last, and what recognises its calls there.
        is_async: Whether calling it gives a coroutine.
    """

    def __init__(self, function: Callable[P, R], name: str | None = None, options: Options = PLAIN) -> None:
        _refuse_what_cannot_be_a_step(function)
        functools.update_wrapper(cast(Any, self), function)
        self.function = function
        self.given_name = name
        self.options = options
        self.is_async = is_coroutine_function(function)
        self.recognizer: tuple[object, _native.Recognizer | None] = (None, None)
        _current_names().claim(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        play = _play.running
        if play is None:
            return self.function(*args, **kwargs)
        return cast(R, _step.call(play, self, args, kwargs, "step"))

    @property
    def name(self) -> str:
        """What steps and plays of it are called."""
        return _current_names().name_of(self)

    @functools.cached_property
    def parameters(self) -> Parameters:
        """What it takes. Read late, because annotations may name what is defined further down."""
        from ._arguments import Parameters

        return Parameters(self.function, self.name)

    @functools.cached_property
    def returns(self) -> Codec:
        """The codec of its results."""
        if self.options.outputs is None:
            return self.parameters.returns
        from ._arguments import outputs_codec

        return outputs_codec(self.name, self.options.outputs)

    @functools.cached_property
    def source_hash(self) -> str:
        """SHA-1 of the function's own source; of its bytecode where there is no source."""
        import inspect

        try:
            return _native.sha1_hex(inspect.getsource(self.function))
        except (OSError, TypeError):
            code = getattr(self.function, "__code__", None)
            return _native.sha1_hex(code.co_code.hex() if code else repr(type(self.function)))

    @functools.cached_property
    def source(self) -> Source | None:
        """Where it is defined; None for a function that is not written in Python."""
        code = getattr(self.function, "__code__", None)
        return Source(_names.real_path(code.co_filename), code.co_firstlineno) if code else None

    def __reduce__(self) -> str:
        return cast(str, cast(Any, self).__qualname__)

    def __repr__(self) -> str:
        return f"<flow {self.name}>"


def _current_names() -> _names.Names:
    return _play.running.names if _play.running else _names.plain


def is_coroutine_function(function: object) -> bool:
    """Whether calling it gives a coroutine."""
    return bool(_code_flags(function) & _CO_COROUTINE)


def _code_flags(function: object) -> int:
    code = getattr(function, "__code__", None) or getattr(getattr(function, "func", None), "__code__", None)
    return code.co_flags if isinstance(code, types.CodeType) else 0


def _refuse_what_cannot_be_a_step(function: Any) -> None:
    if not callable(function):
        raise DefinitionError(f"`{function!r}` is no function", "options are given by name: @flow(name=…)")
    described = getattr(function, "__qualname__", repr(function))
    if isinstance(function, Flow):
        raise DefinitionError(f"`{described}` is a flow already")
    if _is_method(function):
        raise DefinitionError(
            f"method `{described}` cannot be a flow: `self` would be part of what a call is recognised by",
            "make it a function that takes what it needs from the object",
        )
    if _code_flags(function) & (_CO_GENERATOR | _CO_ASYNC_GENERATOR):
        raise DefinitionError(
            f"generator `{described}` cannot be a flow: it has no result to remember", "return a list"
        )


def _is_method(function: Any) -> bool:
    owner = getattr(function, "__self__", None)
    if owner is not None:
        return not isinstance(owner, (type, types.ModuleType))
    code = getattr(function, "__code__", None)
    first = code.co_varnames[:1] if code and code.co_argcount else ()
    in_class = getattr(function, "__qualname__", "").rpartition(".")[0]
    return first in (("self",), ("cls",)) and in_class != "" and not in_class.endswith("<locals>")
