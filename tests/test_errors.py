"""Which errors of the system a person can mend, and which are bugs."""

import errno
import os

import pytest

from codagent.errors import explain_system_error


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, 7), (errno.EDQUOT, 7), (errno.EACCES, 2), (errno.EROFS, 2), (errno.ENAMETOOLONG, 2), (errno.EMFILE, 2)],
)
def test_an_error_of_the_machine_has_a_sentence_and_an_exit_code(number, code):
    assert explain_system_error(OSError(number, os.strerror(number), "a/file")) == (code, f"a/file: {os.strerror(number)}")
    assert explain_system_error(OSError(number, os.strerror(number))) == (code, f"this machine: {os.strerror(number)}")


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EBADF, errno.ECHILD])
def test_any_other_error_of_the_system_is_a_bug(number):
    bug = OSError(number, os.strerror(number))
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        explain_system_error(bug)
    assert raised.value is bug
