"""Records and ledgers as somebody else may write them: by hand, or with a version that knew no checksums."""

import re


def without_checksums(text: str) -> str:
    """The lines of a record or a ledger without their checksums, so that they can be changed."""
    return re.sub(r',"sum":"[0-9a-f]{8}"}$', "}", text, flags=re.MULTILINE)
