import json

import pytest

from codagent.repository import tools
from codagent.sandbox.local import LocalSandbox
from codagent.types import Profile, ToolCall


@pytest.fixture
def sandbox():
    local = LocalSandbox()
    yield local
    local.close()


def use(sandbox, name, profile=None, **arguments):
    return tools.call(sandbox, ToolCall("c", name, json.dumps(arguments)), profile or Profile())


def test_bash_tells_exit_code_and_output(sandbox):
    assert use(sandbox, "bash", command="echo out; echo err >&2; exit 3") == "exit 3\nout\nerr"


def test_a_command_past_its_time_is_said_to_be_killed(sandbox):
    assert use(sandbox, "bash", command="echo before; sleep 60", seconds=1).startswith("exit 124 (killed at its time limit")


def test_long_output_is_cut_and_the_rest_lies_in_a_file(sandbox):
    answer = use(sandbox, "bash", Profile(output_lines=4), command="seq 1000")
    first, *shown = answer.splitlines()
    assert shown == ["1", "2", "[… 996 lines, 3,880 bytes left out …]", "999", "1000"]
    path = first.partition("output is in ")[2].rstrip(")")
    assert use(sandbox, "bash", command=f"wc -l < {path}") == "exit 0\n1000"


def test_control_sequences_never_reach_the_model(sandbox):
    assert use(sandbox, "bash", command=r"printf '\033[31mred\033[0m\007'") == "exit 0\nred\\x07"


def test_write_then_read(sandbox):
    assert use(sandbox, "write", path="a/b.txt", content="one\ntwo") == "ok wrote a/b.txt (2 lines)"
    assert use(sandbox, "read", path="a/b.txt") == "ok a/b.txt, lines 1-2 of 2\none\ntwo"
    assert use(sandbox, "read", path="a/b.txt", from_line=2) == "ok a/b.txt, lines 2-2 of 2\ntwo"


def test_reading_what_is_not_there_or_not_text_is_answered(sandbox):
    use(sandbox, "bash", command=r"mkdir d; touch d/x; printf 'a\0b' > bin")
    assert use(sandbox, "read", path="nothing") == "error: nothing: no such file or directory"
    assert use(sandbox, "read", path="d") == "exit 0\nx"
    assert use(sandbox, "read", path="bin") == "error: bin is binary (3 bytes)"


def test_a_path_that_begins_with_a_slash_and_leads_nowhere_is_one_of_the_repository(sandbox):
    sandbox.write("src/a.py", b"x = 1\n")
    assert use(sandbox, "edit", path="/src/a.py", old="x = 1", new="x = 2") == "ok src/a.py: replaced 1 match"
    assert use(sandbox, "read", path="/nowhere/b.py").startswith("error: /nowhere/b.py: no such file")


def test_edit_replaces_the_only_match(sandbox):
    use(sandbox, "write", path="f", content="a = 1\nb = 2\n")
    assert use(sandbox, "edit", path="f", old="b = 2", new="b = 3") == "ok f: replaced 1 match"
    assert sandbox.read("f") == b"a = 1\nb = 3\n"


def test_edit_keeps_bytes_that_are_not_utf8_and_crlf(sandbox):
    sandbox.write("f", b"caf\xe9\r\nold\r\nend\r\n")
    assert use(sandbox, "edit", path="f", old="old\nend", new="new\nend").startswith("ok f: replaced 1 match")
    assert sandbox.read("f") == b"caf\xe9\r\nnew\r\nend\r\n"


@pytest.mark.parametrize(
    ("content", "old", "new", "result"),
    [
        ("x = 'a'  \ny\n", "x = ‘a’\ny", "x = 'b'\ny", "x = 'b'\ny\n"),  # curly quotes, trailing space
        ("a\nb\nc\n", "b\n", "", "a\nc\n"),
        ("a\n  b \nc\n", "  b\n", "", "a\nc\n"),
        ("last", "last", "first", "first"),
    ],
)
def test_edit_tolerates_quotes_and_trailing_space(content, old, new, result):
    assert tools.replace_text(content, old, new)[0] == result


IN_CLASS = "class A:\n    def f(self):\n        if x:\n            return 1\n        return 2\n"


