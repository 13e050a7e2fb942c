"""What somebody else made, a repository or a record, is not acted on: no command on this machine, no link followed, no limit raised."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import CHECK, FIX, IDLE, call
from tests.cli.loops import LOCAL, LOOP, attempt, noted, record_of, told, tries
from tests.store.foreign import without_checksums

ONCE = ("--iterations", "1")


def git(repository, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout


def track(repository, path, content=None, link=None):
    file = repository / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(link) if link else file.write_text(content)
    git(repository, "add", "-Af", ".")
    git(repository, "commit", "-qm", "x")


def text_of_prompts(done):
    return "".join(message.content for episode in record_of(done).episodes for message in episode.prompt)


@pytest.mark.parametrize("command", ["run", "loop"])
def test_a_repository_may_not_choose_the_local_sandbox(codagent, script, repository, tmp_path, command):
    (repository / "codagent.toml").write_text(f'checks = ["touch {tmp_path}/owned"]\n[sandbox]\nname = "local"\n')
    done = codagent(command, "x", "--model", script(FIX))
    assert (done.returncode, (tmp_path / "owned").exists()) == (2, False)
    assert "a repository may not choose the local sandbox" in done.stderr


def test_nor_may_a_task_file(codagent, script, repository):
    (repository / "task.toml").write_text('instruction = "x"\nchecks = ["true"]\n[sandbox]\nname = "local"\n')
    assert codagent("loop", "task.toml", "--model", script(FIX)).returncode == 2


def test_the_person_s_own_file_may(codagent, script, tmp_path):
    (tmp_path / "config" / "codagent").mkdir(parents=True)
    (tmp_path / "config" / "codagent" / "config.toml").write_text('[sandbox]\nname = "local"\n')
    assert codagent("run", "x", "--model", script(FIX)).returncode == 0


def test_a_repository_lowers_limits_and_does_not_raise_them(codagent, repository, tmp_path):
    (tmp_path / "config" / "codagent").mkdir(parents=True)
    (tmp_path / "config" / "codagent" / "config.toml").write_text("max_usd = 1\nmax_tokens = 5000\n")
    (repository / "codagent.toml").write_text("max_usd = 100000\nmax_tokens = 4000\niterations = 99\nmax_seconds = 60\n")
    done = codagent("loop", "x", "--check", "true", "--dry-run", "--model", "scripted:none")
    assert "limits:     4,000 tokens, 60 s, $1" in done.stdout
    assert "iterations: 10 " in done.stdout
    assert "ignored: iterations, max_usd" in done.stderr


def test_a_flag_of_the_person_raises_them(codagent, repository):
    (repository / "codagent.toml").write_text("max_tokens = 4000\n")
    done = codagent("loop", "x", "--check", "true", "--dry-run", "--model", "scripted:none", "--max-tokens", "9000000")
    assert "limits:     9,000,000 tokens" in done.stdout


@pytest.mark.parametrize("name", ["notes.md", "verdicts.jsonl", "loops", "notes"])
@pytest.mark.parametrize("tracked", [True, False])
def test_links_in_the_home_folder_are_not_followed(codagent, script, repository, tmp_path, name, tracked):
    mine = tmp_path / "mine"
    if name in ("loops", "notes"):
        mine.mkdir()
    else:
        mine.write_text("MY OWN TEXT\n")
    if tracked:
        track(repository, f".codagent/{name}", link=mine)
    else:
        (repository / ".codagent").mkdir()
        (repository / ".codagent" / name).symlink_to(mine)
    done = codagent(*LOOP, *ONCE, "--model", script(tries("right")), "--json")
    assert list(mine.iterdir()) == [] if mine.is_dir() else mine.read_text() == "MY OWN TEXT\n"
    if tracked:
        assert (done.returncode, "git tracks .codagent here" in done.stderr) == (0, True), done.stderr
        assert "MY OWN TEXT" not in text_of_prompts(done)
        assert codagent("show").returncode == 0
    else:
        assert (done.returncode, "is not a plain file or folder of yours" in done.stderr) == (6, True), done.stderr


def test_a_home_folder_that_is_a_link_is_refused(codagent, script, repository, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (repository / ".codagent").symlink_to(tmp_path / "elsewhere")
    for arguments in (["run", "x", "--model", script(FIX), *LOCAL], ["list"], ["clean", "--all"]):
        assert codagent(*arguments).returncode == 6
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_tracked_notes_verdicts_and_records_are_not_used(codagent, script, repository):
    first = codagent(*LOOP, *ONCE, "--model", script([*IDLE, noted("TRACKED NOTES")]), "--json")
    assert first.returncode == 3
    git(repository, "add", "-Af", ".codagent")
    git(repository, "commit", "-qm", "x")
    done = codagent(*LOOP, *ONCE, "--model", script(tries("right")), "--json")
    assert done.returncode == 0, done.stderr
    assert "TRACKED NOTES" not in text_of_prompts(done)
    assert len(json.loads(codagent("list", "--json").stdout)) == 1
    assert "TRACKED NOTES" in (repository / ".codagent" / "notes.md").read_text()
    assert git(repository, "status", "--short") == ""


@pytest.mark.parametrize("place", ["codagent.toml", ".codagent/notes.md", ".codagent/loops/x/record.jsonl"])
@pytest.mark.parametrize("kind", ["endless", "pipe"])
def test_what_has_no_end_is_not_read(codagent, script, repository, place, kind):
    file = repository / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to("/dev/zero") if kind == "endless" else os.mkfifo(file)
    done = codagent(*LOOP, *ONCE, "--model", script(tries("right")))
    assert done.returncode == (0 if "record" in place else 2 if "toml" in place else 6), done.stderr
    assert "Traceback" not in done.stderr


def test_a_record_does_not_choose_the_local_sandbox(codagent, script, repository, tmp_path):
    codagent("run", "mend it", "--model", script(FIX), "--check", CHECK, *LOCAL)
    record = next(repository.glob(".codagent/loops/*/record.jsonl"))
    record.write_text(without_checksums(record.read_text()).replace("sed -i s/wrong/right/ answer.txt", f"touch {tmp_path}/owned"))
    done = codagent("replay")
    assert (done.returncode, (tmp_path / "owned").exists()) == (2, False)
    assert "--sandbox local says that they may" in done.stderr


@pytest.fixture
def foreign(codagent, script, repository):
    """Gives a loop of this repository that was broken off, its record changed by somebody else."""

    def make(**changes):
        made = told(codagent(*LOOP, *ONCE, "--model", script([*attempt("no"), noted("n"), *attempt("right")]), "--json"))
        record = Path(made["record"])
        head, *rest = without_checksums(record.read_text()).split("\n")
        head = json.loads(head)
        for key, value in changes.items():
            head["loop"]["settings"][key] = head["loop"]["settings"][key] | value if isinstance(value, dict) else value
        record.write_text("\n".join([json.dumps(head), *rest]))
        return made["id"]

    return make


def test_a_foreign_record_does_not_choose_the_model(codagent, foreign):
    loop_id = foreign(model="http://127.0.0.1:9/v1#m")
    done = codagent("loop", "--resume", loop_id, "--iterations", "2", *LOCAL, CODAGENT_API_KEY="secret")
    assert (done.returncode, "name a model with --model" in done.stderr) == (2, True)


def test_the_person_may_name_the_model_for_it(codagent, foreign, script):
    model = script([*attempt("no"), noted("n"), *attempt("right")])
    done = codagent("loop", "--resume", foreign(model="scripted:/elsewhere"), "--iterations", "2", *LOCAL, "--model", model, "--json")
    assert done.returncode == 0, done.stderr


def test_a_foreign_record_writes_notes_in_its_own_folder(codagent, foreign, script, repository, tmp_path):
    (tmp_path / "mine").write_text("mine\n")
    loop_id = foreign(job={"notes_file": str(tmp_path / "mine")})
    assert codagent("notes", "rollback", loop_id).returncode == 0
    model = script([*attempt("no"), noted("n"), *attempt("right")])
    done = codagent("loop", "--resume", loop_id, "--iterations", "2", *LOCAL, "--model", model)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine").read_text() == "mine\n"
    assert "its notes are kept in" in done.stderr


def test_a_foreign_record_does_not_raise_limits(codagent, foreign, script):
    loop_id = foreign(limits={"tokens": 10**9, "usd": None})
    model = script([*attempt("no"), noted("n"), *attempt("right")])
    done = codagent("loop", "--resume", loop_id, "--iterations", "2", *LOCAL, "--model", model, "--max-tokens", "100")
    assert (done.returncode, "its limits are lowered to yours" in done.stderr) == (8, True), done.stderr


@pytest.mark.parametrize("commit", ["--output=owned", "../../x"])
def test_a_record_gives_git_no_options(codagent, foreign, repository, commit):
    record = repository / ".codagent" / "loops" / foreign() / "record.jsonl"
    head, rest = record.read_text().split("\n", 1)
    head = json.loads(head)
    head["loop"]["start_commit"] = commit
    record.write_text(f"{json.dumps(head)}\n{rest}")
    for command in ("diff", "apply", "report"):
        assert codagent(command).returncode == 7
    assert not (repository / "owned").exists()


def test_a_chosen_folder_of_records_holds_all_that_is_kept(codagent, script, repository):
    track(repository, "notes.md", "my own notes\n")
    (repository / ".gitignore").write_text("")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "x")
    done = codagent(*LOOP, *ONCE, "--model", script(tries("right")), "--record", "records", "--json")
    assert done.returncode == 0, done.stderr
    assert (repository / "notes.md").read_text() == "my own notes\n"
    assert git(repository, "status", "--short") == ""
    assert sorted(path.name for path in repository.iterdir()) == [".git", ".gitignore", "answer.txt", "notes.md", "records"]
    assert codagent("show", "--record", "records").returncode == 0


def test_two_repositories_share_a_folder_of_records_and_no_notes(codagent, script, repository, tmp_path):
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", repository, other], check=True)
    for root, note in ((repository, "of the first"), (other, "of the second")):
        done = codagent(
            *LOOP, *ONCE, "--model", script([*attempt("right"), noted(note)]), "--record", str(tmp_path / "r"), "--json", cwd=root
        )
        assert done.returncode == 0, done.stderr
        assert "of the first" not in text_of_prompts(done)
    assert len(json.loads(codagent("list", "--record", str(tmp_path / "r"), "--json").stdout)) == 1
    assert not (tmp_path / "notes.md").exists()


CONTROL = "\x1b]0;owned\x07\x9b31m\x1b[2J"


def test_no_control_sequence_reaches_the_terminal(codagent, script, repository, tmp_path):
    (repository / f"a{CONTROL.replace('/', '')}.txt").write_text("x")
    replies = [call(f"bash{CONTROL}", command=f"echo '{CONTROL}'"), call("finish", summary=CONTROL)]
    model = script(replies)
    made = [codagent("run", f"do {CONTROL}", "--model", model, *LOCAL, "--check", f"echo '{CONTROL}'; false")]
    made += [codagent(command) for command in ("show", "list", "diff", "apply", "report")]
    made += [
        codagent("show", "--full"),
        codagent("show", "--tokens"),
        codagent("diff", f"x{CONTROL}"),
        codagent("run", "x", f"--model={CONTROL}"),
    ]
    (repository / "codagent.toml").write_text(f'"a{CONTROL.encode("unicode_escape").decode()}" = 1\n'.replace("\\x", "\\u00"))
    made.append(codagent("run", "x", "--model", model, *LOCAL))
    for done in made:
        assert "\x1b" not in done.stdout + done.stderr, done.args
        assert "\x9b" not in done.stdout + done.stderr, done.args


def test_a_terminal_that_knows_few_letters_is_written_to(codagent, script):
    codagent("run", "x", "--model", script(IDLE), *LOCAL)
    done = codagent("show", PYTHONIOENCODING="ascii")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
