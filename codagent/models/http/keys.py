"""API keys: fit for a header before they are used, and hidden from then on."""

from __future__ import annotations

import os

from codagent.errors import UsageError
from codagent.redaction import remember_named, remember_secret, strip_invisible


def clean_key(key: str | None, variable: str = "CODAGENT_API_KEY") -> str | None:
    """Return a key without the white space around it, as files and secret stores leave it there. None and "" mean that there is none.

    Raises UsageError, which names the `variable` and never its value, when the key cannot be sent.
    """
    key = strip_invisible(key or "")
    if not all("!" <= character <= "~" for character in key):
        raise UsageError(f"the API key in {variable} holds a character that no header can carry; set it again, without quotes or line ends")
    remember_secret(key)
    return key or None


def clean_provider_keys(provider: str) -> None:
    """Take the white space off the keys in the environment, from which litellm reads them.

    Raises UsageError when the key of `provider` cannot be sent.
    """
    remember_named(os.environ)
    for variable in [name for name in os.environ if name.endswith("_API_KEY")]:
        os.environ[variable] = strip_invisible(os.environ[variable])
    variable = f"{provider.upper().replace('-', '_')}_API_KEY"
    clean_key(os.environ.get(variable), variable)
