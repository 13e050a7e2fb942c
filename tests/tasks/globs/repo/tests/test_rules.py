from sift import Rules

PATHS = ["setup.py", "src/a.py", "src/lib/b.py", "build/c.py", "README.md"]


def test_what_no_rule_matches_is_left_out():
    assert Rules.parse("*.md").choose(PATHS) == ["README.md"]


def test_the_last_rule_that_matches_decides():
    assert Rules.parse("src/**\n!src/lib/**\nsrc/lib/b.py").choose(PATHS) == ["src/a.py", "src/lib/b.py"]


def test_comments_and_empty_lines_are_skipped():
    assert Rules.parse("# all of it\n\n**\n").choose(PATHS) == PATHS


def test_all_python_files_but_those_that_were_built():
    assert Rules.parse("**/*.py\n!build/**").choose(PATHS) == ["setup.py", "src/a.py", "src/lib/b.py"]
