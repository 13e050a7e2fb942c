"""The code around pytest in the gate's sandbox. It needs Python 3.9 and pytest 7, and imports nothing else of codagent."""
