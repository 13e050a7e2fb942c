"""The environments that a policy is trained in."""
