"""The installed command against strict imitations of the providers, from the first request to the commit."""

import json

import pytest

from tests.cli.conftest import CHECK
from tests.models.providers import PROVIDERS
from tests.models.providers.anthropic import Anthropic
from tests.models.providers.double import serve, steps

LOCAL = ("--sandbox", "local")


def run(codagent, name, double, *flags):
    """What a run with an imitation told, as `--json`."""
    with serve(double) as url:
        environment = PROVIDERS[name].environment(url)
        done = codagent("run", "mend it", "--check", CHECK, "--model", name, "--json", *LOCAL, *flags, **environment)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "LiteLLM" not in done.stderr + done.stdout
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_run_of_twelve_steps_is_taken_by_each_provider(codagent, name):
    double = PROVIDERS[name].double(steps(12))
    told = run(codagent, name, double)
    assert (told["outcome"], len(double.sent)) == ("passed", 12)
    assert double.sent[9].share > 0.9


def test_a_run_of_fifty_steps_is_cached_and_costs_what_the_provider_bills(codagent, repository):
    double = Anthropic(steps(50))
    told = run(codagent, "anthropic/claude-opus-5-5", double)
    assert len(double.sent) == 50
    assert min(sent.share for sent in double.sent[2:]) > 0.9
    assert told["usd"] == pytest.approx(double.bill, abs=0.005)
    assert told["cached_share"] == pytest.approx(sum(sent.cached for sent in double.sent) / sum(sent.prompt for sent in double.sent))
    assert told["tokens"] == sum(sent.prompt - sent.cached + sent.completion for sent in double.sent)
    assert codagent("replay", *LOCAL).stdout.startswith("the same: 50 steps")
    assert codagent("apply").returncode == 0
    assert (repository / "answer.txt").read_text() == "right\n"
