"""What runs in the gate's sandbox, around pytest. Stands alone: Python 3.9, pytest 7 and nothing else, of codagent neither."""
