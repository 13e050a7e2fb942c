"""One change of a text."""

from __future__ import annotations

from dataclasses import dataclass


class EditError(ValueError):
    """A change that does not fit the text."""


@dataclass(frozen=True)
class Edit:
    """At position `at` the text `removed` makes room for `inserted`."""

    at: int
    removed: str
    inserted: str

    def apply(self, text: str) -> str:
        end = self.at + len(self.removed)
        if not 0 <= self.at <= len(text) or text[self.at : end] != self.removed:
            raise EditError(f"there is no {self.removed!r} at {self.at}")
        return text[: self.at] + self.inserted + text[end:]

    def inverse(self) -> Edit:
        """The change that takes this one back."""
        return Edit(self.at, self.inserted, self.removed)

    def continues(self, earlier: Edit) -> bool:
        """Whether this one types the next letter of the word that `earlier` typed."""
        if self.removed or earlier.removed or len(self.inserted) != 1 or self.inserted.isspace():
            return False
        return self.at == earlier.at + len(earlier.inserted) and not earlier.inserted[-1:].isspace()
