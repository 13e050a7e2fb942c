"""The names by which code reaches for the interpreter or for the runner of the tests."""

from __future__ import annotations

import re

MODULES = {
    *("gc", "ctypes", "_ctypes", "cffi", "atexit", "tracemalloc", "faulthandler", "linecache", "dis", "marshal", "bdb", "pdb"),
    *("cProfile", "profile", "_lsprof", "trace"),
    *("_pytest", "pytest", "pluggy", "unittest", "_testcapi", "_testinternalcapi", "__main__"),
}
# Modules of the first kind that other modules import, so that they can be had by these: `traceback.linecache`.
HIDDEN = {"gc", "ctypes", "_ctypes", "atexit", "linecache", "marshal", "_pytest", "pytest", "unittest", "tokenize"}
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
# The same in other languages, for checks that have only an exit code.
OTHER_LANGUAGES = {
    (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"): re.compile(
        r"process\.(exit\(\s*0?\s*\)|reallyExit|exitCode\s*=\s*0|(on|once)\(\s*['\"](exit|beforeExit|uncaughtException))"
        r"|\bassert['\"]\)(\.\w+)*\s*=[^=]|\bassert(\.\w+)+\s*=[^=]|require\.cache|\bModule\._\w+|node:(vm|module|inspector|test)\b"
        r"|\b(global|globalThis)(\.|\[\s*['\"])(expect|it|test|describe|assert|process)\b|\bObject\.is\s*=[^=]"
        r"|\b(Object|Array|Number|String|Promise|Function)\.prototype\.\w+\s*=[^=]"
    ),
    (".go",): re.compile(
        r'os\.Exit\(0\)|syscall\.(Exit|Kill)|runtime\.(Goexit|Callers?)\b|go:linkname|"(testing|unsafe)"|"-?test\.|func TestMain'
    ),
    (".rs",): re.compile(
        r"process::exit\(\s*0|libc::_?exit|catch_unwind|set_hook|cfg!?\(test|macro_rules!\s*(debug_)?assert|\bctor\b"
        r"|fn\s+(eq|ne)\b[^{]*\{\s*(true|false)\s*\}"
    ),
    (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp"): re.compile(
        r"\b(_?exit|quick_exit|_Exit)\(\s*0\s*\)|\batexit\b|constructor\)\)|#\s*define\s+assert"
    ),
    (".rb", ".php", ".pl", ".java", ".kt", ".cs"): re.compile(
        r"\bat_exit\b|\bexit!|register_shutdown_function|\bEND\s*\{|\b(exit|halt|Exit)\(\s*0\s*\)|addShutdownHook|setAccessible"
    ),
    (".sh", ".bash"): re.compile(r"\btrap\b.*\bexit\b|\$\{?PPID\b|^\s*(\[|test)\s*\(\)"),
}
ALWAYS = {"__eq__": "agrees with anything", "__ne__": "differs from nothing or from everything"}
