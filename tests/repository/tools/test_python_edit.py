import textwrap

import pytest

from codagent.repository.tools.python_edit import redefine

OLD = '''"""A module."""

from __future__ import annotations

LIMIT = 3


def first(x):
    return x


class Box:
    """Holds."""

    def get(self, key):
        return 1

    def put(self, key):
        return 2


def last(x):
    return x + LIMIT
'''


def test_a_function_takes_the_place_of_its_namesake():
    text, names = redefine(OLD, "def first(x):\n    # better\n    return x * 2\n")
    assert names == ("first",)
    assert text == OLD.replace("    return x\n", "    # better\n    return x * 2\n", 1)


def test_a_method_finds_its_class():
    text, names = redefine(OLD, "def put(self, key):\n    return 3\n")
    assert names == ("put",)
    assert text == OLD.replace("return 2", "return 3")


def test_a_class_with_some_methods_changes_only_these():
    text, _ = redefine(OLD, "class Box:\n    def get(self, key):\n        return 9\n")
    assert text == OLD.replace("return 1", "return 9")


def test_a_whole_file_is_taken_whole():
    new = OLD.replace("LIMIT = 3", "LIMIT = 4")
    assert redefine(OLD, new) == (new, ("first", "Box", "last"))


def test_what_is_missing_from_the_answer_stays():
    text, _ = redefine(OLD, '"""A module."""\n\n\ndef last(x):\n    return x\n\n\ndef first(x):\n    return 0\n')
    assert text == OLD.replace("return x + LIMIT", "return x").replace("    return x\n", "    return 0\n", 1)


def test_new_imports_and_new_helpers_are_added():
    text, _ = redefine(OLD, "import math\n\n\ndef helper(x):\n    return math.floor(x)\n\n\ndef first(x):\n    return helper(x)\n")
    assert "from __future__ import annotations\nimport math\n" in text
    assert text.endswith("    return x + LIMIT\n\n\ndef helper(x):\n    return math.floor(x)\n")
    compile(text, "m", "exec")


def test_decorators_come_and_go_with_their_function():
    old = "@cached\n@slow\ndef f(x):\n    return 1\n\n\ndef g():\n    pass\n"
    assert redefine(old, "@fast\ndef f(x):\n    return 2\n")[0] == "@fast\ndef f(x):\n    return 2\n\n\ndef g():\n    pass\n"


def test_a_name_that_two_classes_have_is_not_guessed():
    old = "class A:\n    def f(self):\n        return 1\n\n\nclass B:\n    def f(self):\n        return 2\n"
    assert redefine(old, "def f(self):\n    return 3\n") == (f"{old}\n\ndef f(self):\n    return 3\n", ())


def test_what_is_not_python_is_refused():
    with pytest.raises(SyntaxError):
        redefine(OLD, "def f(:\n")


def test_what_lacks_the_docstring_of_the_file_is_no_whole_file():
    old = '"""Numbers."""\n\n\ndef one():\n    return 2\n'
    assert redefine(old, "def one():\n    return 1\n")[0] == old.replace("2", "1")


def test_what_lacks_the_imports_is_no_whole_file():
    old = '"""Text."""\n\nimport re\n\n\ndef words(text):\n    return text.split()\n'
    text, names = redefine(old, "def words(text):\n    return re.findall('a', text)\n")
    assert text == old.replace("text.split()", "re.findall('a', text)")
    assert names == ("words",)


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_what_is_no_line_end_for_python_moves_nothing(mark):
    old = f'NAME = "{mark}"\n\x0c\n\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n'
    assert redefine(old, "def f():\n    return 3\n")[0] == old.replace("return 1", "return 3")
    new = f'def g():\n    return "{mark}"\n'
    assert redefine(old, new)[0] == old.replace("return 2", f'return "{mark}"')


def test_a_method_with_a_separator_in_a_string_keeps_it():
    old = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"
    assert redefine(old, 'def f(self):\n    return "a\u2028b"\n')[0] == old.replace("return 1", 'return "a\u2028b"')


def test_lines_of_a_file_with_long_line_ends_stay_long():
    old = "def f():\r\n    return 1\r\n\r\n\r\ndef g():\r\n    return 2\r\n"
    assert redefine(old, "import os\n\n\ndef f():\n    return 3\n")[0] == "import os\r\n" + old.replace("1", "3")


