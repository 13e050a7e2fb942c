"""Commands in Docker that are killed at random moments and gone on with until they end; beside them, the same commands undisturbed.

What comes out must be the same. Now and then the last line of a file is torn as well, as a loss of power does.
"""
