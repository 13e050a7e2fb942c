"""What the policy is trained in: each environment one file, rules as pure functions behind codagent's Environment Protocol."""
