"""Compilation of the search's inner loops to machine code, kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from cloud.dispatching.search import cache

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = cache.folder()
if FOLDER is not None:
    settings: Any = numba.config
    settings.CACHE_DIR = str(FOLDER)


def compiled(function: F) -> F:
    """``function`` as machine code that runs without the interpreter's lock; its signature stays."""
    return cast(F, numba.njit(cache=FOLDER is not None, nogil=True, error_model="numpy")(function))
