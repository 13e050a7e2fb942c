"""`codagent loop` through the installed command: how it ends, what it prints, what it carries from attempt to attempt."""

import json
import subprocess

import pytest

from codagent.runner.result import KEYS
from tests.cli.conftest import CHECK, IDLE, call
from tests.cli.loops import LOCAL, LOOP, attempt, kinds, noted, record_of, told, tries


def shown(repository, revision):
    return subprocess.run(["git", "show", revision], cwd=repository, capture_output=True, text=True, check=True).stdout


def first_messages(loop):
    return [episode.prompt[-1].content for episode in loop.episodes if episode.kind == "solve"]


def test_0_when_the_checks_pass_and_what_was_learned_is_carried_on(codagent, script, repository):
    done = codagent(*LOOP, "--model", script(tries("1", "2", "right")), "--json")
    result, loop = told(done), record_of(done)
    assert list(result) == list(KEYS)
    assert (done.returncode, result["outcome"], result["iterations"], result["passed"], result["claimed"]) == (0, "passed", 3, True, True)
    assert kinds(loop) == [(kind, at) for at in range(3) for kind in ("solve", "notes")]
    assert [episode.notes_before for episode in loop.episodes if episode.kind == "solve"] == ["", "after 1", "after 2"]
    assert (repository / ".codagent/notes.md").read_text() == "after 3\n"
    assert shown(repository, f"{result['branch']}:answer.txt") == "right\n"
    assert [shown(repository, f"refs/codagent/{result['id']}/{at}:answer.txt") for at in range(3)] == ["1\n", "2\n", "right\n"]
    assert "wrote 1" in first_messages(loop)[1]
    assert loop.group == loop.id


def test_3_when_the_iterations_are_over_and_the_best_is_kept(codagent, script):
    done = codagent(*LOOP, "--model", script(tries("1", "2")), "--iterations", "2", "--json")
    assert (done.returncode, told(done)["outcome"], told(done)["iterations"]) == (3, "failed", 2)
    assert "--resume with more --iterations goes on" in done.stderr


def test_9_when_nothing_changes(codagent, script):
    items = [item for _ in range(3) for item in (*IDLE, noted("nothing"))]
    done = codagent(*LOOP, "--model", script(items), "--patience", "2", "--json")
    assert (done.returncode, told(done)["outcome"], told(done)["iterations"]) == (9, "stalled", 2)
    assert "no progress: the files are as they were at the start" in done.stderr


def test_9_when_only_a_person_can_help(codagent, script):
    items = [item for k in range(3) for item in (*attempt(str(k), blocked="the password is missing"), noted(f"{k}"))]
    done = codagent(*LOOP, "--model", script(items), "--json")
    assert (done.returncode, told(done)["outcome"], told(done)["iterations"]) == (9, "blocked", 3)
    assert "only a person can remove" in done.stderr


@pytest.mark.parametrize(
    ("flag", "amount", "word"), [("--max-tokens", "5000", "tokens"), ("--max-seconds", "3", "seconds")], ids=["tokens", "seconds"]
)
def test_8_at_a_limit(codagent, script, flag, amount, word):
    items = [item for k in range(9) for item in (call("bash", command="sleep 0.5"), *attempt(str(k)), noted(f"{k} {'x' * 900}"))]
    done = codagent(*LOOP, "--model", script(items), "--patience", "9", flag, amount, "--json")
    assert (done.returncode, told(done)["outcome"]) == (8, word), done.stderr
    assert f"{flag} raises the limit" in done.stderr or f"{flag} raises it" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mend it"], "a loop needs a gate"),
        (["absent.toml"], "there is no task file absent.toml"),
        (["wrong.toml"], "wrong.toml: unknown key 'cheks'; did you mean 'checks'?"),
        (["torn.toml"], "torn.toml"),
        (["empty.md"], "empty.md is empty"),
        (["mend it", "--check", "true", "--from", "here"], "'here' is not one of"),
        (["--resume", "absent"], "there is no session, run or loop absent"),
    ],
)
def test_2_for_wrong_usage(codagent, script, repository, arguments, said):
    (repository / "wrong.toml").write_text('instruction = "mend it"\ncheks = ["true"]\n')
    (repository / "torn.toml").write_text('instruction = "mend')
    (repository / "empty.md").write_text("\n")
    done = codagent("loop", *arguments, "--model", script(IDLE), *LOCAL)
    assert done.returncode == (7 if "--resume" in arguments else 2)
    assert said in done.stderr


def test_4_when_the_model_is_down_which_is_no_iteration(codagent, script):
    down = codagent(*LOOP, "--model", script(tries("1")), "--json")
    assert (down.returncode, told(down)["outcome"]) == (4, "model")
    assert told(down)["iterations"] == 1
    assert "iteration 1 of 10" in down.stderr
    assert "iteration 2 of 10" not in down.stderr
    listed = json.loads(codagent("list", "--json").stdout)
    assert (listed[0]["outcome"], listed[0]["iterations"]) == ("model", 1)


