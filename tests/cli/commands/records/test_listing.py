"""The table of `codagent list` has the words of people, and its JSON those of records."""

import json
import re

from tests.cli.conftest import call
from tests.cli.loops import LOCAL


def test_the_table_says_how_each_record_ended(codagent, script):
    steps = [call("bash", command=f"echo {number} > answer.txt") for number in range(9)]
    codagent("run", "mend it", "--model", script(steps), "--max-steps", "2", *LOCAL)
    codagent("run", "mend it", "--model", script(["I do not know."] * 9), "--check", "false", "--max-steps", "2", *LOCAL)
    idle = [call("finish", summary="no"), "<notes>\n-\n</notes>"] * 3
    codagent("loop", "mend it", "--model", script(idle), "--check", "false", "--patience", "2", *LOCAL)
    told = codagent("list").stdout.splitlines()
    assert [re.split("  +", line)[1:3] for line in told[1:]] == [["run", "out of steps"], ["run", "failed"], ["loop", "no progress"]]
    outcomes = [row["outcome"] for row in json.loads(codagent("list", "--json").stdout)]
    assert outcomes == ["steps", "failed", "stalled"]
