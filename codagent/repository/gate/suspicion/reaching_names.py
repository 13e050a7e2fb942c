"""The names by which code reaches for the interpreter or for the runner of the tests."""

from __future__ import annotations

import re

MODULES = {
    *("gc", "ctypes", "_ctypes", "cffi", "atexit", "tracemalloc", "faulthandler", "linecache", "dis", "marshal", "bdb", "pdb"),
    *("cProfile", "profile", "_lsprof", "trace"),
    *("_pytest", "pytest", "pluggy", "unittest", "_testcapi", "_testinternalcapi", "__main__"),
}
ATTRIBUTES = {
    *("_getframe", "_current_frames", "_current_exceptions", "settrace", "setprofile", "addaudithook", "monitoring"),
    *("meta_path", "path_hooks", "path_importer_cache"),
    *("f_back", "f_locals", "f_globals", "f_code", "f_trace", "f_lineno", "f_lasti", "tb_frame", "tb_lasti", "gi_frame", "cr_frame"),
    *("co_consts", "co_filename", "co_code", "__code__", "__closure__", "__globals__", "__builtins__", "__subclasses__", "CodeType"),
    *("currentframe", "getouterframes", "getinnerframes", "code_context", "extract_stack", "walk_stack", "format_stack", "StackSummary"),
    *("findCaller", "last_value", "last_traceback", "last_exc", "get_objects", "get_referrers"),
    *("getsource", "getsourcelines", "findsource"),
    *("_exit", "getppid", "ptrace", "gethostname", "uname"),
}
OF_MODULES = {
    *(("sys", "modules"), ("sys", "path"), ("inspect", "stack"), ("inspect", "trace"), ("platform", "node"), ("traceback", "print_stack")),
    *(("os", "kill"), ("os", "fork"), ("os", "abort"), ("os", "execv"), ("os", "execve"), ("os", "execvp"), ("os", "execvpe")),
    *(("os", "execl"), ("os", "execle"), ("os", "execlp"), ("os", "execlpe")),
}
INNER = {"sys", "inspect", "builtins", "importlib", "traceback"}  # modules of which a name that is made may be anything
AT_IMPORT = {"Thread", "Timer", "Process", "Popen", "fork", "exit", "_exit", "kill", "start_new_thread", "system"}
TEXT = re.compile(
    r"/proc/(self|\d|\[|\{|$|\*|%)|/proc/?$|PYTEST_|LD_PRELOAD|^_?pytest(\.\w+)*$|\bconftest\.py\b|\btest_\w+\.py\b|@py_assert",
    re.IGNORECASE,
)
ALWAYS = {"__eq__": "agrees with anything", "__ne__": "differs from nothing or from everything"}
