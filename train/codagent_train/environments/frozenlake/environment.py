"""FrozenLake-Obscure: cross a lake with four actions whose directions are hidden and the same in all tasks of a pack.

After arXiv 2606.20002. Different here: packs have stable seeds, and none is both for training and for tests; the description of the end
has the state after the last action, so that notes can say where a fatal step led.
"""

from __future__ import annotations

from typing import Literal

from codagent.types import Episode, Message, Observation, Outcome, Task, Tool
from codagent_train.environments import notes_request
from codagent_train.environments.frozenlake import words
from codagent_train.environments.frozenlake.rules import Level, Moment, Verdict, apply_action, draw_lake, draw_mapping, goal_reward, judge
from codagent_train.environments.frozenlake.wording import TERSE, WORDS, Form, read_prompt
from codagent_train.environments.packs import Pack, Split, seed_of


class FrozenLake:
    """An Environment for the tasks of one pack. The rules tell the model to keep its answer below `tokens` tokens."""

    tools: tuple[Tool, ...] = ()
    passes = False

    def __init__(self, level: Level, pack_seed: int, form: Form, *, tokens: int = 1000) -> None:
        self._level, self._form, self._mapping = level, form, draw_mapping(pack_seed)
        self._rules = "" if form == WORDS else read_prompt(form.name)
        hints = read_prompt(f"{form.name}_notes").replace("{tokens}", str(tokens))
        self._system = f"{self._rules}\n{hints}".strip()
        self._over: Verdict | Literal["form"] | None = None

    @property
    def form(self) -> Form:
        return self._form

    @property
    def moment(self) -> Moment:
        """The lake in play, with the player's cell. The policy must not see it."""
        return self._moment

    def reset(self, task: Task, notes: str) -> tuple[Message, ...]:
        lake = draw_lake(self._level, task.seed)
        self._moment, self._over = Moment(lake, lake.start), None
        text = self._system.replace("{notes}", notes or self._form.no_notes)
        return Message("system", text), Message("user", self._form.describe_state(self._moment))

    def step(self, message: Message) -> Observation:
        code = self._form.parse_answer(message.content)
        if code is None:
            self._over = "form"
            return Observation((), "finished")
        self._moment = apply_action(self._moment, code, self._mapping)
        self._over = judge(self._moment)
        if self._over:
            return Observation((), "steps" if self._over == "turns" else "finished")
        return Observation((Message("user", self._form.describe_state(self._moment)),))

    def grade(self) -> Outcome:
        turn, turns, passed = self._moment.turn, self._moment.lake.turns, self._over == "goal"
        feedback = self._form.feedback[self._over].format(turn=turn, next=turn + 1, turns=turns, form=self._form.expected)
        failed = () if passed else ("form",) if self._over == "form" else ("goal",)
        return Outcome(goal_reward(turn, turns) if passed else 0.0, passed, feedback, failed)

    def save_work(self, outcome: Outcome | None) -> None:
        """Do nothing: a lake leaves nothing to save."""

    def describe_state(self) -> str:
        return self._form.describe_state(self._moment)

    def ask_for_notes(self, attempt: Episode, *, max_words: int, max_bytes: int) -> tuple[Message, ...]:
        """Return the request for notes. In the form `WORDS` it goes on where the attempt ended."""
        state = self.describe_state()
        if self._form == WORDS:
            return words.ask_for_notes(attempt, state, WORDS.feedback[self._over])
        prompt = read_prompt(f"{self._form.name}_rewrite").replace("{words}", str(max_words))
        return notes_request.ask_for_notes(prompt, self._rules, attempt, state, max_bytes=max_bytes)


def make_lake_pack(level: Level, split: Split, seed: int, *, tasks: int = 4, form: Form = TERSE) -> Pack:
    """Make pack number `seed` of a split.

    A longer pack begins with the tasks of a shorter one. The form changes only the text of the tasks.
    """
    name = f"frozenlake-{level.name}"
    seeds = [seed_of(split, name, seed, position) for position in range(tasks)]
    return Pack(
        seed_of(split, name, seed),
        tuple(Task(f"{name}-{task_seed}", form.describe_task(draw_lake(level, task_seed)), seed=task_seed) for task_seed in seeds),
    )
