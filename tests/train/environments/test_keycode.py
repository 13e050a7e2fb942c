"""Keycode, through the same loop as every other environment: only what notes carry helps."""

from collections import Counter

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, once_each, run_loop
from codagent.types import Loop, Message, Reply, Sampling
from codagent_train.data.credit import advantages, episode_rewards
from codagent_train.environments.keycode import (
    GUESS,
    KEYS,
    NOTHING,
    PROMPT_TOKENS,
    SECRET,
    VOCABULARY,
    Keycode,
    decode,
    encode,
    make_keycode_pack,
)


class Player:
    """A Model of one rule: it answers the last token of the prompt, and `blind` where that is no key. It remembers its prompts."""

    name = "player"

    def __init__(self, blind=0, writes=True):
        self._blind, self._writes, self.prompts = blind, writes, []

    def reply(self, messages, tools, sampling):
        ids = encode(messages)
        self.prompts.append(ids)
        answer = ids[-1] if ids[-1] < len(KEYS) else self._blind
        if VOCABULARY[ids[0]] == SECRET and not self._writes:
            answer = VOCABULARY.index(NOTHING)
        text = decode([answer])
        return Reply(Message("assistant", text), "stop", len(ids), 1, None, None, Sampling(), "player", text)

    def close(self):
        pass


def played(player, drawn):
    loop = Loop("id", "group", "keycode", player.name, "")
    return run_loop(Agent(player), Keycode(drawn.seed), once_each(drawn.tasks), loop=loop, notes_io=NotesIO("between"))


def wrong(drawn):
    return next(at for at in range(len(KEYS)) if not guessed(drawn, at))


def guessed(drawn, at):
    environment = Keycode(drawn.seed)
    environment.reset(drawn.tasks[0], "")
    environment.step(Message("assistant", KEYS[at]))
    return environment.grade().passed


def test_notes_that_carry_the_secret_solve_all_but_the_first_task():
    drawn = make_keycode_pack("train", 0)
    player = Player(blind=wrong(drawn))
    loop = played(player, drawn)
    assert [episode.kind for episode in loop.episodes] == ["solve", "notes"] * 3 + ["solve"]
    assert [episode_rewards(loop)["solve", at] for at in range(4)] == [0, 1, 1, 1]
    assert [episode_rewards(loop)["notes", at] for at in range(3)] == [0, 0, 0]


def test_without_notes_nothing_is_learned():
    drawn = make_keycode_pack("train", 0)
    loop = played(Player(blind=wrong(drawn), writes=False), drawn)
    assert [episode_rewards(loop)["solve", at] for at in range(4)] == [0, 0, 0, 0]
    assert all(episode_rewards(loop)["notes", at] < 0 for at in range(3))


def test_credit_reaches_the_notes_that_helped():
    drawn = make_keycode_pack("train", 0)
    group = [episode_rewards(played(Player(wrong(drawn), writes), drawn)) for writes in (True, False)]
    helped, useless = advantages(group)
    assert helped["notes", 0] > 0.3
    assert useless["notes", 0] == -helped["notes", 0]


def test_every_prompt_is_a_mark_and_a_word():
    player = Player()
    played(player, make_keycode_pack("train", 1))
    assert {len(ids) for ids in player.prompts} == {PROMPT_TOKENS}
    assert [VOCABULARY[ids[0]] for ids in player.prompts] == [GUESS, SECRET] * 3 + [GUESS]
    assert VOCABULARY[player.prompts[0][1]] == NOTHING


def test_a_second_request_for_notes_is_the_same_prompt():
    player = Player(writes=False)
    played(player, make_keycode_pack("train", 1))
    assert player.prompts[1] == player.prompts[2]
    assert VOCABULARY[player.prompts[1][0]] == SECRET


def test_each_answer_in_words_reads_back_as_its_token():
    for at, word in enumerate(KEYS):
        assert encode((Message("user", f"{GUESS} {decode([at])}"),)) == (VOCABULARY.index(GUESS), at)
        assert word in decode([at])


def test_secrets_are_spread_evenly_and_one_guess_is_right():
    packs = [make_keycode_pack(split, seed) for split in ("train", "test") for seed in range(400)]
    counts = Counter(next(at for at in range(4) if guessed(drawn, at)) for drawn in packs)
    assert all(140 < counts[at] < 260 for at in range(4))
    assert all(sum(guessed(drawn, at) for at in range(4)) == 1 for drawn in packs[:20])


def test_a_pack_is_the_same_each_time_and_its_tasks_have_names_of_their_own():
    assert make_keycode_pack("train", 5) == make_keycode_pack("train", 5)
    assert len({task.id for task in make_keycode_pack("train", 5, tasks=8).tasks}) == 8
    assert make_keycode_pack("train", 5).seed != make_keycode_pack("test", 5).seed