@pytest.mark.parametrize(
    ("content", "old", "new", "result"),
    [
        (IN_CLASS, "if x:\n    return 1\n", "if y:\n    return 1\n", IN_CLASS.replace("if x", "if y")),  # copied without its indentation
        (
            IN_CLASS,
            "            if x:\n                return 1",
            "            if y:\n                z()",
            IN_CLASS.replace("x:\n            return 1", "y:\n            z()"),
        ),
        (IN_CLASS, "\treturn 2", "\treturn 3", IN_CLASS),  # tabs for spaces: not the same
        (
            IN_CLASS,
            "def f(self):\n    if x:\n",
            "def f(self):\n\n    # y\n    if x:\n",
            IN_CLASS.replace("self):\n", "self):\n\n        # y\n"),
        ),
        ("if a:\r\n    b = 1\r\n", "        b = 1\n", "        b = 2\n        c = 3\n", "if a:\r\n    b = 2\r\n    c = 3\r\n"),
        (IN_CLASS, "      if x:\n        return 1\n", "", IN_CLASS),  # moved by 2 and by 4: not the same
    ],
)
def test_edit_finds_lines_that_are_indented_by_more_or_less(content, old, new, result):
    changed, report = tools.replace_text(content, old, new)
    assert (changed or content) == result
    assert "0 matches" in report if changed is None else report == "replaced 1 match (it differed in indentation)"


@pytest.mark.parametrize(
    ("content", "old", "said"),
    [
        ("a\nb\na\n", "a", "occurs 2 times, in lines 1, 3"),
        ("  a\nb\n    a\n", "      a\n", "occurs 2 times, in lines 1, 3"),
        ("def total(xs):\n", "def totl(xs):", "0 matches); the nearest line is 1: def total(xs):"),
        ("a\n", "", "`old` is empty"),
        ("a\n", "new", "are the same"),
    ],
)
def test_an_edit_that_cannot_be_done_says_why(content, old, said):
    changed, why = tools.replace_text(content, old, "new")
    assert changed is None
    assert said in why


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"a\r\nb\r\n", "a", "x\ny", b"x\r\ny\r\nb\r\n"),
        (b"a\r\nb\r\nc\r\n", "a\nb\n", "x\n", b"x\r\nc\r\n"),
        (b"a\r\nb \r\nc\r\n", "a\nb\nc", "x\ny", b"x\r\ny\r\n"),  # it differs in trailing space too
        (b"a\nb\n", "a", "x\r\ny", b"x\ny\nb\n"),
        (b"a\r\nb\nc\r\n", "b", "x\ny", b"a\r\nx\ny\nc\r\n"),  # a file of both kinds: as the line that goes
        (b"a\rb\n", "a\rb", "x\ny", b"x\ny\n"),  # a CR alone ends no line
        (b"a\nlast\n", "last\n", "end", b"a\nend\n"),
        (b"a\r\nlast\r\n", "last\r\n", "end", b"a\r\nend\r\n"),
        (b"a\nlast", "last", "end", b"a\nend"),
        (b"a\nlast", "last", "last\n", b"a\nlast\n"),
        (b"\xef\xbb\xbfa\r\n", "a", "\u00e9", b"\xef\xbb\xbf\xc3\xa9\r\n"),
        (b"caf\xe9\n", "caf\u00e9", "th\u00e9", b"th\xe9\n"),
        (b"caf\xe9 \xc3\xa9\n", "caf", "th\u00e9 ", b"th\xc3\xa9 \xe9 \xc3\xa9\n"),  # UTF-8 with a byte that is wrong
        ("\ufeffa\r\nb\r\n".encode("utf-16-le"), "a", "x\ny", "\ufeffx\r\ny\r\nb\r\n".encode("utf-16-le")),
    ],
)
def test_edit_keeps_line_ends_encoding_and_last_line(sandbox, before, old, new, after):
    sandbox.write("f", before)
    assert use(sandbox, "edit", path="f", old=old, new=new).startswith("ok f: replaced 1 match")
    assert sandbox.read("f") == after


