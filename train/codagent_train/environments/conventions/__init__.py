"""Conventions: small coding tasks of one house, whose rules nobody tells. Only the results of the checks show them."""
