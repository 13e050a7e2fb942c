"""API keys: fit for a header before they are used, and taken out of what servers and libraries say."""

from __future__ import annotations

import os
import re

from codagent.errors import UsageError
from codagent.text import LEAST_SECRET, hide_secrets, remember_secret

_INVISIBLE = "\ufeff\u200b \t\r\n\v\f\0"
_SECRET = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD)$")


def clean_key(key: str | None, variable: str = "CODAGENT_API_KEY") -> str | None:
    """Return a key without the white space around it, as files and secret stores leave it there. None and "" mean that there is none.

    Raises UsageError, which names the `variable` and never its value, when the key cannot be sent.
    """
    key = (key or "").strip(_INVISIBLE)
    if not all("!" <= character <= "~" for character in key):
        raise UsageError(f"the API key in {variable} holds a character that no header can carry; set it again, without quotes or line ends")
    remember_secret(key)
    return key or None


def clean_provider_keys(provider: str) -> None:
    """Take the white space off the keys in the environment, from which litellm reads them.

    Raises UsageError when the key of `provider` cannot be sent.
    """
    for variable in [name for name in os.environ if name.endswith("_API_KEY")]:
        os.environ[variable] = os.environ[variable].strip(_INVISIBLE.replace("\0", ""))
        remember_secret(os.environ[variable])
    variable = f"{provider.upper().replace('-', '_')}_API_KEY"
    clean_key(os.environ.get(variable), variable)


def hide_keys(text: str, *keys: str | None) -> str:
    """Return `text` with "…" in place of the keys and of all secrets in the environment, in whatever case they are written."""
    secrets = {value.strip(_INVISIBLE) for name, value in os.environ.items() if _SECRET.search(name)} | {key or "" for key in keys}
    found = sorted((secret for secret in secrets if len(secret) >= LEAST_SECRET), key=len, reverse=True)
    return hide_secrets(re.sub("|".join(map(re.escape, found)), "…", text, flags=re.IGNORECASE) if found else text)
