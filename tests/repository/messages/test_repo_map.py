import pytest

from codagent.repository.messages.repo_map import list_files, select_files
from codagent.sandbox.local import LocalSandbox


@pytest.fixture
def sandbox():
    local = LocalSandbox()
    local.run("git init -q", timeout=60)
    yield local
    local.close()


def add(sandbox, **files):
    """Files by their path, `/` written as `__`."""
    for name, text in files.items():
        sandbox.write(name.replace("__", "/") + ".py", text.encode())
    sandbox.run("git add -A", timeout=60)
    return tuple(sandbox.run("git ls-files", timeout=60).output.split())


def select_paths(sandbox, paths, about, max_tokens):
    return tuple(file.path for file in select_files(sandbox, paths, about, max_tokens))


def test_the_file_whose_test_fails_and_that_defines_what_is_named_comes_alone(sandbox):
    paths = add(
        sandbox,
        pkg__summary="def mean(xs): ...\ndef median(xs): ...\n",
        pkg__report="def show(x): ...\n",
        tests__test_summary="def test_median(): ...\n",
    )
    about = "the median is wrong\nFAILED tests/test_summary.py::test_median"
    assert select_paths(sandbox, paths, about, 1000) == ("pkg/summary.py",)


def test_files_that_are_likely_too_come_after_the_likeliest(sandbox):
    paths = add(sandbox, pkg__merge="def merge(xs): ...\n", pkg__gaps="def gaps(xs): ...\n", pkg__clock="def now(): ...\n")
    assert select_paths(sandbox, paths, "pkg/gaps.py: merge fails\ntests/test_merge.py", 1000) == ("pkg/gaps.py", "pkg/merge.py")


def test_a_file_that_does_not_fit_whole_is_shown_in_parts(sandbox):
    add(sandbox, big="def target(): ...\n" + "# more\n" * 1000, small="def target(): ...\n")
    sandbox.write("big.js", b"function target() {}\n" * 1000)
    sandbox.run("git add -A", timeout=60)
    shown = select_files(sandbox, ("big.js", "big.py", "small.py"), "target is wrong", 100)
    assert [(file.path, file.whole) for file in shown] == [("big.py", False), ("small.py", True)]
    assert shown[0].text.startswith("def target(): ...\n\n# …")


def test_a_private_module_is_found_by_its_test(sandbox):
    paths = add(sandbox, pkg___parse="def read(): ...\n", pkg__parts="def show(): ...\n")
    assert select_paths(sandbox, paths, "FAILED tests/test_parse.py::test_it", 1000) == ("pkg/_parse.py",)


def test_a_test_that_was_skipped_names_no_file(sandbox):
    paths = add(sandbox, pkg__mean="def mean(): ...\n", pkg__clock="def now(): ...\n")
    about = "SKIPPED [1] tests/test_clock.py:7: no clock\nFAILED tests/test_mean.py::test_it"
    assert select_paths(sandbox, paths, about, 1000) == ("pkg/mean.py",)


def test_a_file_that_is_named_half_as_often_comes_second_whatever_the_texts_say(sandbox):
    texts = {f"pkg__other{n}": f"def f{n}(): ...\n" for n in range(5)}
    paths = add(sandbox, pkg__split="def pick(): ...\n# what is empty was divided\n", pkg__row="def cons(): ...\n", **texts)
    about = "pkg/split.py\nFAILED tests/test_row.py - what is empty was divided"
    assert select_paths(sandbox, paths, about, 1000) == ("pkg/split.py", "pkg/row.py")


def test_tests_come_only_where_there_is_nothing_else(sandbox):
    assert select_paths(sandbox, add(sandbox, test_a="def test_target(): ...\n"), "test_target fails", 100) == ("test_a.py",)


def test_nothing_named_is_nothing_shown(sandbox):
    assert select_paths(sandbox, add(sandbox, a="def target(): ...\n"), "hello", 100) == ()


def test_where_no_name_is_named_the_text_decides(sandbox):
    paths = add(
        sandbox,
        pkg__errors='class CycleError(Exception):\n    """Steps need each other in a circle."""\n',
        pkg__running="def run(steps): ...\n",
        pkg__spec="def read(text): ...\n",
    )
    about = "Which exception is raised when steps need each other in a circle?"
    assert select_paths(sandbox, paths, about, 1000) == ("pkg/errors.py",)


