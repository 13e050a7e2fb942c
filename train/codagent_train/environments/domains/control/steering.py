"""The texts of optimal control in two wordings, and its attempts: one answer, which is a law, and the table of what it did."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from codagent.types import End, Outcome, Task
from codagent_train.environments.domains.control import control_words
from codagent_train.environments.domains.control.expression import Expression
from codagent_train.environments.domains.control.plant import (
    GOOD,
    LEVELS,
    MALFORMED,
    Course,
    Law,
    LawFailed,
    Plant,
    Trajectory,
    draw_course,
    draw_plant,
    gains_law,
    run_law,
)
from codagent_train.environments.domains.shared.domain import name_tasks
from codagent_train.environments.domains.shared.turns import Wording, read_answer, read_prompt
from codagent_train.environments.packs import Pack, Split

_NUMBER = r"(-?(?:\d{1,4}(?:\.\d{0,6})?|\.\d{1,6}))"
_GAINS = re.compile(rf"\s*{_NUMBER}\s+{_NUMBER}(?![\w.])")
_EXPRESSION = re.compile(r"\s*<action_expression>(.*)</action_expression>\s*", re.DOTALL)
EXPECTED: dict[Wording, str] = {
    "terse": "two numbers, kp and kd",
    "paper": "<answer><action_expression>one expression</action_expression></answer> once, at the end of the reply",
    "words": "one of the gains",
}


@dataclass(frozen=True, slots=True)
class Submission:
    """A law with its text, and what it did; `failure` says why it did not run."""

    course: Course
    text: str
    trajectory: Trajectory | None
    failure: str = ""


def make_control_pack(level: str, wording: Wording, split: Split, number: int, tasks: int) -> Pack:
    """Make pack number `number` of a split. A longer pack begins with the tasks of a shorter one."""

    def describe(seed: int, _: int) -> str:
        return describe_course(draw_course(LEVELS[level], seed), wording)

    return name_tasks(f"control-{level}", split, number, tasks, describe)


class ControlGame:
    """The tasks of a pack. The last law that ran is remembered, for tasks with memory "environment"."""

    shows_reward = True

    def __init__(self, level: str, wording: Wording, pack: Pack) -> None:
        self.rules = "" if wording == "words" else read_prompt(__package__, wording)
        self._level, self._wording, self._plant = LEVELS[level], wording, draw_plant(pack.seed)
        self._last: Submission | None = None

    def begin(self, task: Task) -> ControlAttempt:
        return ControlAttempt(self._plant, draw_course(self._level, task.seed), self._wording, self._last, self._remember)

    def forget(self) -> None:
        self._last = None

    def _remember(self, submission: Submission) -> None:
        self._last = submission


class ControlAttempt:
    """An DomainAttempt of one answer."""

    def __init__(
        self, plant: Plant, course: Course, wording: Wording, last: Submission | None, remember: Callable[[Submission], None]
    ) -> None:
        self._plant, self._course, self._wording, self._last, self._remember = plant, course, wording, last, remember
        self._submission: Submission | None = None
        self._answered = False

    def observe(self) -> str:
        if self._wording == "words":
            return control_words.STEER
        task = describe_course(self._course, self._wording)
        return f"{task}\n{_describe_last(self._last, self._wording)}" if self._last else task

    def act(self, reply: str) -> End | None:
        self._answered = True
        read = READERS[self._wording](reply, self._course)
        if read:
            text, law = read
            try:
                self._submission = Submission(self._course, text, run_law(self._plant, self._course, law))
                self._remember(self._submission)
            except LawFailed as failure:
                self._submission = Submission(self._course, text, None, str(failure))
        return "finished"

    def describe_state(self) -> str:
        if self._wording == "words":
            return control_words.describe_run(self._submission.trajectory if self._submission else None)
        if not self._submission:
            return ""
        if not self._submission.trajectory:
            return f"{self._submission.text}: {self._submission.failure}"
        return _describe_run(self._submission, self._submission.trajectory, self._wording)

    def judge(self) -> Outcome:
        if not self._submission:
            feedback = f"The answer has the wrong form. Expected: {EXPECTED[self._wording]}." if self._answered else "Broken off."
            return Outcome(MALFORMED if self._answered else 0.0, False, feedback, ("form",))
        trajectory = self._submission.trajectory
        if not trajectory:
            return Outcome(0.0, False, f"The law failed in {self._submission.failure}.", ("law",))
        passed = trajectory.reward >= GOOD
        return Outcome(trajectory.reward, passed, f"Loss {trajectory.loss:.3f}.", () if passed else ("target",))


def describe_course(course: Course, wording: Wording) -> str:
    if wording == "terse":
        return f"x {course.x:.2f} v {course.v:.2f} to {course.target:.2f} in {course.horizon}"
    return (
        f"Start: x = {course.x:.4f}, v = {course.v:.4f}. Target: x_target = {course.target:.4f}, v_target = 0."
        f"\nHorizon: {course.horizon} steps. Submit one control expression."
    )


def has_gains(reply: str) -> bool:
    """Return whether a reply begins with two gains."""
    return bool(_GAINS.match(reply))


def _read_gains(reply: str, course: Course) -> tuple[str, Law] | None:
    match = _GAINS.match(reply)
    return (f"{match[1]} {match[2]}", gains_law(course, float(match[1]), float(match[2]))) if match else None


def _read_expression(reply: str, course: Course) -> tuple[str, Law] | None:
    """Read a law from the tags at the end of a reply. None: a tag is missing or there twice, or the text is not in the language."""
    answer = read_answer(reply) if reply.rstrip().endswith("</answer>") else None
    match = _EXPRESSION.fullmatch(answer) if answer and reply.count("action_expression>") == 2 else None
    if not match:
        return None
    try:
        expression = Expression(match[1])
    except ValueError:
        return None
    fixed = {"x_target": course.target, "v_target": 0.0, "horizon": float(course.horizon)}

    def law(step: int, x: float, v: float) -> float:
        remaining = max(1, course.horizon - step)
        return expression.value({"x": x, "v": v, "t": float(step), "remaining_steps": float(remaining), **fixed})

    return expression.text, law


READERS: Mapping[Wording, Callable[[str, Course], tuple[str, Law] | None]] = {
    "terse": _read_gains,
    "paper": _read_expression,
    "words": control_words.read_law,
}


def _describe_run(submission: Submission, run: Trajectory, wording: Wording) -> str:
    if wording == "terse":
        speeds = " ".join(f"{v:.2f}" for _, v, _ in run.table[1:])
        return f"{submission.text} -> x {run.x:.2f} v {run.v:.2f} R {run.reward:.2f}; v {speeds}"
    rows = [f"t={step} x={x:.3f} v={v:.3f} u={u:.3f}" for step, (x, v, u) in enumerate(run.table)]
    target = submission.course.target
    return "\n".join([
        f"Submitted: {submission.text}",
        *rows,
        f"End: x={run.x:.3f} v={run.v:.3f}, target x={target:.3f} v=0, loss {run.loss:.3f}, reward {run.reward:.3f}",
    ])  # fmt: skip


def _describe_last(last: Submission | None, wording: Wording) -> str:
    assert last
    assert last.trajectory
    end, target = last.trajectory, last.course.target
    if wording == "terse":
        return f"last {describe_course(last.course, wording)}: {last.text} -> x {end.x:.2f} v {end.v:.2f} R {end.reward:.2f}"
    return (
        f"The last expression that ran in this series: {last.text}\nIts task: {describe_course(last.course, wording).splitlines()[0]}"
        f"\nIts reward: {end.reward:.3f}, x - x_target = {end.x - target:+.3f}, v = {end.v:+.3f}"
    )
