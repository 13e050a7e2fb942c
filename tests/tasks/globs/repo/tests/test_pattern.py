import pytest

from sift import matches


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("setup.py", "setup.py"),
        ("*.py", "setup.py"),
        ("?.py", "a.py"),
        ("src/*.py", "src/a.py"),
        ("src/*/test_*.py", "src/b/test_a.py"),
        ("docs/**/a.md", "docs/x/a.md"),
        ("docs/**/a.md", "docs/x/y/a.md"),
        ("build/**", "build/b.py"),
        ("build/**", "build/lib/b.py"),
    ],
)
def test_a_path_fits(pattern, path):
    assert matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("setup.py", "setupXpy"),
        ("*.py", "src/a.py"),
        ("?.py", "ab.py"),
        ("src/*.py", "src/b/a.py"),
        ("docs/**/a.md", "docs/x/ba.md"),
        ("docs/**/a.md", "docs/ba.md"),
        ("docs/**/a.md", "old/docs/a.md"),
        ("build/**", "build"),
        ("build/**", "build/"),
    ],
)
def test_a_path_does_not_fit(pattern, path):
    assert not matches(pattern, path)


def test_two_stars_stand_for_no_folder_too():
    assert matches("docs/**/a.md", "docs/a.md")


def test_two_stars_at_the_start_find_a_file_at_the_top():
    assert matches("**/*.py", "setup.py")
