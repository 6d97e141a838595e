"""Compilation of the search's inner loops to machine code, kept on disk where that is possible.

What is not compiled yet, or cannot be, runs as plain Python: slow but the same.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any, TypeVar, cast

from cloud.dispatching.solving.search import cache

F = TypeVar("F", bound=Callable[..., Any])

_plain: ContextVar[bool] = ContextVar("plain", default=False)


def compiled(function: F) -> F:
    """``function`` as machine code that runs without the interpreter's lock; its signature stays.

    Where numba is not installed, or while a module is loaded by :func:`interpreted`, it stays as it is.
    """
    if _plain.get() or not cache.available():
        return function
    import numba

    folder = cache.folder()
    if folder is not None:
        settings: Any = numba.config
        settings.CACHE_DIR = str(folder)
    return cast(F, numba.njit(cache=folder is not None, nogil=True, error_model="numpy")(function))


def interpreted(name: str) -> ModuleType:
    """A second copy of a module of compiled functions that runs without numba."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"no module named {name!r}")
    module = importlib.util.module_from_spec(spec)
    token = _plain.set(True)
    try:
        spec.loader.exec_module(module)
    finally:
        _plain.reset(token)
    return module