@pytest.mark.parametrize(
    ("before", "content", "after"),
    [
        (b"a\r\nb\r\n", "x\ny\n", b"x\r\ny\r\n"),
        (b"a\r\nb\r\n", "x\ny", b"x\r\ny\r\n"),
        (b"a\nb\n", "x\r\n", b"x\n"),
        (b"a", "x", b"x"),
        (b"a\nb", "x\ny", b"x\ny"),
        (b"a", "x\n", b"x\n"),
        (b"", "x", b"x\n"),
        (b"\xef\xbb\xbfa\n", "x", b"\xef\xbb\xbfx\n"),
        (b"\xe9\n", "\u00e8", b"\xe8\n"),
        ("\ufeffa\n".encode("utf-16-be"), "x", "\ufeffx\n".encode("utf-16-be")),
    ],
)
def test_write_keeps_line_ends_encoding_and_last_line(sandbox, before, content, after):
    sandbox.write("f", before)
    assert use(sandbox, "write", path="f", content=content).startswith("ok wrote f")
    assert sandbox.read("f") == after


@pytest.mark.parametrize(("name", "change"), [("edit", {"old": "caf", "new": "\u2192"}), ("write", {"content": "\u2192\n"})])
def test_what_the_encoding_of_a_file_lacks_is_said(sandbox, name, change):
    sandbox.write("f", b"caf\xe9\n")
    assert use(sandbox, name, path="f", **change) == "error: f is encoded as cp1252, which lacks '\u2192'; write that in another way"
    assert sandbox.read("f") == b"caf\xe9\n"


@pytest.mark.parametrize("old", ["\n", "\n\n", "\r\n", "x"])
def test_an_edit_of_an_empty_file_is_answered(sandbox, old):
    sandbox.write("f", b"")
    answer = use(sandbox, "edit", path="f", old=old, new="y\n")
    assert answer == "error: f: `old` does not occur, because the file is empty; use write to fill it"


def test_newlines_alone_match_nothing_but_newlines(sandbox):
    sandbox.write("f", b"a\nb\n")
    assert "0 matches" in use(sandbox, "edit", path="f", old="\n\n", new="y")
    assert use(sandbox, "edit", path="f", old="\n", new="y").startswith("error: f: `old` occurs 2 times, in lines 1, 2")


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\r"])
def test_lines_are_those_of_git_and_grep(sandbox, mark):
    sandbox.write("f", f"a = 1\n{mark}\nb = '{mark}'\nc = 3\nc = 3\n".encode())
    assert use(sandbox, "read", path="f", from_line=4, lines=1) == "ok f, lines 4-4 of 5\nc = 3"
    assert "in lines 4, 5;" in use(sandbox, "edit", path="f", old="c = 3", new="d")
    assert "the nearest line is 4: c = 3" in use(sandbox, "edit", path="f", old="c = 33", new="d")


@pytest.mark.parametrize(
    ("path", "old", "new", "why"),
    [
        ("m.py", "    return x", "    return x\n    elif x:", "line 4: invalid syntax"),
        ("m.py", "    return x", "  return x", "line 3: unindent does not match any outer indentation level"),
        ("m.py", "    return x\n", "    pass\nif f(1):\n    return None\n", "line 5: 'return' outside function"),
        ("m.py", "    return x\n", "    pass\nclass C:\n    try:\n        f()\n    except E:\n        return 1\n", "line 8: 'return'"),
        ("m.py", "    return x", "    return x\n    x = 1", ""),
        ("py2.py", "print 1", "print 2 2", ""),  # it was none before
        ("m.txt", "    return x", "    elif", ""),
    ],
)
def test_an_edit_after_which_a_file_is_not_python_is_told_and_not_made_for_a_small_model(sandbox, path, old, new, why):
    text = "print 1\n" if path == "py2.py" else "def f(x):\n    x += 1\n    return x\n"
    for profile in (Profile(tools=("edit", "finish")), Profile()):
        sandbox.write(path, text.encode())
        said = use(sandbox, "edit", profile, path=path, old=old, new=new)
        is_made = not (why and profile.tools)
        assert said.startswith(f"ok {path}: replaced 1 match" if is_made else f"error: {path}: nothing was replaced, because")
        assert why in said
        assert ("Python 3" in said) == bool(why)
        assert (sandbox.read(path) == text.encode()) != is_made


def test_define_keeps_the_line_ends_and_the_mark_of_a_file(sandbox):
    profile = Profile(tools=("define",))
    sandbox.write("m.py", b"\xef\xbb\xbfdef f():\r\n    return 1\r\n\r\n\r\ndef g():\r\n    return 2\r\n")
    assert use(sandbox, "define", profile, path="m.py", content="def f():\n    x = 3\n    return x\n") == "ok m.py: defined f"
    expected = b"\xef\xbb\xbfdef f():\r\n    x = 3\r\n    return x\r\n\r\n\r\ndef g():\r\n    return 2\r\n"
    assert sandbox.read("m.py") == expected