def test_notes_that_are_not_rewritten_stay(codagent, script, repository, tmp_path):
    mine = tmp_path / "mine.md"
    mine.write_text("look at answer.txt\n")
    never = codagent(*LOOP, "--model", script([*attempt("1"), *attempt("right")]), "--rewrite", "never", "--notes", str(mine), "--json")
    assert kinds(record_of(never)) == [("solve", 0), ("solve", 1)]
    assert all("look at answer.txt" in message for message in first_messages(record_of(never)))
    between = codagent(*LOOP, "--model", script(tries("1", "right")), "--rewrite", "between", "--notes", str(mine), "--json")
    assert kinds(record_of(between)) == [("solve", 0), ("notes", 0), ("solve", 1)]
    assert mine.read_text() == "after 1\n"
    assert not (repository / ".codagent/notes.md").exists()


def test_a_dry_run_prints_the_bill_and_does_nothing(codagent, script, repository):
    done = codagent(*LOOP, "--model", script(IDLE), "--max-tokens", "5000", "--dry-run")
    assert done.returncode == 0
    assert done.stdout.startswith(f"task:       mend it; checks: {CHECK}\nmodel:  ")
    assert "5,000 tokens" in done.stdout
    as_json = codagent(*LOOP, "--model", script(IDLE), "--dry-run", "--json")
    assert json.loads(as_json.stdout)["plan"][0] == f"task:       mend it; checks: {CHECK}"
    assert "worst case: $0" in done.stdout
    assert not list(repository.glob(".codagent/loops/*"))


def test_a_markdown_file_is_an_instruction(codagent, script, repository):
    (repository / "task.md").write_text("# Mend\n\nPut the answer right.\n")
    done = codagent("loop", "task.md", "--check", CHECK, "--model", script(tries("right")), "--json", *LOCAL)
    assert (done.returncode, record_of(done).episodes[0].task.instruction) == (0, "# Mend\n\nPut the answer right.")


def test_notes_and_the_best_files_carry_over_from_task_to_task(codagent, script, repository):
    (repository / "tasks.toml").write_text(f"""
        checks = ["{CHECK}"]
        iterations = 2
        [[task]]
        instruction = "mend it"
        [[task]]
        instruction = "and another"
        checks = ["test -e other.txt", "{CHECK}"]
    """)
    other = [call("write", path="other.txt", content="x"), call("finish", summary="done")]
    done = codagent("loop", "tasks.toml", "--model", script([*tries("1", "right"), *other, noted("all")]), "--json", *LOCAL)
    loop = record_of(done)
    assert (done.returncode, told(done)["iterations"]) == (0, 3)
    assert [(one.task.id, one.notes_before) for one in loop.episodes if one.kind == "solve"] == [
        ("task-1", ""),
        ("task-1", "after 1"),
        ("task-2", "after 2"),
    ]
    assert shown(repository, f"{told(done)['branch']}:answer.txt") == "right\n"


@pytest.mark.parametrize(("rule", "found"), [("best", "a"), ("last", "a b"), ("start", "")])
def test_an_attempt_starts_from_the_files_that_the_rule_chooses(codagent, script, rule, found):
    steps = [item for command in ("touch a", "touch b", "echo found: [ab]") for item in (call("bash", command=command), *IDLE)]
    check = ("--check", "test -e a", "--check", "test ! -e b", "--check", "false")
    flags = ("--rewrite", "never", "--iterations", "3", "--from", rule, "--json")
    done = codagent("loop", "x", *check, *flags, "--model", script(steps), *LOCAL)
    third = [one for one in record_of(done).episodes if one.kind == "solve"][2]
    expected = f"found: {found or '[ab]'}"
    assert expected in third.steps[0].observation.messages[0].content.splitlines()


def test_the_end_is_told_in_ten_lines(codagent, script):
    lines = codagent(*LOOP, "--model", script(tries("1", "right"))).stdout.splitlines()
    assert lines[0] == "outcome: every check passes"
    assert lines[1].startswith("used:    2 iterations, ")
    assert "scores:  0.00 1.00" in lines
    assert len(lines) <= 10


@pytest.mark.parametrize("rewrite", ["between", "always", "never"])
def test_each_iteration_is_announced_once(codagent, script, rewrite):
    replies = tries("1", "2", "3") if rewrite != "never" else [item for answer in "123" for item in attempt(answer)]
    done = codagent(*LOOP, "--iterations", "3", "--rewrite", rewrite, "--model", script(replies))
    told_of = [line for line in done.stderr.splitlines() if line.startswith(("iteration ", "the checks do not pass"))]
    assert [line.split(" (")[0].split(": ")[0] for line in told_of if " of 3: " in line] == [f"iteration {n} of 3" for n in (1, 2, 3)]
    assert sum(line.startswith("the checks do not pass after 3 iterations") for line in told_of) == 1
