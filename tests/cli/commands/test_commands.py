"""What can be done with a loop, through the installed command."""

import json
import subprocess

from tests.cli.conftest import CHECK, FIX, IDLE, call

LOCAL = ("--sandbox", "local")


def git(repository, *arguments):
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=True).stdout


def test_the_result_is_a_commit_on_a_branch_and_the_checkout_is_as_it_was(codagent, script, repository):
    (repository / "notes.txt").write_text("uncommitted\n")
    result = json.loads(codagent("run", "mend it", "--model", script(FIX), "--check", CHECK, "--json", *LOCAL).stdout)
    assert git(repository, "show", f"{result['branch']}:answer.txt") == "right\n"
    assert git(repository, "show", f"{result['branch']}:notes.txt") == "uncommitted\n"
    assert git(repository, "rev-parse", f"refs/codagent/{result['id']}/0").strip() == result["commit"]
    assert (repository / "answer.txt").read_text() == "wrong\n"
    assert git(repository, "status", "--short") == "?? notes.txt\n"
    assert git(repository, "branch", "--show-current") == "main\n"
    message = git(repository, "log", "-1", "--format=%B", result["branch"])
    assert message.splitlines()[0] == "put it right"
    assert "Codagent-Gates: passed" in message


def test_the_task_may_come_from_standard_input(codagent, script):
    assert codagent("run", "-", "--model", script(FIX), *LOCAL, stdin="mend it\n").returncode == 0
    assert codagent("run", "--model", script(FIX), *LOCAL, stdin="mend it\n").returncode == 0
    assert [row["task"] for row in json.loads(codagent("list", "--json").stdout)] == ["mend it", "mend it"]


def test_diff_piped_is_a_patch_that_applies(codagent, script, repository):
    codagent("run", "mend it", "--model", script(FIX), *LOCAL)
    subprocess.run(["git", "apply"], cwd=repository, input=codagent("diff").stdout, text=True, check=True)
    assert (repository / "answer.txt").read_text() == "right\n"


def test_apply_changes_the_working_tree_and_nothing_else(codagent, script, repository):
    codagent("run", "mend it", "--model", script(FIX), *LOCAL)
    assert codagent("apply").returncode == 0
    assert git(repository, "status", "--short") == " M answer.txt\n"
    again = codagent("apply")
    assert (again.returncode, again.stdout) == (0, "already there: the working tree has this change\n")
    assert (repository / "answer.txt").read_text() == "right\n"


def test_nothing_changed_is_said(codagent, script):
    done = codagent("run", "look", "--model", script(IDLE), *LOCAL)
    assert "nothing was changed" in done.stdout
    assert "changed nothing" in codagent("apply").stderr


def test_show_tells_the_whole_story(codagent, script):
    codagent("run", "mend it", "--model", script(FIX), "--check", CHECK, *LOCAL)
    shown = codagent("show").stdout
    assert shown.startswith("task:    mend it\n")
    for part in ("[bash]", "exit 0\nright", "ended: the agent says that it is done", "checks: passed", f"$ {CHECK}"):
        assert part in shown
    assert shown.endswith("\noutcome: every check passes\n")
    assert "Task: mend it" in codagent("show", "--full").stdout
    assert "Task: mend it" not in shown


def test_a_replay_of_the_same_code_is_the_same(codagent, script):
    codagent("run", "mend it", "--model", script(FIX), *LOCAL)
    done = codagent("replay", *LOCAL)
    assert (done.returncode, done.stdout) == (0, "the same: 2 steps, and the tree that they end in\n")


def test_halves_of_characters_and_endless_brackets_break_no_command(codagent, script):
    half = "\ud83d"
    odd = [
        {"content": f"I try {half}", "calls": [{"name": "bash", "arguments": {"command": f"echo {half}"}}]},
        {"content": half, "calls": [{"name": "write", "arguments": {"path": half, "content": half}}]},
        {"content": "", "calls": [{"name": half, "arguments": "[" * 50_000}, {"name": "bash", "arguments": "[" * 50_000}]},
        call("finish", summary=f"done {half}"),
        f"<notes>it was {half}</notes>",
        {"content": half, "calls": [{"name": "finish", "arguments": "[" * 50_000}]},
        "[" * 50_000,
    ]
    done = codagent("loop", "mend it", "--iterations", "2", "--check", CHECK, "--model", script(odd), *LOCAL)
    assert done.returncode == 4, done.stderr  # the checks do not pass
    assert codagent("notes", "show").stdout == "it was \ufffd\n"
    assert "I try" in codagent("show").stdout
    assert codagent("report").returncode == 0
    replayed = codagent("replay", *LOCAL)
    assert (replayed.returncode, replayed.stdout) == (0, "the same: 5 steps, and the tree that they end in\n")


