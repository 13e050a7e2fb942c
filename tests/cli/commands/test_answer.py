"""What the agent says at the end reaches the person, all of it."""

import json

from tests.cli.conftest import call

LOCAL = ("--sandbox", "local")
ANSWER = "It is a calculator.\n\n- `add` adds\n- `div` divides"


def test_the_summary_of_a_run_is_on_stdout_as_a_whole(codagent, script):
    done = codagent("run", "what is this?", "--model", script([call("finish", summary=ANSWER)]), *LOCAL)
    assert done.stdout.startswith(f"{ANSWER}\n\noutcome: done, as the agent says; there were no checks\nused:    1 step, ")


def test_a_reply_without_a_call_is_an_answer_too(codagent, script):
    done = codagent("run", "what is this?", "--model", script([ANSWER]), "--json", *LOCAL)
    told = json.loads(done.stdout)
    assert (done.returncode, told["outcome"], told["answer"]) == (0, "done", ANSWER)


def test_an_answer_in_words_after_a_look_ends_the_run_well(codagent, script):
    done = codagent("run", "what is in it?", "--model", script([call("bash", command="cat answer.txt"), "It says `wrong`."]), *LOCAL)
    assert (done.returncode, done.stdout.partition("\n")[0]) == (0, "It says `wrong`.")


def test_with_checks_words_alone_are_no_work(codagent, script):
    told = json.loads(codagent("run", "mend it", "--check", "false", "--model", script([ANSWER] * 3), "--json", *LOCAL).stdout)
    assert (told["exit_code"], told["answer"]) == (3, ANSWER)


def test_the_answer_of_a_command_that_ends_early_is_null(codagent):
    told = json.loads(codagent("run", "x", "--model", "nonsense", "--json", *LOCAL).stdout)
    assert (told["exit_code"], told["answer"]) == (2, None)


def test_a_run_whose_steps_are_over_has_no_answer(codagent, script):
    looks = [call("bash", command="ls") | {"content": "I look."}]
    told = json.loads(codagent("run", "x", "--model", script(looks), "--max-steps", "1", "--json", *LOCAL).stdout)
    assert (told["outcome"], told["answer"]) == ("steps", None)
