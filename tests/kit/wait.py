"""Waiting for things that can be asked for, and how long is too long."""

import os
import time

SANITIZED = bool(os.environ.get("RIOT_SANITIZED"))
# Bounds are multiplied by this; sanitized programs on a busy machine are slow.
SCALE = float(os.environ.get("RIOT_TIME_SCALE", "4" if SANITIZED else "1"))


def until(condition, timeout=20.0, what=None, every=0.02):
    """Asks until condition() is true, and returns what it said. Out of time is an AssertionError that tells the last answer."""
    end = time.monotonic() + timeout * SCALE
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            name = what or getattr(condition, "__name__", "it")
            raise AssertionError(f"{name} did not come true within {timeout * SCALE:g} s; the last answer was {answer!r}")
        time.sleep(every)