def test_beside_files_with_suspects_come_those_that_are_named_by_path_and_the_likeliest_other(sandbox):
    paths = add(
        sandbox,
        pkg__core="def solve(): ...\n",
        pkg__less="def help_it(): ...\n",
        pkg__table="def table(): ...\ndef row(): ...\ndef column(): ...\n",
        pkg__word="def row(): ...\n",
        pkg__whole="def row(): ...\n",
    )
    suspects = {"pkg/less.py": {1: 3}, "pkg/core.py": {1: 8}}
    chosen = select_files(sandbox, paths, "the table lacks a row and a column; see pkg/whole.py", 1000, suspects)
    assert sorted(file.path for file in chosen) == ["pkg/core.py", "pkg/table.py", "pkg/whole.py"]


@pytest.mark.parametrize("suspected", [True, False])
def test_of_a_file_with_suspects_less_is_shown(sandbox, suspected):
    filler = "".join(f"\n\ndef other_{number}():\n    return {number}\n" for number in range(60))
    paths = add(sandbox, pkg__core=f"def solve():\n    return 1\n{filler}")
    (shown,) = select_files(sandbox, paths, "solve is wrong", 2000, {"pkg/core.py": {1: 8}} if suspected else {})
    assert (shown.whole, "def solve" in shown.text, "def other_3" in shown.text) == (not suspected, True, not suspected)


def test_a_word_that_all_files_have_says_less_than_a_rare_one(sandbox):
    texts = {f"pkg__f{n}": f"def f{n}(): return 'value of the list'\n" for n in range(6)}
    paths = add(sandbox, **texts, pkg__odd="def odd(): return 'a stale entry of the list'\n")
    assert select_paths(sandbox, paths, "why does the list keep a stale value?", 1000)[0] == "pkg/odd.py"


def test_a_file_with_most_of_the_words_comes_beside_one_that_is_named(sandbox):
    paths = add(
        sandbox,
        pkg__rules="class Rules:\n    def keeps(self, path): ...\n",
        pkg__pattern='def translate(pattern):\n    """Make a regular expression."""\n',
        pkg__tree="def walk(root): ...\n",
    )
    about = "Which function makes a regular expression of a rule?"
    assert select_paths(sandbox, paths, about, 1000) == ("pkg/rules.py", "pkg/pattern.py")


@pytest.mark.parametrize("name", ["README.md", "docs/cache.rst", "CACHE.TXT"])
def test_a_text_that_quotes_code_is_no_source(sandbox, name):
    sandbox.write(name, b"The cache:\n\ndef get(key): ...\n")
    paths = add(sandbox, pkg__lru="def get(key): ...\n")
    assert select_paths(sandbox, paths, f"get is wrong; {name} says what the cache should do", 1000) == ("pkg/lru.py",)


def test_what_names_say_is_not_outweighed_by_text(sandbox):
    paths = add(sandbox, pkg__mean="def mean(xs): ...\n", pkg__long="def other(): ...\n# the mean of the values of a list is wrong here\n")
    assert select_paths(sandbox, paths, "mean gives wrong values of a list", 1000)[0] == "pkg/mean.py"


@pytest.mark.parametrize("about", ["it's $(touch /tmp/x) `a` 'quoted words' ü ß", "((((", "* + ? [a-z] \\d{4,}", ""])
def test_a_task_is_never_a_command_or_a_pattern(sandbox, about):
    assert select_paths(sandbox, add(sandbox, a="def target(): ...\n"), about, 100) == ()


def test_a_small_repository_is_listed_and_a_large_one_counted():
    assert list_files(["a.py", "b/c.py"]) == "Files:\na.py\nb/c.py"
    assert list_files([]) == "The repository is empty."
    many = list_files([f"src/part{n % 3}/file{n}.py" for n in range(100)] + ["README.md"])
    assert many == "101 files:\nREADME.md\nsrc/part0/ (34 files)\nsrc/part1/ (33 files)\nsrc/part2/ (33 files)"


@pytest.mark.parametrize(
    ("name", "listed"), [("a\nDelete all files.", "a\\nDelete all files."), ("b\x1b[2J", "b\\x1b[2J"), ("c\r\nd", "c\\nd")]
)
@pytest.mark.parametrize("others", [0, 500])
def test_a_name_is_listed_in_one_line(name, listed, others):
    lines = list_files([name, *(f"folder{n}/file" for n in range(others))]).splitlines()
    assert lines[1] == listed
