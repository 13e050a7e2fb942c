"""A session in a container."""

import signal
import threading
import time
from dataclasses import replace

import pytest

from codagent.cli.terminal.progress import ProgressLines
from codagent.repository import git
from codagent.repository.messages.own import UserInstructions
from codagent.repository.messages.skills import SkillFile
from codagent.session.opening import begin
from tests.session.place import Place, call, make_repository

pytestmark = pytest.mark.docker


@pytest.fixture
def place(tmp_path, python_sandbox):
    made = Place(make_repository(tmp_path / "repository"), tmp_path)
    yield made
    made.close()


class Impatient(ProgressLines):
    """Interrupts this process once, as Ctrl-C does, when a command has printed something."""

    waits = True

    def on_output(self, text):
        if text and self.waits:
            self.waits = False
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def test_a_command_is_stopped_and_the_container_goes_on_with_its_files(place):
    wait = call("bash", command="echo begun | tee begun.txt; sleep 280")
    replies = [wait, call("bash", command="cat begun.txt"), "There."]
    session = place.keep(begin(place.options(replies, Impatient(live=False), sandbox="python")))
    began = time.monotonic()
    assert session.ask("wait").end == "interrupted"
    assert time.monotonic() - began < 200
    assert "begun" in session.ask("what is there?").steps[0].observation.messages[0].content
    assert "begun.txt" in git.list_files(place.root, session.history.commit)


def test_what_a_turn_has_started_still_runs_in_the_next(place):
    serve = call("bash", command="(while true; do date +%N > beat; sleep 0.1; done) >/dev/null 2>&1 & echo started")
    differs = 'b=$(cat beat); [ "$b" ] && [ "${a:=$b}" != "$b" ]'
    differs = 'b=$(cat beat); [ "$b" ] && [ "${a:=$b}" != "$b" ]'
    look = call("bash", command=f"until {differs}; do sleep 0.1; done; echo alive")
    session = place.begin(serve, "It runs.", look, "It is alive.", sandbox="python")
    session.ask("start it")
    assert "alive" in session.ask("is it alive?").steps[0].observation.messages[0].content


def test_a_persons_own_skills_can_be_read_and_run_and_are_no_work(place):
    files = (
        SkillFile("tidy/SKILL.md", "---\nname: tidy\ndescription: Tidies\n---\n"),
        SkillFile("tidy/run.sh", "#!/bin/sh\necho tidied\n"),
    )
    run = call("bash", command="cd .git/codagent-skills/tidy && ./run.sh; echo x >> run.sh; git -C /workspace status --short")
    options = place.options([run, "Done."], sandbox="python")
    session = place.keep(begin(replace(options, own=UserInstructions("", files))))
    answer = session.ask("tidy up").steps[0].observation.messages[0].content
    assert ("\ntidied\n" in answer, "ermission denied" in answer, "??" in answer) == (True, True, False)
    assert session.history.change() is None
