"""Domains in words: closed vocabularies that can be joined, and notes that are quoted."""

import pytest

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, once_each, run_loop
from codagent.models.scripted import Scripted
from codagent.types import Loop, Message, Profile
from codagent_train.environments.domains.alchemy.alchemy_words import VOCABULARIES, describe_pair
from codagent_train.environments.domains.alchemy.recipes import LEVELS, draw_world, name_elements
from codagent_train.environments.domains.control.control_words import GAINS, VOCABULARY, describe_run
from codagent_train.environments.domains.control.plant import draw_plant
from codagent_train.environments.make import find_vocabulary, make_environment_pack, vocabulary_of
from codagent_train.environments.vocabulary import NO_NOTES, NOTES_WORDS, Vocabulary, join_vocabularies
from codagent_train.recipe.environment_config import EnvironmentConfig

CONTROL, ALCHEMY = EnvironmentConfig("control", "hard", "words"), EnvironmentConfig("alchemy", "tiny", "words")


def words_of(messages):
    return [word for message in messages for word in message.content.split()]


def played(config, number, *replies):
    """A loop with these replies."""
    pack, environment = make_environment_pack(config, "test", number)
    agent = Agent(Scripted.from_items(replies), Profile())
    tasks = pack.tasks[: 1 + sum(reply.startswith("<notes>") for reply in replies)]
    return pack, run_loop(agent, environment(), once_each(tasks), loop=Loop("l", "g", "e", "m", ""), notes_io=NotesIO("between"))


def test_control_is_one_word_and_the_run_tells_the_sign_of_b():
    for number in range(6):
        pack, loop = played(CONTROL, number, "+usual", "<notes>b>0 ? ? ?</notes>", "-slow")
        first, notes, second = loop.episodes
        assert words_of(first.prompt) == ["@notes", "?", "?", "?", "?", "@steer"]
        sign = "b>0" if draw_plant(pack.seed).b > 0 else "b<0"
        assert words_of(notes.prompt) == ["@notes", "?", "?", "?", "?", "@steer", "+usual", sign, "@write"]
        assert words_of(second.prompt)[:5] == ["@notes", "b>0", "?", "?", "?"]
        assert (first.outcome.reward > 0.5) == (sign == "b>0") or first.outcome.reward < 0.9
        assert all(word in VOCABULARY.words for episode in loop.episodes for word in words_of(episode.prompt))


def test_other_words_are_malformed():
    _, loop = played(CONTROL, 0, "usual")
    assert loop.episodes[0].outcome.failed == ("form",)
    assert describe_run(None) == "@failed"
    assert set(GAINS) == set(VOCABULARY.answers)


def test_alchemy_tells_targets_and_what_pairs_give():
    for number in range(6):
        pack, loop = played(ALCHEMY, number, "a1+a2", "a3+a1", "<notes>a1+a1=no ? ? ?</notes>", "a1+a1", "a2+a2")
        names = name_elements(draw_world(LEVELS["tiny"], pack.seed, 4), pack.seed, "words")
        assert {*names.values()} == {"a1", "a2", "a3", "b1", "b2"}
        first = loop.episodes[0]
        assert words_of(first.prompt)[:5] == ["@notes", "?", "?", "?", "?"]
        assert words_of(first.prompt)[5] in ("*b1", "*b2")
        shown = [word for step in first.steps for word in words_of(step.observation.messages)]
        assert all(word.startswith("a1+a2=") for word in shown)
        told = words_of(message for episode in loop.episodes for message in episode.prompt if message.role != "assistant")
        assert set(told) <= set(VOCABULARIES["tiny"].words)


@pytest.mark.parametrize("level", VOCABULARIES)
def test_all_that_can_happen_has_its_word(level):
    vocabulary = VOCABULARIES[level]
    for seed in range(60):
        world = draw_world(LEVELS[level], seed, 4)
        names = name_elements(world, seed, "words")
        for (first, second), made in world.recipes.items():
            assert describe_pair(names[first], names[second], names[made]) in vocabulary.notable
            assert describe_pair(names[second], names[first], None) in vocabulary.marks
            assert "+".join(sorted((names[first], names[second]))) in vocabulary.answers
        assert all(f"*{names[target]}" in vocabulary.marks for target in world.targets)


def test_joined_vocabularies_have_all_words_once_and_their_uses():
    joined = join_vocabularies([Vocabulary(["go"], ["x", "?"], ["@a"]), Vocabulary(["go", "stop"], ["?", "y"], ["@b"])])
    assert joined.words == ("go", "stop", "x", "?", "y", "@a", "@b")
    assert joined.ends == {0, 1}
    assert joined.decode([2, 4]) == "<notes>x y</notes>"
    assert joined.decode([2, 0]) == "x go"


def test_the_vocabulary_of_a_mixture_is_found_again_by_its_words():
    mixed = vocabulary_of(CONTROL, ALCHEMY)
    assert set(mixed.words) == {*VOCABULARY.words, *VOCABULARIES["tiny"].words}
    assert mixed.words == vocabulary_of(ALCHEMY, CONTROL).words
    found = find_vocabulary(list(reversed(mixed.words)))
    assert found.words == mixed.words
    assert vocabulary_of(CONTROL).words == VOCABULARY.words
    assert vocabulary_of(CONTROL, EnvironmentConfig("alchemy", "tiny")) is None
    assert find_vocabulary(["hello", "world"]) is None


def test_empty_notes_have_as_many_words_as_notes():
    assert len(NO_NOTES.split()) == NOTES_WORDS


def test_in_sentences_the_request_for_notes_has_rules_attempt_and_feedback():
    pack, environment = make_environment_pack(EnvironmentConfig("control", "hard"), "test", 0)
    opened = environment()
    agent = Agent(Scripted.from_items(["0.36 0.88", "<notes>b is positive</notes>", "0.3 0.8"]), Profile())
    loop = run_loop(agent, opened, once_each(pack.tasks[:2]), loop=Loop("l", "g", "e", "m", ""), notes_io=NotesIO("between"))
    system, user = loop.episodes[1].prompt
    assert "at most" in system.content
    for part in ("a and b are secret", pack.tasks[0].instruction, "Action: 0.36 0.88", "-> x ", "Loss ", "# Reward"):
        assert part in user.content


def test_of_pde_the_request_for_notes_hides_the_reward():
    pack, environment = make_environment_pack(EnvironmentConfig("pde", "train", "paper"), "test", 0)
    opened = environment()
    agent = Agent(Scripted.from_items(["no action", "<notes>n</notes>", "no action"]), Profile())
    loop = run_loop(agent, opened, once_each(pack.tasks[:2]), loop=Loop("l", "g", "e", "m", ""), notes_io=NotesIO("between"))
    text = loop.episodes[1].prompt[1].content
    assert "# Reward" not in text
    assert "no action of the expected form" in text
    assert isinstance(loop.episodes[1].prompt[0], Message)
