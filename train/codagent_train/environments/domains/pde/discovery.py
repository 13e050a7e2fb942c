"""The tasks of PDE discovery in the paper's wording: sample, regress, commit an equation. What a regression finds, the tool tells.

The paper's environment keeps data sets and equations for all tasks of a pack; with memory "notes" they last for one task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from codagent.types import End, Outcome, Task
from codagent_train.environments.domains.pde.actions import (
    MOST_EQUATIONS,
    MOST_UNCERTAIN,
    Action,
    WrongArguments,
    read_action,
    read_points,
    read_terms,
    read_threshold,
)
from codagent_train.environments.domains.pde.equation import LEVELS, TERMS, Equation, read_equation
from codagent_train.environments.domains.pde.regression import Candidate, condition, fit_candidates, supports_of
from codagent_train.environments.domains.pde.solver import Point, Sample, draw_problem, solve, take_samples
from codagent_train.environments.domains.pde.sparse_players import score_equation
from codagent_train.environments.domains.shared.domain import name_tasks
from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.domains.shared.turns import Wording, read_answer, read_prompt
from codagent_train.environments.packs import Pack, Split

TURNS, POINTS_PER_TASK = 6, 6
EXPECTED: Mapping[Wording, str] = dict.fromkeys(
    ("terse", "paper"), "<answer>one action</answer> once, an action of the rules with its arguments"
)
_BAD_CONDITION = 100.0


@dataclass(slots=True)
class Evidence:
    """What the environment remembers: data sets by the number of their task, and committed equations."""

    samples: dict[int, list[tuple[Point, Sample]]] = field(default_factory=dict)
    equations: list[str] = field(default_factory=list)


def make_pde_pack(level: str, wording: Wording, split: Split, number: int, tasks: int) -> Pack:
    """Make pack number `number` of a split. What is hidden depends on the number of tasks, too."""
    del wording
    most = LEVELS[level].most_terms
    text = f"Find f(u), which has 1 to {most} terms, from samples of this initial condition, and commit it."
    return name_tasks(f"pde-{level}", split, number, tasks, lambda *_: text)


def has_action(reply: str) -> bool:
    """Return whether a reply holds an action."""
    return read_action(read_answer(reply)) is not None


class PdeGame:
    """The tasks of a pack."""

    shows_reward = False

    def __init__(self, level: str, wording: Wording, pack: Pack) -> None:
        del wording
        terms = "\n".join(f"- `{name}`: {text}" for name, text in TERMS.items())
        self.rules = read_prompt(__package__, "paper").replace("{terms}", terms).replace("{most}", str(LEVELS[level].most_terms))
        self._level, self._pack = level, pack
        self._positions = {task.seed: position for position, task in enumerate(pack.tasks)}
        self._evidence = Evidence()

    def begin(self, task: Task) -> PdeAttempt:
        return PdeAttempt(self._level, self._pack, self._positions[task.seed], self._evidence)

    def forget(self) -> None:
        self._evidence = Evidence()


class PdeAttempt:
    """An DomainAttempt at one task. It adds its samples and its equation to the evidence."""

    def __init__(self, level: str, pack: Pack, position: int, evidence: Evidence) -> None:
        self._level, self._pack, self._position, self._evidence = level, pack, position, evidence
        self._problem = draw_problem(level, pack.seed, len(pack.tasks))
        self._draws = Draws(pack.tasks[position].seed + 3)
        self._turn, self._feedback, self._malformed = 0, "", False
        self._candidates: list[Candidate] = []  # of the latest regression
        self._committed: Equation | None = None
        evidence.samples[position] = []

    def observe(self) -> str:
        sets = ", ".join(f"{number} ({len(samples)} samples)" for number, samples in self._evidence.samples.items() if samples)
        left = POINTS_PER_TASK - len(self._own)
        place = f"Task {self._position + 1}/{len(self._pack.tasks)}, step {self._turn + 1}/{TURNS}"
        lines = [f"{place}, {left} points left. Data sets: {sets or 'none'}."]
        return "\n".join([*lines, self._feedback] if self._feedback else [self._pack.tasks[self._position].instruction, *lines])

    def act(self, reply: str) -> End | None:
        action = read_action(read_answer(reply))
        if action is None:
            self._malformed = True
            return "finished"
        self._turn += 1
        try:
            self._feedback = self._do(action)
        except WrongArguments as problem:
            self._feedback = f"Error: {problem}."
        if self._committed:
            return "finished"
        return "steps" if self._turn == TURNS else None

    def describe_state(self) -> str:
        error = (
            f"Smallest error of the latest regression: {self._candidates[0].error:.4f}." if self._candidates else "No regression was run."
        )
        return f"{self._feedback}\n{error}".strip()

    def judge(self) -> Outcome:
        if self._malformed:
            return Outcome(0.0, False, "Failed: the answer was no action of the expected form.", ("form",))
        if not self._committed:
            return Outcome(0.0, False, "Failed: no equation was committed.", ("commit",))
        score = score_equation(self._committed, self._problem.equation)
        candidate = next(candidate for candidate in self._candidates if candidate.equation == self._committed)
        feedback = f"Committed {self._committed}, largest error {candidate.error:.4f} over the data of its regression."
        return Outcome(score.reward, score.passed, feedback, () if score.passed else ("terms",))

    @property
    def _own(self) -> list[tuple[Point, Sample]]:
        return self._evidence.samples[self._position]

    def _do(self, action: Action) -> str:
        if action.name == "sample_pde_data":
            return self._sample(action)
        if action.name == "summarize_pack_evidence":
            return self._summarise(action)
        return self._regress(action) if action.name == "run_sparse_regression" else self._commit(action)

    def _sample(self, action: Action) -> str:
        points = read_points(action, POINTS_PER_TASK - len(self._own))
        solution = solve(self._level, self._pack.seed, len(self._pack.tasks), self._position)
        samples = take_samples(solution, self._problem.equation, points, self._draws)
        self._own.extend(zip(points, samples, strict=True))
        rows = [f"x={x:g} t={t:g}: u={u:.4f} y={y:.4f}" for (x, t), (u, y) in zip(points, samples, strict=True)]
        return "\n".join(["Sampled, with y = u_t - u_xx:", *rows])

    def _summarise(self, action: Action) -> str:
        reveal = action.arguments.get("reveal_equations", "false")
        if reveal not in ("true", "false"):
            raise WrongArguments("reveal_equations must be true or false")
        sets = {number: [sample[0] for _, sample in samples] for number, samples in self._evidence.samples.items() if samples}
        lines = [f"Data set {number}: {len(us)} samples, u from {min(us):.3f} to {max(us):.3f}." for number, us in sets.items()]
        if reveal == "true":
            lines += [f"Committed before: {equation}" for equation in self._evidence.equations]
        return "\n".join(lines) or "There is no evidence yet."

    def _regress(self, action: Action) -> str:
        chosen = action.arguments.get("dataset_id", "all")
        if chosen != "all" and not (chosen.isdigit() and self._evidence.samples.get(int(chosen))):
            raise WrongArguments("there is no such data set with samples")
        numbers = list(self._evidence.samples) if chosen == "all" else [int(chosen)]
        samples = [sample for number in numbers for _, sample in self._evidence.samples[number]]
        if not samples:
            raise WrongArguments("there are no samples yet")
        terms, most = read_terms(action) or tuple(TERMS), LEVELS[self._level].most_terms
        supports = _supports_in(action.arguments.get("equations", ""), most) or list(supports_of(terms, most))
        self._candidates = fit_candidates(samples, supports, threshold=read_threshold(action))
        return (
            _describe_fit(self._candidates, samples, terms)
            if self._candidates
            else "No equation fits: all coefficients are below the threshold."
        )

    def _commit(self, action: Action) -> str:
        if not self._own or not self._candidates:
            raise WrongArguments("sample and run a regression in this task before you commit")
        equation = read_equation(action.arguments.get("preferred_equation", action.arguments.get("", "")))
        if equation is None:
            raise WrongArguments("preferred_equation must be an equation such as 1.19*u - 0.79*u3")
        if len([word for word in action.arguments.get("uncertain_terms", "").split(",") if word.strip()]) > MOST_UNCERTAIN:
            raise WrongArguments(f"at most {MOST_UNCERTAIN} uncertain terms can be named")
        if all(candidate.equation != equation for candidate in self._candidates):
            raise WrongArguments("the equation must be a candidate of the latest regression, with the same coefficients")
        self._committed = equation
        self._evidence.equations.append(str(equation))
        return f"Committed: {equation}"


def _supports_in(text: str, most: int) -> list[tuple[str, ...]]:
    """Read the supports of candidate equations, separated by semicolons; empty when none are given. Raises WrongArguments."""
    equations = [read_equation(part) for part in text.split(";") if part.strip()]
    if len(equations) > MOST_EQUATIONS or any(equation is None or len(equation.coefficients) > most for equation in equations):
        raise WrongArguments(f"equations must be 1 to {MOST_EQUATIONS} equations of at most {most} terms, such as 1*u - 1*u3; 1*sin")
    return [tuple(name for name, _ in equation.coefficients) for equation in equations if equation]


def _describe_fit(candidates: list[Candidate], samples: list[Sample], terms: tuple[str, ...]) -> str:
    best = candidates[0]
    lines = [f"Best: {best.equation}, largest error {best.error:.4f}; errors {' '.join(f'{error:.4f}' for error in best.errors)}"]
    if len(candidates) > 1:
        other = candidates[1]
        margin = (other.error - best.error) / max(best.error, 1e-12)
        lines.append(f"Next: {other.equation}, largest error {other.error:.4f}, relative margin {margin:.2f}")
    lines += [f"Also: {candidate.equation}, largest error {candidate.error:.4f}" for candidate in _simple(candidates)]
    numbers = [condition(samples, best.support), condition(samples, terms)]
    warning = ", so terms are hard to tell apart" if numbers[0] > _BAD_CONDITION else ""
    lines.append(f"Condition number of its terms {numbers[0]:.1f}{warning}; of all terms {numbers[1]:.3g}")
    return "\n".join(lines)


def _simple(candidates: list[Candidate]) -> list[Candidate]:
    """Return the best candidate of each number of terms below that of the first two, as they may be committed, too."""
    shown = {len(candidate.support) for candidate in candidates[:2]}
    sizes = sorted({len(candidate.support) for candidate in candidates} - shown)
    return [next(candidate for candidate in candidates if len(candidate.support) == size) for size in sizes]
