"""What of an agent's commit the checks get to see."""

from __future__ import annotations

import subprocess

import pytest

from codagent.repository import git

TESTS = "tests/test_price.py"


def test_work_is_seen_as_it_is(gated, shop):
    work = {"shop/price.py": "x = 1\n", "shop/new.py": "", "tests/test_new.py": "", "docs/a.md": "a", "tox.ini": "[tox]\n"}
    assert gated(work) == (work, ())
    commit = shop.commit(work)
    assert git.protected_tree(shop.root, shop.start, commit, ())[0] == git.tree_of(shop.root, commit)


@pytest.mark.parametrize("path", [TESTS, "tests/helpers.py", "pyproject.toml"])
@pytest.mark.parametrize("content", ["", None, "-> shop/price.py"])
def test_what_decides_is_put_back(gated, path, content):
    assert gated({path: content, "a.py": "a"}) == ({"a.py": "a"}, (path,))


@pytest.mark.parametrize(
    "path",
    [
        "conftest.py",
        "shop/conftest.py",
        "Conftest.py",
        "pytest.ini",
        ".pytest.toml",
        ".gitattributes",
        "tests/.gitattributes",
        ".coveragerc",
        "sitecustomize.py",
        "src/usercustomize/__init__.py",
        "evil.pth",
        "evil.egg-info/entry_points.txt",
        "evil-1.dist-info/entry_points.txt",
        "tests/__pycache__/helpers.cpython-311.pyc",
        "tests/helpers.pyc",
        ".pytest_cache/v/cache/lastfailed",
        "pytest.py",
        "_pytest/__init__.py",
        "pluggy.py",
        "json/__init__.py",
        "src/unittest.py",
        "tests/decimal.py",
        "tests/shop.py",
        "tests/shop/__init__.py",
        "tests.py",
        "tests/__init__.py",
        "tests/helpers/__init__.py",
        "tests/helpers.cpython-311-x86_64-linux-gnu.so",
        "tests/test_price/__init__.py",
    ],
)
def test_what_would_be_asked_before_the_tests_is_taken_away(gated, path):
    assert gated({path: "x = 1\n", "a.py": "a"}) == ({"a.py": "a"}, (path,))


@pytest.mark.parametrize("path", ["shop/json.py", "shop/types/__init__.py", "shop/pytest_of_ours.py", "tests/more/helpers.py"])
def test_a_module_that_stands_in_nobodys_way_stays(gated, path):
    assert gated({path: "x = 1\n"}) == ({path: "x = 1\n"}, ())


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("shop/pyproject.toml", "[tool.'pytest'.ini_options]\n"),
        ("shop/pyproject.toml", 'tool = {"p\\u0079test" = {ini_options = {addopts = "--co"}}}'),
        ("shop/pyproject.toml", "no toml"),
        ("setup.cfg", "[tool:pytest]\n"),
        ("tox.ini", "[pytest]\n"),
        ("tox.ini", "-> shop/price.py"),
    ],
)
def test_a_build_file_that_configures_pytest_is_taken_away(gated, path, content):
    assert gated({path: content}) == ({}, (path,))


def test_a_folder_of_tests_that_became_a_link_is_a_folder_again(gated):
    changed, undone = gated({TESTS: None, "tests/helpers.py": None, "elsewhere/test_price.py": "", "tests": "-> elsewhere"})
    assert changed == {"elsewhere/test_price.py": ""}
    assert undone == ("tests", "tests/helpers.py", TESTS)


def test_a_test_file_that_became_a_folder_is_a_file_again(gated):
    assert gated({TESTS: None, f"{TESTS}/a": "a"}) == ({}, (TESTS,))


def test_a_link_in_place_of_a_package_counts_as_one(gated):
    assert gated({"tests/helpers": "-> ../shop"}) == ({}, ("tests/helpers",))


def test_what_a_user_protects_is_put_back_and_nothing_is_added_to_it(gated):
    work = {"shop/price.py": "x", "shop/more.py": "", "a.py": "a"}
    assert gated(work, ("shop/**",)) == ({"a.py": "a"}, ("shop/more.py", "shop/price.py"))
    assert gated(work, ("nothing/**",)) == (work, ())


def test_neither_index_nor_work_tree_of_the_user_is_touched(gated, shop):
    gated({TESTS: None})
    status = subprocess.run(["git", "status", "--short"], cwd=shop.root, capture_output=True, text=True, check=True)
    assert status.stdout == ""
    assert [path.name for path in shop.root.iterdir()] == [".git"]


@pytest.mark.parametrize("count", [0, 1, 60])
def test_changes_are_read_whole_by_a_single_git(shop, count):
    new = {f"folder/{number} ä.bin": bytes([number, 10, 0]) * number for number in range(count)}
    tree = git.replace_files(shop.root, git.tree_of(shop.root, shop.start), {**new, "shop/price.py": b""})
    changes = {path: (before, after) for path, before, after in git.read_changes(shop.root, shop.start, tree)}
    assert changes.pop("shop/price.py") == (git.read_file(shop.root, shop.start, "shop/price.py"), b"")
    assert changes == {path: (b"", data) for path, data in new.items()}


@pytest.mark.parametrize("known", [False, True])
def test_a_submodule_that_is_removed_has_no_content(shop, known):
    link = f"160000 commit {shop.start if known else '1' * 40}\tvendor\n"
    made = subprocess.run(["git", "mktree", "--missing"], cwd=shop.root, input=link, capture_output=True, text=True, check=True)
    changes = {path: (before, after) for path, before, after in git.read_changes(shop.root, made.stdout.strip(), shop.start)}
    assert changes["vendor"] == (b"", b"")
    assert changes["shop/price.py"] == (b"", git.read_file(shop.root, shop.start, "shop/price.py"))


def test_a_submodule_is_a_change_without_contents(shop):
    def make_tree(entries):
        made = subprocess.run(["git", "mktree", "--missing"], cwd=shop.root, input=entries, capture_output=True, text=True, check=True)
        return made.stdout.strip()

    without, having = make_tree(""), make_tree(f"160000 commit {shop.start}\tothers\n")
    assert git.read_changes(shop.root, without, having) == git.read_changes(shop.root, having, without) == [("others", b"", b"")]
