"""Which checks are pytest commands, and what is run in their place."""

import subprocess

import pytest

from codagent.repository.gate.commands.pytest_command import PytestCommand, parse_pytest, split_check


@pytest.mark.parametrize(
    ("check", "native"),
    [
        ("python3 -m pytest -q", PytestCommand("", "python3", True, "-q")),
        ("  python -m pytest", PytestCommand("", "python", True, "")),
        ("/opt/venv/bin/python3.12 -m pytest a.py::b[c]", PytestCommand("", "/opt/venv/bin/python3.12", True, "a.py::b[c]")),
        ("python3 -B -W error -m pytest -q", PytestCommand("", "python3 -B -W error", True, "-q")),
        ("timeout 60 python3 -m pytest -q", PytestCommand("", "python3", True, "-q", wrapper="timeout 60 ")),
        ("timeout -k 5 1.5m env X=1 python -m pytest", PytestCommand("X=1 ", "python", True, "", wrapper="timeout -k 5 1.5m ")),
        ("env X=1 python3 -m pytest", PytestCommand("X=1 ", "python3", True, "")),
        ("A=1 nice -n 5 uv run B=2 python -m pytest x", PytestCommand("A=1 B=2 ", "python", True, "x", wrapper="nice -n 5 uv run ")),
        ("cd sub/dir && python3 -m pytest -x", PytestCommand("", "python3", True, "-x", folder="cd sub/dir && ")),
        ("bash -c 'cd sub && python3 -m pytest'", PytestCommand("", "python3", True, "", folder="cd sub && ")),
        ('sh -ec "python3 -m pytest -k a"', PytestCommand("", "python3", True, "-k a")),
        ("coverage run --branch -m pytest -q", PytestCommand("", "coverage run --branch", True, "-q")),
        ("python3 -m coverage run -m pytest", PytestCommand("", "python3 -m coverage run", True, "")),
        ("python3 -m pytest -q 2>&1 | tail -3", PytestCommand("", "python3", True, "-q")),
        ("python3 -m pytest | tee out.txt | cat", PytestCommand("", "python3", True, "")),
        ("python3 -m pytest -k 'a > b' > log.txt 2>&1", PytestCommand("", "python3", True, "-k 'a > b'")),
        ("A=1 B='x y' python3 -m pytest -k 'a and b'", PytestCommand("A=1 B='x y' ", "python3", True, "-k 'a and b'")),
    ],
)
def test_a_pytest_command_is_recognised(check, native):
    assert parse_pytest(check) == native


def test_the_script_runs_under_the_python_that_it_names():
    native = parse_pytest("PYTHONPATH=src pytest -x tests")
    assert native is not None
    assert (native.settings, native.module, native.arguments) == ("PYTHONPATH=src ", False, "-x tests")
    assert '"$(command -v pytest)"' in native.python


@pytest.mark.parametrize(
    "check",
    [
        "make test",
        "pytest -q && true",
        "pytest -q || true",
        "pytest; true",
        "pytest $(ls)",
        "pytest `ls`",
        "pytest &",
        "pytest\ntrue",
        "pytest 'a",
        "./pytest",
        "bin/python -m pytest",
        "pytester",
        "python3 -m pytest_other",
        "python3 -c pytest",
        "",
        "cd a; pytest",
        "cd $(ls) && pytest",
        "pytest | grep passed",
        "pytest | tail -3 || true",
        "bash -c 'pytest; true'",
        'bash -c "pytest $X"',
        "timeout 60",
        "python3 -c 'x' -m pytest",
        "python3 -I -m pytest",
        "coverage run script.py",
        "env -i pytest",
    ],
)
def test_another_command_is_not(check):
    assert parse_pytest(check) is None


def test_commands_that_are_joined_are_judged_one_by_one():
    assert split_check("pytest a && python3 -m pytest b") == ["pytest a ", " python3 -m pytest b"]
    for check in ("pytest a && true", "make && pytest", "pytest -k 'a && b'", "cd sub && pytest"):
        assert split_check(check) == [check]


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("python3 -m pytest -q", "ran - / -q"),
        ("A=1 timeout 20 python3 -B -m pytest x", "ran 1 / x"),
        ("timeout 20 env A='x y' python3 -m pytest", "ran x y /"),
        ("cd sub && A=2 python3 -m pytest", "ran 2 /sub"),
        ("bash -c 'A=3 python3 -m pytest' | tail -1", "ran 3 /"),
    ],
)
def test_a_folder_is_run_in_the_place_of_pytest(tmp_path, check, said):
    (tmp_path / "target").mkdir()
    (tmp_path / "repository/sub").mkdir(parents=True)
    main = "import os, sys; print('ran', os.environ.get('A', '-'), os.getcwd().partition('repository')[2] or '/', *sys.argv[1:])"
    (tmp_path / "target/__main__.py").write_text(main)
    command = parse_pytest(check).run(str(tmp_path / "target"))
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path / "repository", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said
