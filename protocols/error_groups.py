"""What went wrong in tasks that ran side by side, one error at a time."""

from __future__ import annotations

from collections.abc import Iterator


def leaves(errors: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors in a group, however deep they lie."""
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
