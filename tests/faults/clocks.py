"""Clocks that jump: what is queued neither is lost nor waits for the year in which its clock stood."""

import contextlib

import shim as shims
from harness import wait_until
from scripts import World

DAY = 86400
GIVEN_UP = "queued for too long, given up"
JUMPS = (3600, -3600, DAY, -DAY, 365 * DAY, -365 * DAY)
AHEAD = (60, DAY, 100 * DAY)


@contextlib.contextmanager
def world(**settings):
    shim = shims.Shim()
    shim.wall(400 * DAY)  # so that it may be set back
    w = World(shim, **settings)
    try:
        yield w, shim
        w.look()
    finally:
        complaints, log = w.close()
        shim.close()
    assert not complaints, f"{complaints}\n{log[-4000:]}"


def waiting(w):
    """An instance that the queue has, tried and refused for now once at least."""
    tries = []
    w.a.answer = lambda m: tries.append(m.uid) or 0xA700
    assert w.store("COPY", [w.a]) is None
    wait_until(lambda: tries, "it is tried")


def wall(jump):
    """CLOCK_REALTIME is set while the queue holds something."""
    with world() as (w, shim):
        waiting(w)
        shim.wall(400 * DAY + jump)
        before = len(w.a.messages)
        wait_until(lambda: len(w.a.messages) > before, f"it is tried again after a jump of {jump} s", 20)
        w.a.answer = 0
        w.a.messages.clear()
        w.settle(20)
        assert w.run("relay") is None and w.run("copy") is None and w.run("commitment") is None
        w.settle(20)


def monotonic(jump):
    """CLOCK_MONOTONIC goes on ahead, as after a machine was suspended: every time-out is over at once, and new ones are not."""
    with world() as (w, shim):
        waiting(w)
        shim.monotonic(jump)
        w.a.answer = 0
        w.a.messages.clear()
        w.settle(20)
        for name in ("relay", "copy", "find", "mpps"):
            w.clean(name)


def expiry():
    """What expires goes by the clock as it stands, and not before."""
    with world(expire="2h") as (w, shim):
        waiting(w)
        shim.wall(400 * DAY + 3600)
        before = len(w.a.messages)
        wait_until(lambda: len(w.a.messages) > before, "after an hour it is still tried", 20)
        assert not w.gateway.events(GIVEN_UP)
        shim.wall(403 * DAY)
        wait_until(lambda: w.gateway.events(GIVEN_UP), "after days it is given up", 20)
        w.owed.clear()
        w.a.answer = 0
        w.clean("copy")