CLASS = 'class A:\n    """Says what it is."""\n\n    size = 3\n\n    def f(self):\n        return 1\n'


@pytest.mark.parametrize(
    "new",
    [
        "class A:\n    def f(self):\n        return 2\n",
        'class A:\n    """It."""\n    def f(self):\n        return 2\n',
        "class A:\n    size = 3\n    def f(self):\n        return 2\n",
    ],
)
def test_a_class_that_lacks_the_docstring_or_an_attribute_loses_neither(new):
    assert redefine(f"import os\n\n{CLASS}", new)[0] == f"import os\n\n{CLASS.replace('return 1', 'return 2')}"


def test_a_class_with_everything_replaces_the_class():
    new = CLASS.replace("size = 3", "size = 4")
    assert redefine(f"import os\n\n{CLASS}", new)[0] == f"import os\n\n{new}"


DOCUMENTED = '''class Box:
    def get(self, key):
        """Return one.

            Deep lines
  and shallow ones stay as they are.
        """
        return 1

    def put(self, key): ...


async def wait(
    seconds,
):
    "Wait."
    return seconds


def short(): "Does nothing."
'''


@pytest.mark.parametrize(
    ("new", "before", "after"),
    [
        ("def get(self, key):\n    # two\n\n    return 2\n", "        return 1", "        # two\n\n        return 2"),
        ("class Box:\n    def get(self, key):\n        return 2\n", "return 1", "return 2"),
        ("async def wait(\n    seconds,\n):\n    return 0\n", "return seconds", "return 0"),
        ('async def wait(\n    seconds,\n):\n    "Wait long."\n    return seconds\n', "Wait.", "Wait long."),
        (
            "async def wait(\n    seconds): return 0\n",
            'async def wait(\n    seconds,\n):\n    "Wait."\n    return seconds',
            "async def wait(\n    seconds): return 0",
        ),
        ("def short():\n    return 0\n", 'def short(): "Does nothing."', "def short():\n    return 0"),
        (
            "async def wait(seconds): return 0\n",
            'async def wait(\n    seconds,\n):\n    "Wait."\n    return seconds',
            "async def wait(seconds): return 0",
        ),
    ],
    ids=[
        "a comment first",
        "in a class",
        "on many lines",
        "another docstring",
        "a docstring behind the signature",
        "a body behind the signature",
        "a body behind the end of a signature",
    ],
)
def test_a_function_without_a_docstring_keeps_the_old_one(new, before, after):
    old = f"import os\n\n\n{DOCUMENTED}"
    assert redefine(old, new)[0] == old.replace(before, after)


def test_a_docstring_that_is_kept_has_the_indent_of_the_new_body_and_the_line_ends_of_the_file():
    old = 'import os\n\n\ndef first(x):\n    """One."""\n    return x\n'.replace("\n", "\r\n")
    assert redefine(old, "def first(x):\n  return 0\n")[0] == old.replace('    """One."""', '  """One."""').replace(
        "    return x", "  return 0"
    )


PROPERTY = '''class Box:
    """Holds."""

    @property
    def full(self):
        return self.size > 9

    @full.setter
    def full(self, value):
        self.size = value


class Bag:
    """Holds less."""
'''


@pytest.mark.parametrize("form", ["{}", "class Box:\n{}"], ids=["alone", "in its class"])
@pytest.mark.parametrize(
    ("new", "before", "after"),
    [
        ("@property\ndef full(self):\n    return 1\n", "return self.size > 9", "return 1"),
        ("@full.setter\ndef full(self, value):\n    self.size = 1\n", "self.size = value", "self.size = 1"),
        (
            "def full(self):\n    return 1\n",
            "    @property\n    def full(self):\n        return self.size > 9",
            "    def full(self):\n        return 1",
        ),
        ("@property\ndef full(self):\n    return 0\n\n@property\ndef full(self):\n    return 1\n", "return self.size > 9", "return 1"),
    ],
    ids=["getter", "setter", "by its arguments", "twice"],
)
def test_of_a_property_the_right_part_is_replaced(form, new, before, after):
    new = form.format(textwrap.indent(new, "    " if "class" in form else ""))
    assert redefine(PROPERTY, new)[0] == PROPERTY.replace(before, after)
