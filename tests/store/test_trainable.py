"""What a record says of who sampled a reply."""

import pytest

from codagent.store.trainable import Author, author


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("coder-q4#0f text", Author("coder-q4#0f", None, False)),
        ("coder-q4#0f constrained", Author("coder-q4#0f", None, True)),
        ("owner/name@12", Author("owner/name", 12, False)),
        ("owner/name@12 native", Author("owner/name", 12, False)),
        ("a folder/with@sign text", Author("a folder/with@sign", None, False)),
        ("", Author("", None, False)),
    ],
)
def test_a_policy_tells_weights_version_and_how_tools_were_called(policy, told):
    assert author(policy) == told
