"""The agent: one attempt, and a loop of attempts with notes between them. Knows of no disk, git or docker."""
