"""Parameters of a test that are tried in check-long only."""

import pytest


def in_long(*values):
    """A form that takes its time, or is much like another that `check` has."""
    return pytest.param(*values, marks=pytest.mark.long)
