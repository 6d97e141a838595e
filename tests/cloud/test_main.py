"""``onelot cloud``: what ends it is said in one line that names the file."""

import pytest

from cloud.main import run


def test_a_file_that_cannot_be_used_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        raise PermissionError(13, "Permission denied", "/srv/onelot/lock")

    assert run(work) == 1
    assert capsys.readouterr().err == "onelot cloud: [Errno 13] Permission denied: '/srv/onelot/lock'\n"


def test_an_error_without_a_file_is_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        raise OSError(98, "cannot listen on 127.0.0.1:80")

    assert run(work) == 1
    assert capsys.readouterr().err == "onelot cloud: cannot listen on 127.0.0.1:80\n"
