"""The machine that all tasks of a pack share: commands, checks, attempts, and how well it can be used."""

import pytest

from codagent.types import Message
from codagent_train.environments.domains.shared.turns import TurnEnvironment
from codagent_train.environments.domains.terminal.errands import MachineGame, make_machine_pack
from codagent_train.environments.domains.terminal.machine import (
    DEEDS,
    FILES,
    FOLDERS,
    TOOLS,
    Chore,
    Machine,
    draw_chores,
    draw_machine,
    find_failed,
    open_tree,
    run_command,
)
from tests.train.environments.domains.reached import mean_rewards

MACHINE = Machine({"f0": "d0", "f1": "d0", "f2": "d3"}, {"send": "rsync", "pack": "tar"})


def after(*lines):
    """The tree after some commands, and the output of the last one."""
    tree, output = open_tree(MACHINE), ""
    for line in lines:
        tree, output = run_command(tree, line)
    return tree, output


@pytest.mark.parametrize(
    ("line", "output"),
    [
        ("ls d0", "d0: f0 f1"),
        ("ls ~/d0/", "d0: f0 f1"),
        ("ls -l d3", "d3: f2"),
        ("ls d1", "d1: empty"),
        ("ls ~", " ".join(FOLDERS)),
        ("ls d77", "ls: d77: no such folder"),
        ("ls", "ls: name one folder"),
        ("ls d0 d3", "ls: name one folder"),
        ("ls -R d0", "refused: ls shows one folder"),
        ("mv d1/f0 d2", "mv: d1/f0: no such file"),
        ("mv d0/f0 d2", "ok"),
        ("mv d0/f0 x/y", "mv: x/y: no such folder"),
        ("mv d0/f0", "mv: name a file and where it goes"),
        ("scp d0/f0 srv2", "scp: command not found"),
        ("zip d0/f0 a2", "zip: command not found"),
        ("rsync -a d1/f0 srv2", "rsync: d1/f0: no such file"),
        ("tar d1/f0 a2", "tar: d1/f0 a2: no such file"),
        ("find . -name f0", "find: command not found"),
        ("cat d0/f0", "cat: command not found"),
    ],
)
def test_commands_say_what_they_did(line, output):
    assert after(line)[1] == output


@pytest.mark.parametrize(
    "line", ["ls d0 && ls d1", "ls d0; ls d1", "ls d*", "ls d0 | cat", "ls d0 > x", "ls `d0`", "ls $HOME", "ls 'd0'", "ls d0\nls d1"]
)
def test_chains_patterns_and_redirections_are_refused(line):
    tree, output = after(line)
    assert output.startswith("refused")
    assert tree == open_tree(MACHINE)


@pytest.mark.parametrize(
    ("chore", "lines"),
    [
        (Chore("move", "f0", "d5"), ["mv d0/f0 d5"]),
        (Chore("move", "f0", "d5"), ["mv ~/d0/f0 ~/d5/f0"]),
        (Chore("rename", "f0", "g4"), ["mv d0/f0 g4"]),
        (Chore("rename", "f0", "g4"), ["mv d0/f0 d0/g4"]),
        (Chore("send", "f2", "srv1"), ["rsync d3/f2 srv1"]),
        (Chore("send", "f2", "srv1"), ["rsync -a ~/d3/f2 server:srv1"]),
        (Chore("pack", "f1", "a9"), ["tar d0/f1 a9"]),
        (Chore("pack", "f1", "a9"), ["tar -cf ~/d0/a9.tar ~/d0/f1"]),
        (Chore("pack", "f1", "a9"), ["tar cf d0/a9.tar d0/f1"]),
    ],
)
def test_each_deed_can_be_done(chore, lines):
    assert find_failed(open_tree(MACHINE), chore)
    assert find_failed(after(*lines)[0], chore) == ()


