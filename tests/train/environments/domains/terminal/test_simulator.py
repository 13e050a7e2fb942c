"""The paper's terminal: what its commands do and refuse, that each task can be done, and the shares of the kinds of tasks."""

from random import Random

import pytest

from codagent.types import Message
from codagent_train.environments.domains.shared.turns import TurnEnvironment
from codagent_train.environments.domains.terminal.levels import make_terminal_pack, open_game
from codagent_train.environments.domains.terminal.simulator.computer import Computer, File
from codagent_train.environments.domains.terminal.simulator.game import TURNS, SimulatorAttempt
from codagent_train.environments.domains.terminal.simulator.jobs import COMPOSITE, SINGLE, draw_job
from codagent_train.environments.domains.terminal.simulator.shell import Shell
from tests.train.environments.domains.reached import mean_rewards

JOBS = [draw_job(seed) for seed in range(1500)]
COMMANDS = "ls cd pwd cat mkdir cp mv rm ssh exit scp rsync zip unzip chmod touch tar gzip gunzip dir ren"


def shell(system="linux"):
    """A terminal whose local computer has the folder `d` with the files `a` and `b`, and whose server has /opt/x and a file there."""
    local, server = Computer(system, "user", "local"), Computer("linux", "ops", "192.168.1.20")
    local.make_folders((*local.home, "d"))
    for name in "ab":
        local.write((*local.home, "d", name), File(f"the text of {name}"))
    server.make_folders(("opt", "x"))
    server.write(("opt", "x", "s"), File("from the server"))
    return Shell(local, server)


@pytest.mark.parametrize(
    ("lines", "output"),
    [
        (["ls"], "d/"),
        (["ls -la d"], "644 a\n644 b"),
        (["cd d && pwd"], "/home/user/d"),
        (["cd d", "cd ..; pwd"], "/home/user"),
        (["cat ~/d/a"], "the text of a"),
        (["cat 'd/a'"], "the text of a"),
        (["echo $HOME ${USER} $NOTHING"], "/home/user user"),
        (["echo 'a | b; c && d'"], "a | b; c && d"),
        (["cat d"], "cat: /home/user/d: is a folder"),
        (["cat d/c && echo yes"], "cat: /home/user/d/c: no such file"),
        (["cat d/c; echo yes"], "cat: /home/user/d/c: no such file\nyes"),
        (["cat d/c && echo one; echo two"], "cat: /home/user/d/c: no such file\ntwo"),
        (["ls | cat"], "pipes and redirections are not supported"),
        (["echo x > y"], "pipes and redirections are not supported"),
        (["echo 'x"], "echo: syntax error: no closing quotation"),
        (["vim d/a"], "vim: command not found"),
        (["mkdir x/y"], "mkdir: /home/user/x: no such folder"),
        (["mkdir -p x/y", "ls x"], "y/"),
        (["mkdir d"], "mkdir: /home/user/d: exists already"),
        (["mv d/a d/c", "ls d"], "b  c"),
        (["mv d/a d/a"], "mv: /home/user/d/a: cannot go into itself"),
        (["mv d d/e"], "mv: /home/user/d: cannot go into itself"),
        (["cp d e"], "cp: /home/user/d: is a folder, and -r is not given"),
        (["cp -r d e", "ls e"], "a  b"),
        (["cp -r / d"], "cp: the root cannot be copied, moved or packed"),
        (["rm d"], "rm: /home/user/d: is a folder"),
        (["rm -rf d x; ls"], ""),
        (["rm -x d"], "rm: unknown option -x"),
        (["chmod 600 d/a", "ls -l d/a"], "600 a"),
        (["chmod u+x d/a"], "chmod: u+x: a mode has three octal digits here"),
        (["touch d/c", "ls d"], "a  b  c"),
        (["dir d"], "a  b"),
        (["type d/a"], "the text of a"),
        (["ren d/a d/z", "del d/b", "ls d"], "z"),
        (["exit"], "exit: this is the local computer"),
        (["ls d &&"], "a  b\nno command"),
    ],
)
def test_commands_of_one_computer(lines, output):
    there = shell()
    assert [there.run(line) for line in lines][-1] == output


