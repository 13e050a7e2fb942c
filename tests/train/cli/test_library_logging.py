"""What libraries tell programmers is not shown to a person."""

import warnings

from codagent_train.cli.library_logging import silence_libraries


def test_no_warning_about_what_a_library_will_change_is_shown():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        silence_libraries()
        warnings.warn_explicit("`a` is deprecated", FutureWarning, "module.py", 1, module="torch.nn.modules.module")
        warnings.warn_explicit("a bug of ours", RuntimeWarning, "module.py", 1, module="codagent_train.files")
    assert [warning.category for warning in shown] == [RuntimeWarning]
