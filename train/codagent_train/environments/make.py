"""Make the packs of the environment that a recipe names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from random import Random

from codagent.errors import UsageError
from codagent.protocols import Environment
from codagent_train.environments import keycode
from codagent_train.environments.domains.catalogue import DOMAINS
from codagent_train.environments.domains.shared.turns import Memory, TurnEnvironment, Wording
from codagent_train.environments.frozenlake import words
from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
from codagent_train.environments.frozenlake.lake_replies import write_replies
from codagent_train.environments.frozenlake.lake_teacher import LakeTeacher
from codagent_train.environments.frozenlake.rules import EASY, HARD, SMALL, draw_mapping
from codagent_train.environments.frozenlake.wording import BRIEF, PAPER, TERSE, WORDS
from codagent_train.environments.packs import Pack, Split, seed_of
from codagent_train.environments.teaching import Teacher
from codagent_train.environments.vocabulary import Vocabulary, join_vocabularies
from codagent_train.recipe.environment_config import LEVELS_OF, EnvironmentConfig
from codagent_train.recipe.schema import Recipe

LEVELS = {"small": SMALL, "easy": EASY, "hard": HARD}
FORMS = {"brief": BRIEF, "terse": TERSE, "paper": PAPER, "words": WORDS}
VOCABULARIES: dict[tuple[str, str], Vocabulary] = {  # of the environments and levels that can be played in words
    **{("frozenlake", level): words.VOCABULARY for level in LEVELS},
    **{(name, level): vocabulary for name, domain in DOMAINS.items() for level, vocabulary in domain.vocabularies.items()},
}


def make_pack(recipe: Recipe, split: Split, number: int) -> tuple[Pack, Callable[[], Environment]]:
    """Return pack number `number` of a split, and a function that makes a fresh environment for it."""
    return draw_pack(recipe, split, number)[1:]


def draw_pack(recipe: Recipe, split: Split, number: int) -> tuple[EnvironmentConfig, Pack, Callable[[], Environment]]:
    """Like make_pack, but also say first which environment of a mixed run the pack is of."""
    config, tokens = choose_environment(recipe, split, number), recipe.replies.asked_tokens or recipe.replies.max_tokens
    return config, *make_environment_pack(config, split, number, tokens=tokens)


def make_environment_pack(
    config: EnvironmentConfig, split: Split, number: int, *, tokens: int = 1000
) -> tuple[Pack, Callable[[], Environment]]:
    """Return pack number `number` of an environment. Its rules in the paper's wording bound answers by `tokens` tokens."""
    pack, environment = _make_cod_pack(config, split, number, tokens=tokens)
    return (replace(pack, tasks=pack.tasks[:1] * config.tasks) if config.packing == "ralph" else pack), environment


def _make_cod_pack(config: EnvironmentConfig, split: Split, number: int, *, tokens: int) -> tuple[Pack, Callable[[], Environment]]:
    """Make a pack of different tasks."""
    if config.name == "keycode":
        pack = keycode.make_keycode_pack(split, number, tasks=config.tasks)
        return pack, partial(keycode.Keycode, pack.seed)
    if config.name in DOMAINS:
        return _make_domain_pack(config, split, number, tokens=tokens)
    level, form = LEVELS[config.level], FORMS[config.form]
    pack = make_lake_pack(level, split, number, tasks=config.tasks, form=form)
    return pack, partial(FrozenLake, level, pack.seed, form, tokens=tokens)


def make_teacher(config: EnvironmentConfig, pack: Pack, environment: Environment) -> Teacher:
    """Return the teacher of a pack's first task, which is played in `environment`, in words."""
    if isinstance(environment, FrozenLake):
        return LakeTeacher(environment, pack.seed)
    make = DOMAINS[config.name].make_teacher
    assert make
    return make(config.level, pack)


def write_best_replies(config: EnvironmentConfig, pack: Pack, environment: Environment) -> Iterator[str]:
    """Yield the replies of best play in text, one for each request of a loop over the pack in `environment`, notes between the tasks."""
    if isinstance(environment, FrozenLake):
        return write_replies(environment)
    write = DOMAINS[config.name].write_replies
    assert write
    return write(_wording_of(config), pack)


