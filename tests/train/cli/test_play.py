"""A person plays in the terminal."""

import subprocess
import sys
from pathlib import Path

TRAIN = Path(sys.executable).parent / "codagent-train"


def run(*arguments, typed=""):
    return subprocess.run([TRAIN, *arguments], input=typed, capture_output=True, text=True, check=False, timeout=250)


def test_a_pack_is_played_to_its_end_and_added_up():
    done = run("play", "frozenlake", "--seed", "3", typed="3\n" * 40)
    assert done.returncode == 0, done.stderr
    assert "# task 4 of 4" in done.stdout
    assert done.stdout.count("Reward ") == 4
    assert done.stdout.splitlines()[-1].endswith(" of 4")


def test_another_key_is_asked_again_and_costs_nothing():
    done = run("play", "frozenlake", "--seed", "3", typed="9\nx\n3\n")
    assert done.stdout.count("a digit from 1 to 4, please") == 2
    assert "Reward 0.99." in done.stdout


def test_the_end_of_input_leaves_with_what_was_earned():
    done = run("play", "frozenlake", "--seed", "3", typed="3\n")
    assert done.returncode == 0
    assert done.stdout.endswith("total 0.99 of 4\n")


def test_hard_lakes_have_more_turns():
    assert "turn 1 of 10" in run("play", "frozenlake", "--hard").stdout


def test_an_unknown_environment_is_wrong_usage():
    assert run("play", "chess").returncode == 2


def test_help_loads_neither_torch_nor_numpy():
    code = "import sys; sys.argv = ['codagent-train', '--help']\nimport codagent_train.cli\ntry:\n    codagent_train.cli.main()\nfinally:\n"
    code += "    print({'torch', 'numpy', 'transformers', 'trl'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "play" in done.stdout


def test_other_domains_are_played_in_the_same_way():
    done = run("play", "control", "--level", "easy", typed="left\n0.3 0.8\n" + "0.3 0.8\n" * 3)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("two numbers, kp and kd, please") == 1
    assert done.stdout.count("Reward ") == 4
    assert "2/15; a+a=h; a2 b4 c4 d4 e4 h1" in run("play", "alchemy", "--hard", "--seed", "2", typed="a+a\n").stdout


def test_memory_shows_what_the_game_remembers():
    assert "last x" in run("play", "control", "--level", "easy", "--memory", typed="0.3 0.8\n").stdout
    assert "last x" not in run("play", "control", "--level", "easy", typed="0.3 0.8\n").stdout


def test_an_unknown_level_is_wrong_usage():
    done = run("play", "alchemy", "--level", "small")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "codagent-train: alchemy has no level 'small'; take one of tiny, easy, hard, fresh, hard-fair\n"
