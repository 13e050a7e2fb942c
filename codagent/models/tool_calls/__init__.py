"""Tool calls in each of the three formats: how they are written for a model, and how they are read from its reply.

A call whose text was cut off is passed on with incomplete arguments, so that the tool refuses it. A library that repairs JSON would
complete the arguments, and the tool would then run half of what the model meant.
"""
