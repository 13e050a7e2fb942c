"""How large a model is: parameters and memory, from its configuration alone."""
