"""Columns out of comma-separated text."""

import csv
import io


def column(text, name):
    """The numbers of one column; cells that are empty are left out."""
    rows = csv.DictReader(io.StringIO(text))
    if name not in (rows.fieldnames or []):
        raise KeyError(f"there is no column {name!r}")
    return [float(row[name]) for row in rows if row[name].strip()]