@pytest.mark.parametrize(
    ("lines", "output"),
    [
        (["tar -czf x.tar.gz d", "tar tf x.tar.gz"], "d/a\nd/b"),
        (["tar -cf x.tar /home/user/d", "mkdir e", "tar -xf x.tar -C e", "ls"], "d/  e/  x.tar"),
        (["tar -czf new/x.tar.gz d"], "tar: /home/user/new: no such folder"),
        (["tar -cz d"], "tar: usage: tar -czf ARCHIVE PATH..., tar -xzf ARCHIVE or tar -tzf ARCHIVE"),
        (["zip x.zip d"], "zip: nothing to do: a folder needs -r"),
        (["zip -r new/x.zip d", "ls new"], "x.zip"),
        (["zip -r x d", "unzip -l x.zip"], "d/a\nd/b"),
        (["zip -rq x.zip d", "unzip x.zip -d e/f", "ls e/f/d"], "a  b"),
        (["zip -r x.zip d", "tar -xf x.zip"], "tar: /home/user/x.zip: is no tar archive"),
        (["zip -r x.zip d", "cat x.zip"], "(a binary file)"),
        (["gzip d/a", "ls d"], "a.gz  b"),
        (["gzip d/a", "gunzip d/a.gz", "cat d/a"], "the text of a"),
        (["gunzip d/a"], "gunzip: /home/user/d/a: is not compressed with gzip"),
        (["tar -cf x.tar d", "gzip x.tar", "gunzip x.tar.gz", "tar -tf x.tar"], "d/a\nd/b"),
    ],
)
def test_archives(lines, output):
    there = shell()
    assert [there.run(line) for line in lines][-1] == output


@pytest.mark.parametrize(
    ("lines", "output"),
    [
        (["ssh ops@192.168.1.20"], "connected to 192.168.1.20"),
        (["ssh ops@192.168.1.20 ls /opt/x", "pwd"], "/home/ops"),
        (["ssh ops@192.168.1.20 && ls /opt/x"], "connected to 192.168.1.20\ns"),
        (["ssh ops@192.168.1.20", "cd /opt/x; exit", "pwd"], "/home/user"),
        (["ssh root@192.168.1.20"], "ssh: 192.168.1.20: permission denied"),
        (["ssh ops@192.168.1.21"], "ssh: 192.168.1.21: no answer"),
        (["ssh server"], "ssh: usage: ssh USER@HOST"),
        (["ssh ops@192.168.1.20", "ssh ops@192.168.1.20"], "ssh: you are on the server already"),
        (["scp d/a anybody@192.168.1.20:/opt/x", "ssh ops@192.168.1.20 && cat /opt/x/a"], "connected to 192.168.1.20\nthe text of a"),
        (["scp d/a ops@192.168.1.20:", "ssh ops@192.168.1.20 && ls"], "connected to 192.168.1.20\na"),
        (["scp d/a ops@192.168.1.20:~/z"], "scp: /home/ops/~: no such folder"),
        (["scp ops@192.168.1.20:/opt/x/s d/t", "cat d/t"], "from the server"),
        (["scp d ops@192.168.1.20:/opt"], "scp: /home/user/d: is a folder, and -r is not given"),
        (["rsync -av d ops@192.168.1.20:/opt", "ssh ops@192.168.1.20 && ls /opt/d"], "connected to 192.168.1.20\na  b"),
        (["scp d/a d/b ops@192.168.1.20:/opt"], "scp: usage: scp PATH USER@HOST:PATH or scp USER@HOST:PATH PATH, with one source"),
        (["ssh ops@192.168.1.20", "scp /opt/x/s user@local:d"], "scp: files are only sent and fetched from the local computer"),
    ],
)
def test_between_two_computers(lines, output):
    there = shell()
    assert [there.run(line) for line in lines][-1] == output


@pytest.mark.parametrize(
    ("lines", "output"),
    [
        (["cd d; pwd"], r"C:\Users\user\d"),
        ([r"type d\a"], "the text of a"),
        ([r"cat C:\Users\user\d\a"], "the text of a"),
        (["cat /users/user/d/a"], r"cat: C:\users\user\d\a: no such file"),
        (['cat "d/a"'], 'cat: C:\\Users\\user\\"d\\a": no such file'),
        (["echo %USERNAME% %userprofile% %OTHER%"], r"user C:\Users\user %OTHER%"),
        (["cd ..; cd ..; cd ..; pwd"], "C:"),
        ([r"mkdir x\y"], r"mkdir: C:\Users\user\x: no such folder"),
        (["tar -cf x.tar d"], "tar: command not found"),
        (["chmod 600 d/a"], "chmod: command not found"),
        (["rsync -a d ops@192.168.1.20:/opt"], "rsync: command not found"),
        ([r"scp C:\Users\user\d\a ops@192.168.1.20:/opt", "ssh ops@192.168.1.20 && ls /opt"], "connected to 192.168.1.20\na  x/"),
        (["ssh ops@192.168.1.20", "tar -cf x.tar /opt/x && ls"], "x.tar"),
    ],
)
def test_windows(lines, output):
    there = shell("windows")
    assert [there.run(line) for line in lines][-1] == output