def test_define_replaces_a_function_and_keeps_the_rest(sandbox):
    profile = Profile(tools=("define",))
    sandbox.write("m.py", b"def f():\n    return 1\n\n\ndef g():\n    return 2\n")
    assert use(sandbox, "define", profile, path="m.py", content="def f():\n    return 3\n") == "ok m.py: defined f"
    assert sandbox.read("m.py") == b"def f():\n    return 3\n\n\ndef g():\n    return 2\n"
    assert use(sandbox, "define", profile, path="m.py", content="def f(:").startswith("error: m.py or its new part is not Python")


@pytest.mark.parametrize(
    ("old", "written"),
    [
        ("def f(): ...\n\n\ndef g():\n    return 1\n", "def f(): ...\n\n\ndef g():\n    return 2\n"),  # what it lacks stays
        ("def g(:\n", "def g():\n    return 2\n"),  # nothing of it can be kept
        ("LIMIT = 3\n", "def g():\n    return 2\n"),
    ],
)
def test_a_model_that_may_define_loses_no_function_by_a_write(sandbox, old, written):
    sandbox.write("m.py", old.encode())
    profile = Profile(tools=("define", "write", "finish"))
    assert use(sandbox, "write", profile, path="m.py", content="def g():\n    return 2\n").startswith("ok ")
    assert sandbox.read("m.py").decode() == written
    assert use(sandbox, "write", path="m.py", content="x = 1\n") == "ok wrote m.py (1 lines)"  # any other model means what it says
    assert sandbox.read("m.py") == b"x = 1\n"


def test_define_finds_the_only_file_that_has_the_function(sandbox):
    profile = Profile(tools=("define",))
    sandbox.run("git init -q", timeout=60)
    sandbox.write("m.py", b"def f():\n    return 1\n\n\ndef both():\n    return 1\n")
    sandbox.write("other.py", b"def both():\n    return 2\n")
    assert use(sandbox, "define", profile, path="other.py", content="def f():\n    return 3\n") == "ok m.py: defined f"
    assert use(sandbox, "define", profile, path="PATH", content="def f():\n    return 4\n") == "ok m.py: defined f"
    assert use(sandbox, "define", profile, path="other.py", content="def both():\n    return 5\n") == "ok other.py: defined both"
    assert use(sandbox, "define", profile, path="PATH", content="def both():\n    return 6\n") == "error: PATH: no such file or directory"
    assert use(sandbox, "define", profile, path="other.py", content="x = 1\n") == "ok other.py: defined what was not there"


def test_search_finds_and_says_when_nothing_is_found(sandbox):
    use(sandbox, "write", path="src/m.py", content="x\ndef target():\n")
    assert "src/m.py:2:def target():" in use(sandbox, "search", pattern=r"def \w+")
    assert use(sandbox, "search", pattern="absent") == "exit 1\nnothing found"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (ToolCall("c", "dance", "{}"), "there is no tool 'dance'; there are bash, read"),
        (ToolCall("c", "bash", "{not json"), "are not whole or not valid JSON"),
        (ToolCall("c", "bash", "[1]"), "not a JSON object"),
        (ToolCall("c", "bash", "{}"), "bash needs 'command', a string"),
        (ToolCall("c", "bash", '{"command": "true", "seconds": "soon"}'), "must be a whole number"),
        (ToolCall("c", "bash", '{"command": "true", "seconds": "' + "9" * 5000 + '"}'), "must be a whole number"),
        (ToolCall("c", "bash", '{"command": "true", "seconds": ' + "9" * 400 + "}"), "are not whole or not valid JSON"),
        (ToolCall("c", "bash", '{"command": "true", "seconds": ' + "9" * 5000 + "}"), "are not whole or not valid JSON"),
        (ToolCall("c", "read", '{"path": "a", "from_line": "' + "9" * 5000 + '"}'), "must be a whole number"),
        (ToolCall("c", "bash", "[" * 50_000), "are not whole or not valid JSON"),
        (ToolCall("c", "bash", '{"command": ' * 50_000), "are not whole or not valid JSON"),
        (ToolCall("c", "read", r'{"path": "a\u0000b"}'), "holds a NUL byte"),
        (ToolCall("c", "write", r'{"path": "a\u0000b", "content": ""}'), "holds a NUL byte"),
        (ToolCall("c", "search", '{"pattern": "x", "path": 3}'), "must be a string"),
        (ToolCall("c", "edit", '{"path": "none", "old": "a", "new": "b"}'), "none: no such file"),
    ],
)
def test_a_wrong_call_is_answered(sandbox, call, said):
    answer = tools.call(sandbox, call, Profile())
    assert answer.startswith("error: ")
    assert said in answer