def test_a_replay_reports_the_first_difference(codagent, script):
    codagent("run", "x", "--model", script([call("bash", command="echo a; echo $RANDOM$RANDOM"), *IDLE]), *LOCAL)
    done = codagent("replay", *LOCAL)
    assert done.returncode == 3
    assert done.stdout.startswith("step 1 differs\n- ")


def test_clean_removes_loop_branch_and_refs(codagent, script, repository):
    loop = json.loads(codagent("run", "mend it", "--model", script(FIX), "--json", *LOCAL).stdout)["id"]
    assert codagent("clean", loop).returncode == 0
    assert git(repository, "for-each-ref", "--format=%(refname)") == "refs/heads/main\n"
    assert not (repository / ".codagent/loops" / loop).exists()


def test_protected_files_are_judged_as_they_stood(codagent, script):
    cheat = [call("write", path="check.sh", content="exit 0"), call("finish", summary="done")]
    sneaky = codagent("run", "x", "--model", script(cheat), "--check", "test ! -e check.sh", "--protect", "check.*", "--json", *LOCAL)
    assert json.loads(sneaky.stdout)["passed"] is True
    changed = [call("write", path="answer.txt", content="right"), call("finish", summary="done")]
    done = codagent("run", "x", "--model", script(changed), "--check", CHECK, "--protect", "*.txt", "--json", *LOCAL)
    assert json.loads(done.stdout)["passed"] is False


def test_rules_of_the_repository_are_told(codagent, script, repository):
    (repository / "CLAUDE.md").write_text("the lesser rules")
    (repository / "AGENTS.md").write_text("always be kind")
    done = codagent("run", "x", "--model", script(IDLE), *LOCAL)
    shown = codagent("show", "--full").stdout
    assert shown.index("always be kind") < shown.index("the lesser rules")
    assert "instructions read: AGENTS.md, CLAUDE.md\n" in done.stderr


def test_the_local_sandbox_says_that_it_does_not_isolate(codagent, script):
    assert "does not isolate" in codagent("run", "x", "--model", script(IDLE), *LOCAL).stderr


def test_doctor_says_what_does_not_work(codagent):
    done = codagent("doctor", DOCKER_HOST="unix:///nonexistent.sock")
    assert done.returncode == 1
    assert "yes  git: " in done.stdout
    assert "no   docker engine: " in done.stdout
    for lacking in ("weights: none in", "default model: embedded, because none is named", "settings: none;", "API keys: none is set"):
        assert f"-    {lacking}" in done.stdout
    assert "`codagent models pull qwen2.5-coder-1.5b` downloads its weights, which are missing" in done.stdout
    assert "yes  API keys: MY_API_KEY" in codagent("doctor", DOCKER_HOST="unix:///nonexistent.sock", MY_API_KEY="secret-value").stdout


def test_a_dry_run_knows_the_model_and_names_money_only_where_it_is_known(codagent):
    done = codagent("loop", "x", "--check", "true", "--dry-run", "--model", "nonsense/x")
    assert (done.returncode, "there is no provider 'nonsense'" in done.stderr) == (2, True)
    plan = codagent("loop", "x", "--check", "true", "--dry-run", "--model", "http://127.0.0.1:9/v1#m").stdout
    assert ("$" in plan, "price of http://127.0.0.1:9/v1#m is not known" in plan) == (False, True)


def test_a_server_that_was_never_reached_costs_nothing(codagent):
    done = codagent("run", "x", "--model", "http://127.0.0.1:9/v1#m", "--wait", "0", "--json", *LOCAL)
    result = json.loads(done.stdout)
    assert (result["outcome"], result["tokens"], result["usd"]) == ("model", 0, 0.0)


def test_a_file_in_the_place_of_an_id_is_answered_with_the_command_that_was_meant(codagent):
    done = codagent("apply", "answer.txt")
    assert (done.returncode, "`codagent apply -- answer.txt` takes only this file" in done.stderr) == (2, True)


def test_show_names_each_task_above_its_first_attempt(codagent, script, repository):
    tasks = "".join(f'[[task]]\ninstruction = "{text}"\nchecks = ["grep -q {text} answer.txt"]\n' for text in ("one", "two", "three"))
    (repository / "tasks.toml").write_text(tasks)
    replies = [item for text in ("one", "two", "three") for item in (call("bash", command=f"echo {text} >> answer.txt"), IDLE[0])]
    assert codagent("loop", "tasks.toml", "--rewrite", "never", "--model", script(replies), *LOCAL).returncode == 0
    lines = codagent("show").stdout.splitlines()
    assert [line for line in lines if line.startswith("task: ")] == [f"task:    {text}" for text in ("one", "two", "three")]
