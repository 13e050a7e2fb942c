"""The paper's terminal: two computers in memory, of which the second is reached with ssh and scp. The tasks of a pack share nothing."""