def choose_environment(recipe: Recipe, split: Split, number: int) -> EnvironmentConfig:
    """Return the environment of a pack. Of a mixed run it is drawn by weight, and is the same whenever the pack is made."""
    if not recipe.mixed_with:
        return recipe.environment
    draw = Random(seed_of(split, "environment", number))  # noqa: S311
    return draw.choices(recipe.environments, [environment.weight for environment in recipe.environments])[0]


def hidden_part(config: EnvironmentConfig, pack: Pack) -> object:
    """Return what is hidden in a pack: equal for two packs only when notes on the one are right in the other."""
    if config.name == "keycode":
        return keycode.Keycode(pack.seed).describe_state()
    return draw_mapping(pack.seed) if config.name == "frozenlake" else pack.seed


def write_true_notes(config: EnvironmentConfig, pack: Pack) -> str | None:
    """Write true notes on what is hidden in a pack. None: for this environment nobody writes them."""
    write = DOMAINS[config.name].write_true_notes if config.name in DOMAINS else None
    return write(pack) if write else None


def max_turns(config: EnvironmentConfig) -> int:
    """Return the most answers that an attempt can have."""
    if config.name == "keycode":
        return 1
    return DOMAINS[config.name].levels[config.level] if config.name in DOMAINS else LEVELS[config.level].turns


def _make_domain_pack(config: EnvironmentConfig, split: Split, number: int, *, tokens: int) -> tuple[Pack, Callable[[], Environment]]:
    domain, wording = DOMAINS[config.name], _wording_of(config)
    pack = domain.make_pack(config.level, wording, split, number, config.tasks)

    def open_environment() -> Environment:
        return TurnEnvironment(domain.make_game(config.level, wording, pack), wording, memory=config.memory, tokens=tokens)

    return pack, open_environment


def _wording_of(config: EnvironmentConfig) -> Wording:
    return "terse" if config.form == "brief" else config.form


@dataclass(frozen=True, slots=True)
class PersonsGame:
    """A test pack for a person to play, in few words."""

    pack: Pack
    open_environment: Callable[[], Environment]
    expected: str  # the form of an answer
    has_form: Callable[[str], bool]  # whether an answer has it


def open_game(name: str, level: str | None, number: int, *, tasks: int, memory: Memory) -> PersonsGame:
    """Return test pack `number` of an environment. None: the level easy, or else its first. Raises UsageError for an unknown level."""
    levels = LEVELS_OF[name]
    chosen = level or ("easy" if "easy" in levels else levels[0])
    if chosen not in levels:
        raise UsageError(f"{name} has no level {chosen!r}; take one of {', '.join(levels)}")
    if name in DOMAINS:
        config = EnvironmentConfig(name, chosen, tasks=tasks, memory=memory)  # type: ignore[arg-type]  # a key of DOMAINS is a name
        pack, open_environment = _make_domain_pack(config, "test", number, tokens=1)
        return PersonsGame(pack, open_environment, DOMAINS[name].expected["terse"], DOMAINS[name].has_form)
    lake_level = LEVELS[chosen]
    pack = make_lake_pack(lake_level, "test", number, tasks=tasks)
    return PersonsGame(
        pack, partial(FrozenLake, lake_level, pack.seed, TERSE), TERSE.expected, lambda reply: bool(TERSE.parse_answer(reply))
    )


def vocabulary_of(*environments: EnvironmentConfig) -> Vocabulary | None:
    """Return all words of environments that are mixed; None when one of them is told in sentences."""
    if any(environment.form != "words" for environment in environments):
        return None
    used = {id(VOCABULARIES[environment.name, environment.level]) for environment in environments}
    return join_vocabularies([vocabulary for vocabulary in _all_vocabularies() if id(vocabulary) in used])


def find_vocabulary(known: Collection[str]) -> Vocabulary | None:
    """Return the vocabulary, of one environment or of several, that has just the words `known`.

    None: there is none, as for the tokenizer of a language model.
    """
    single = _all_vocabularies()
    joined = (join_vocabularies(group) for size in range(1, len(single) + 1) for group in combinations(single, size))
    return next((vocabulary for vocabulary in joined if set(vocabulary.words) == set(known)), None)


def _all_vocabularies() -> list[Vocabulary]:
    """Return each vocabulary once, always in the same order, in which they are joined."""
    return list({id(vocabulary): vocabulary for vocabulary in VOCABULARIES.values()}.values())
