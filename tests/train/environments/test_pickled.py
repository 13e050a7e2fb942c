"""An environment that is sent to another machine asks the same, in every form and level."""

import itertools

import pytest
from ray import cloudpickle

from codagent.types import Episode, Message
from codagent_train.environments.make import make_environment_pack
from codagent_train.recipe.environment_config import FORMS_OF, LEVELS_OF, EnvironmentConfig, find_environment_problems

ALL = [
    config
    for name in LEVELS_OF
    for level, form in itertools.product(LEVELS_OF[name], FORMS_OF[name])
    if not list(find_environment_problems(config := EnvironmentConfig(name, level, form, tasks=2)))
]


@pytest.mark.parametrize("config", ALL, ids=lambda config: f"{config.label}-{config.form}")
def test_it_asks_the_same_and_is_judged_the_same(config):
    pack, make = make_environment_pack(config, "test", 3)
    outlines = []
    for factory in (make, cloudpickle.loads(cloudpickle.dumps(make))):
        environment, task = factory(), pack.tasks[0]
        prompt = environment.reset(task, "a note")
        seen = environment.step(Message("assistant", "1"))
        episode = Episode("solve", 0, task, "a note", prompt, outcome=environment.grade())
        outlines.append((prompt, seen, episode.outcome, environment.ask_for_notes(episode, max_words=50, max_bytes=4000)))
    assert outlines[0] == outlines[1]
