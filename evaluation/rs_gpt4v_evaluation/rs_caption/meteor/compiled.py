"""Compiles METEOR's inner loops with numba.

A module has one `compiled` function and what it calls, `inner`: numba keeps compiled code until the
module of the outermost function changes, whatever becomes of other modules that it calls.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile ``function`` at its first call; kept on disk for the next process.

    Where neither the package's folder nor the user's cache can be written, each process compiles
    anew: slower by seconds, otherwise the same. ``NUMBA_CACHE_DIR`` names another folder.
    """
    try:
        return cast("_Function", njit(cache=True)(function))
    except RuntimeError:  # "no locator available"
        return cast("_Function", njit(function))


def inner(function: _Function) -> _Function:
    """Compile ``function`` as part of a compiled one; Python cannot call it."""
    return cast("_Function", njit(no_cpython_wrapper=True)(function))  # pyright: ignore[reportCallIssue]
