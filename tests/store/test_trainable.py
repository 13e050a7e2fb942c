"""What a record says of who sampled a reply."""

import pytest

from codagent.store.trainable import ParsedPolicy, parse_policy


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("coder-q4#0f text", ParsedPolicy("coder-q4#0f", None, False)),
        ("coder-q4#0f constrained", ParsedPolicy("coder-q4#0f", None, True)),
        ("owner/name@12", ParsedPolicy("owner/name", 12, False)),
        ("owner/name@12 native", ParsedPolicy("owner/name", 12, False)),
        ("a folder/with@sign text", ParsedPolicy("a folder/with@sign", None, False)),
        ("", ParsedPolicy("", None, False)),
    ],
)
def test_a_policy_tells_weights_version_and_how_tools_were_called(policy, told):
    assert parse_policy(policy) == told
