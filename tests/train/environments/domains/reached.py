"""What the players of a domain reach on test packs."""

from statistics import fmean

from codagent_train.environments.domains.catalogue import DOMAINS


def mean_rewards(name, level, *, packs, tasks, players=("random", "scratch", "carry", "known")):
    """The mean reward of each player by position."""
    domain = DOMAINS[name]
    drawn = [domain.make_pack(level, "terse", "test", number, tasks) for number in range(packs)]
    means = {}
    for player in players:
        scores = [domain.players[player](level, pack) for pack in drawn]
        means[player] = [fmean(by_position[position].reward for by_position in scores) for position in range(tasks)]
    return means
