"""An engine that plays optimal control by a rule: it takes the sign of b from its notes, and guesses where they say nothing."""

import re
from random import Random

from codagent.types import Tokens
from codagent_train.rollout.sampler import Sampler


class Letters:
    """A Tokenizer with an id for each character; the messages follow each other."""

    @staticmethod
    def encode(messages):
        return tuple(ord(letter) for message in messages for letter in message.content)

    @staticmethod
    def decode(ids):
        return "".join(map(chr, ids))


class Steering:
    """An Engine. Where it `learns`, its notes say the sign that was right."""

    ends: frozenset[int] = frozenset()

    def __init__(self, *, learns=True):
        self.learns = learns

    def generate(self, prompts, samplings):
        return [self._answer(prompt, each.seed) for prompt, each in zip(prompts, samplings, strict=True)]

    def _answer(self, prompt, seed):
        text = Letters.decode(prompt)
        if "<notes>" in text:
            said = f"<notes>{self._learned(text) or 'nothing'}</notes>" if self.learns else "<notes>sun</notes>"
        else:
            notes = text.partition("Notes: ")[2]
            known = self._learned(notes) or (notes[:1] if notes[:1] in ("+", "-") else "")
            sign = (known or Random(seed).choice("+-")).replace("+", "")
            said = f"{sign}0.36 {sign}0.88"
        return Tokens(prompt, tuple(map(ord, said)), (-1.0,) * len(said))

    @staticmethod
    def _learned(text):
        """The sign that the last run in a text shows to be right; "" where there is none."""
        runs = re.findall(r"(-?)0\.36 -?0\.88 -> x \S+ v \S+ R (\S+);", text)
        if not runs:
            return ""
        sign, reward = runs[-1]
        return (sign or "+") if float(reward) > 0.4 else ("+" if sign else "-")


def open_steering(target):
    return Sampler(Steering(learns=target.name != "base"), Letters, target.name)