@pytest.mark.parametrize(
    ("chore", "lines", "failed"),
    [
        (Chore("move", "f0", "d5"), ["mv d0/f1 d5/f0"], ("in the new folder", "gone from the old folder")),
        (Chore("rename", "f0", "g4"), ["mv d0/f0 d1/g4"], ("there under the new name",)),
        (Chore("send", "f2", "srv1"), ["rsync d3/f2 srv2"], ("on the server",)),
        (Chore("pack", "f1", "a9"), ["tar d0/f0 a9"], ("in an archive beside it",)),
    ],
)
def test_what_was_done_to_another_file_or_place_does_not_count(chore, lines, failed):
    assert find_failed(after(*lines)[0], chore) == failed


def test_machines_and_chores_are_drawn():
    machines = [draw_machine(seed) for seed in range(200)]
    assert all(set(machine.places) == set(FILES) for machine in machines)
    assert {machine.tools["send"] for machine in machines} == set(TOOLS["send"])
    for seed in range(50):
        chores = draw_chores(seed, 8)
        assert len({chore.file for chore in chores}) == 8
        assert chores[:4] == draw_chores(seed, 4)
        assert all(chore.argument != draw_machine(seed).places[chore.file] for chore in chores)
    assert {chore.deed for seed in range(20) for chore in draw_chores(seed, 8)} == set(DEEDS)
    assert len(draw_chores(1, 30)) == 30


def opened(wording="terse"):
    pack = make_machine_pack("machine", wording, "test", 5, 4)
    return pack, TurnEnvironment(MachineGame("machine", wording, pack), wording), draw_machine(pack.seed), draw_chores(pack.seed, 4)


def right_command(machine, chore):
    tool = machine.tools.get(chore.deed, "mv")
    return f"{tool} {machine.places[chore.file]}/{chore.file} {chore.argument}"


def test_the_right_command_ends_a_task_in_one_turn():
    pack, environment, machine, chores = opened()
    for task, chore in zip(pack.tasks, chores, strict=True):
        shown = environment.reset(task, "")[1].content
        assert shown == f"{task.instruction}; 1/5"
        assert environment.step(Message("assistant", right_command(machine, chore) + "\nbecause")).end == "finished"
        outcome = environment.grade()
        assert (outcome.reward, outcome.passed) == (pytest.approx(0.98), True)


def test_turns_run_out_and_the_failed_check_is_named():
    pack, environment, _, chores = opened()
    environment.reset(pack.tasks[0], "")
    answers = [environment.step(Message("assistant", f"ls d{number}")) for number in range(5)]
    assert [answer.end for answer in answers] == [None] * 4 + ["steps"]
    assert answers[2].messages[0].content.startswith("4/5; d2: ")
    assert environment.describe_state().startswith("d4: ")
    outcome = environment.grade()
    assert outcome.reward == 0
    assert outcome.feedback.startswith(f"Failed: {chores[0].file} is not ")


def test_each_task_starts_from_the_same_tree():
    pack, environment, machine, chores = opened()
    environment.reset(pack.tasks[0], "")
    environment.step(Message("assistant", right_command(machine, chores[0])))
    environment.reset(pack.tasks[0], "")
    environment.step(Message("assistant", f"ls {machine.places[chores[0].file]}"))
    assert chores[0].file in environment.describe_state().split()


def test_in_the_papers_wording_commands_stand_between_tags():
    pack, environment, machine, chores = opened("paper")
    shown = environment.reset(pack.tasks[0], "")[1].content
    assert shown.splitlines()[0] == pack.tasks[0].instruction
    assert "Step 1/5" in shown
    command = right_command(machine, chores[0])
    assert environment.step(Message("assistant", f"So <answer>{command}</answer>")).end == "finished"
    assert environment.grade().passed
    environment.reset(pack.tasks[1], "")
    assert environment.step(Message("assistant", command)).end == "finished"
    assert environment.grade().failed == ("form",)


def test_what_can_be_reached_without_a_model():
    means = mean_rewards("terminal", "machine", packs=150, tasks=4)
    assert means["known"] == [pytest.approx(0.98)] * 4
    assert means["random"][0] < 0.2
    assert means["scratch"][3] == pytest.approx(0.42, abs=0.12)
    assert means["carry"][1] == pytest.approx(0.76, abs=0.12)
    assert means["carry"][3] == pytest.approx(0.94, abs=0.05)