HALF = r"\ud83d"


@pytest.mark.parametrize("half", [HALF, "\ud83d"], ids=["escaped", "raw"])
@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("bash", {"command": "echo HALF"}, "exit 0\n\ufffd"),
        ("write", {"path": "HALF", "content": "HALF"}, "ok wrote \ufffd (1 lines)"),
        ("edit", {"path": "f", "old": "x", "new": "HALF"}, "ok f: replaced 1 match"),
        ("edit", {"path": "HALF", "old": "x", "new": "y"}, "error: \ufffd: no such file or directory"),
        ("read", {"path": "HALF"}, "error: \ufffd: no such file or directory"),
        ("search", {"pattern": "HALF", "path": "HALF"}, "exit "),
        ("define", {"path": "f.py", "content": "def f():\n    return 'HALF'"}, "ok f.py: defined f"),
    ],
)
def test_half_a_character_in_an_argument_is_replaced(sandbox, name, arguments, answer, half):
    sandbox.write("f", b"x\n")
    sandbox.write("f.py", b"def f():\n    pass\n")
    call = ToolCall("c", name, json.dumps(arguments).replace("HALF", half))
    assert tools.call(sandbox, call, Profile(tools=(name,))).startswith(answer)


def test_bytes_that_are_not_utf8_can_be_written(sandbox):
    tools.call(sandbox, ToolCall("c", "write", r'{"path": "f", "content": "caf\udce9\n"}'), Profile())
    assert sandbox.read("f") == b"caf\xe9\n"


def test_python_that_is_nested_too_deeply_is_answered(sandbox):
    sandbox.write("f.py", b"def f():\n    pass\n")
    for expression in ("-" * 100_000 + "1", "a." * 20_000 + "b", "(" * 3000):
        answer = use(sandbox, "define", Profile(tools=("define",)), path="f.py", content=f"def f():\n    return {expression}\n")
        assert answer.startswith("error: f.py or its new part is not Python")


def test_raw_newlines_in_arguments_are_understood(sandbox):
    assert tools.call(sandbox, ToolCall("c", "bash", '{"command": "echo a\necho b"}'), Profile()) == "exit 0\na\nb"


def test_a_profile_offers_only_its_tools(sandbox):
    profile = Profile(tools=("write", "finish"))
    assert [tool.name for tool in tools.select_tools(profile)] == ["write", "finish"]
    assert "there is no tool 'bash'" in use(sandbox, "bash", profile, command="true")


def test_prompt_and_tools_stay_small():
    from codagent.prompts import prompt

    told = prompt("system") + json.dumps([[tool.name, tool.description, dict(tool.parameters)] for tool in tools.TOOLS])
    assert len(told.encode()) / 4 <= 1_500 * 0.75  # tokens, with a margin for a tokenizer that is worse than four bytes a token


@pytest.mark.parametrize(
    ("name", "arguments", "answer", "touched"),
    [
        ("read", {"path": "pkg/x.py"}, "ok pkg/x.py, lines 1-1 of 1", ("pkg/x.py",)),
        ("search", {"pattern": "x"}, "exit 0", ("",)),
        ("define", {"path": "x.py", "content": "def f(): ..."}, "ok pkg/y.py: defined f", ("pkg/y.py", "x.py")),
        ("bash", {"command": "cd 'pkg'&&cat <x.py"}, "exit 1", ("cd", "pkg", "cat", "x.py")),
        ("read", {"path": "pkg/x.py"}, "error: pkg/x.py: no such file", ()),
    ],
)
def test_a_call_touches_the_paths_that_it_names(name, arguments, answer, touched):
    assert tools.touched_paths(ToolCall("c", name, json.dumps(arguments)), answer) == touched
