"""A key is sent and is nowhere else: on no terminal, in no record, note or commit, whoever repeats it and whatever fails."""

import json
import subprocess

import pytest

from tests.cli.conftest import CHECK, FIX, call
from tests.cli.loops import LOCAL
from tests.models.loopback import Answer, refusal, serve

KEY = "sk-Very/Secret-123"


def places(done, repository, tmp_path):
    """All that a command has left: what it printed, its own files, and commits with their messages."""
    files = [file for folder in (repository / ".codagent", tmp_path / ".local", tmp_path / ".cache") for file in folder.rglob("*")]
    kept = b"".join(file.read_bytes() for file in files if file.is_file())
    log = subprocess.run(["git", "log", "--all", "-p"], cwd=repository, capture_output=True, text=True, check=True).stdout
    return f"{done.stdout}{done.stderr}{kept.decode(errors='replace')}{log}".lower()


ECHO = [
    Answer(f"your key is {KEY}", calls=[("bash", json.dumps({"command": f"echo {KEY}"}))]),
    Answer(calls=[("finish", json.dumps({"summary": f"used {KEY}"}))]),
    Answer(f"<notes>\n{KEY} is the key\n</notes>"),
]


@pytest.mark.parametrize("output", ["--json", "--stream-json"])
def test_a_server_that_says_the_key_again(codagent, repository, tmp_path, output):
    with serve(*ECHO) as server:
        words = ("loop", "x", "--check", "test -e none", "--iterations", "1", "--rewrite", "always", output)
        done = codagent(*words, "--model", f"{server.url}#m", *LOCAL, CODAGENT_API_KEY=KEY)
    assert done.returncode == 3, done.stderr
    assert "very/secret" not in places(done, repository, tmp_path)
    pieces = [event["text"] for event in map(json.loads, done.stdout.splitlines()) if event.get("event") == "text"]
    assert "very/secret" not in "".join(pieces).lower()


@pytest.mark.parametrize("header", ["x-api-key", "Authorization"])
def test_a_header_of_the_user_s_own_is_a_key_too(codagent, repository, tmp_path, header):
    folder = tmp_path / "config" / "codagent"
    folder.mkdir(parents=True)
    with serve(refusal(401, f"key {KEY} is wrong")) as server:
        (folder / "config.toml").write_text(
            f'[models.house]\nurl = "{server.url}#m"\nheaders = {{ {header} = "{"Bearer " * (header == "Authorization")}{KEY}" }}\n'
        )
        done = codagent("run", "x", "--model", "house", *LOCAL)
    assert (done.returncode, "key … is wrong" in done.stderr) == (4, True)
    assert "very/secret" not in places(done, repository, tmp_path)


@pytest.mark.parametrize("address", ["http://me:{0}@127.0.0.1:9/v1#m", "https://{0}@127.0.0.1:9/v1#m", "http://127.0.0.1:9/v1?key={0}#m"])
@pytest.mark.parametrize("command", [["run", "x"], ["loop", "x", "--check", CHECK, "--dry-run"], ["doctor"]])
def test_an_address_with_a_key_in_it_is_refused(codagent, repository, tmp_path, address, command):
    done = codagent(*command, "--model", address.format("Very-Secret-123"), *(() if command == ["doctor"] else LOCAL))
    assert done.returncode == (1 if command == ["doctor"] else 2)
    assert "may hold no user, password or query" in done.stdout + done.stderr
    assert "very-secret" not in places(done, repository, tmp_path)


def test_a_traceback_hides_them_as_well(codagent, script, repository, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/git.py").write_text("import os\nraise RuntimeError(os.environ['HOUSE_TOKEN'])\n")
    done = codagent("run", "x", "--model", script(FIX), *LOCAL, PYTHONPATH=str(tmp_path / "broken"), HOUSE_TOKEN=KEY)
    assert (done.returncode, "RuntimeError: …" in done.stderr) == (1, True)
    assert "very/secret" not in places(done, repository, tmp_path)


def test_what_a_command_prints_of_the_environment_of_this_machine(codagent, script, repository, tmp_path):
    replies = [call("bash", command="env; cat key"), *FIX]
    (repository / "key").write_text(KEY)
    done = codagent("run", "x", "--model", script(replies), *LOCAL, "--json", MY_PASSWORD=KEY)
    assert done.returncode == 0
    record = next(repository.glob(".codagent/loops/*/record.jsonl")).read_text()
    assert "very/secret" not in (done.stdout + done.stderr + record).lower()