def test_any_line_is_answered():
    draws = Random(1)
    for seed in range(60):
        scene, _ = draw_job(seed)
        there = Shell(scene.local, scene.server)
        paths = [computer.show_path(path) for computer in (scene.local, scene.server) for path in computer.list_paths()]
        words = [
            *paths,
            f"{scene.address}:/opt",
            "-r",
            "-",
            "-C",
            "-d",
            "xf",
            "/",
            "~",
            "..",
            "''",
            '"',
            "\\",
            "C:",
            "&&",
            ";",
            "a.zip",
            "99",
        ]
        for _ in range(40):
            there.run(" ".join([draws.choice(COMMANDS.split()), *draws.choices(words, k=draws.randint(0, 4))]))
            assert there.show_prompt()


def test_each_system_has_its_prompt():
    there = shell()
    there.run("cd d")
    assert there.show_prompt() == "user@local:~/d$"
    there.run("ssh ops@192.168.1.20; cd /opt")
    assert there.show_prompt() == "ops@192.168.1.20:/opt$"
    assert shell("windows").show_prompt() == r"C:\Users\user>"
    assert shell("macos").show_prompt() == "user@local ~ %"


def test_each_task_can_be_done_and_is_not_done_before():
    kinds = set()
    for seed, (scene, job) in enumerate(JOBS):
        there = Shell(scene.local, scene.server)
        assert len(job.solution) <= TURNS
        assert not all(check.holds(scene.on(check.side)) for check in job.checks), seed
        said = [there.run(line) for line in job.solution]
        assert all(check.holds(scene.on(check.side)) for check in job.checks), (seed, job, said)
        kinds.add(" ".join(word for word in job.text.split() if word.islower() and word.isalpha()))
    assert len(kinds) >= len(SINGLE) + len(COMPOSITE)


def test_half_of_the_tasks_are_of_several_deeds_and_four_fifths_need_the_server():
    local_only = sum(job.text.startswith("On the local computer:") for _, job in JOBS) / len(JOBS)
    assert 1 - local_only == pytest.approx(0.8148, abs=0.03)
    assert sum(scene.local.is_windows for scene, _ in JOBS) / len(JOBS) == pytest.approx(1 / 3, abs=0.04)
    assert sum(job.text.startswith("On the ") for _, job in JOBS) / len(JOBS) == pytest.approx(0.5 * 7 / 9, abs=0.04)


@pytest.mark.parametrize("seed", range(40))
def test_another_file_or_place_is_no_success(seed):
    """All but the last line of the solution never does."""
    scene, job = draw_job(seed)
    there = Shell(scene.local, scene.server)
    for line in job.solution[:-1]:
        there.run(line)
    assert not all(check.holds(scene.on(check.side)) for check in job.checks)


def opened(wording):
    pack = make_terminal_pack("paper", wording, "test", 3, 4)
    return pack, TurnEnvironment(open_game("paper", wording, pack), wording)


@pytest.mark.parametrize(("wording", "form"), [("terse", "{}"), ("paper", "So <answer>{}</answer>")])
def test_an_attempt_is_over_as_soon_as_the_goal_is_reached(wording, form):
    pack, environment = opened(wording)
    for task in pack.tasks:
        system, user = environment.reset(task, "")
        assert "scp" in system.content
        assert user.content.startswith(f"{task.instruction}\nThe local computer has ")
        answers = [environment.step(Message("assistant", form.format(line))) for line in draw_job(task.seed)[1].solution]
        assert [answer.end for answer in answers] == [None] * (len(answers) - 1) + ["finished"]
        assert (environment.grade().reward, environment.grade().passed) == (1.0, True)


def test_steps_run_out_and_nothing_is_told_of_the_checks():
    pack, environment = opened("paper")
    environment.reset(pack.tasks[0], "")
    answers = [environment.step(Message("assistant", "<answer>pwd</answer>")) for _ in range(TURNS)]
    assert [answer.end for answer in answers] == [None] * (TURNS - 1) + ["steps"]
    assert answers[0].messages[0].content.startswith("Step 2/12\n")
    assert environment.grade().feedback == "Failed: the goal state was not reached."


def test_an_answer_without_tags_loses_the_task():
    pack, environment = opened("paper")
    environment.reset(pack.tasks[0], "")
    assert environment.step(Message("assistant", "pwd")).end == "finished"
    assert environment.grade().failed == ("form",)


def test_tasks_of_a_pack_share_nothing_and_each_attempt_begins_anew():
    pack, _ = opened("terse")
    assert len({task.instruction for task in pack.tasks}) == 4
    first, again = SimulatorAttempt(pack.tasks[0], "terse"), SimulatorAttempt(pack.tasks[0], "terse")
    for line in draw_job(pack.tasks[0].seed)[1].solution:
        first.act(line)
    assert first.is_done()
    assert not again.is_done()
    assert make_terminal_pack("paper", "paper", "test", 3, 8).tasks[:4] == pack.tasks


def test_what_can_be_reached_without_a_model():
    means = mean_rewards("terminal", "paper", packs=25, tasks=4)
    assert means["known"] == means["carry"] == means["scratch"] == [1.0] * 4
    assert max(means["random"]) < 0.15
