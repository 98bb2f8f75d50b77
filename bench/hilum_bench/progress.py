"""A line on stderr for each row and round, with the time that is left; errors as they come."""

import sys
import time


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def described(error):
    """Where an error happened, as far as that is known, and what it is."""
    where = [str(error[key]) for key in ("congestion", "row", "entry", "round") if error.get(key) is not None]
    return f"{' '.join(where)}: {error['why']}"


class Progress:
    """The time left: what the table of rows expects, corrected by how long things have really taken so far."""

    def __init__(self, rows_under, routers, rounds):
        self.begun = time.monotonic()
        self.expected = {}
        for congestion, rows in rows_under.items():
            for row in rows:
                for name, router, copies in row.entries(routers):
                    for number in range(row.rounds_of(rounds) + 1):
                        self.expected[congestion, row.key, name, number] = row.expected_seconds(router, number, copies)
        self.total = sum(self.expected.values())
        self.at = None

    def left(self):
        """Seconds, by what has been done until now."""
        remaining = sum(self.expected.values())
        done = self.total - remaining
        took = time.monotonic() - self.begun
        return remaining * (took / done if done > 5 else 1.0)

    def saw(self, event):
        self.expected.pop((event["congestion"], event.get("row"), event.get("entry"), event.get("round")), None)
        if event["event"] == "error":
            self.say(f"ERROR {described(event)}")
        at = event["congestion"], event.get("row"), event.get("round")
        if at != self.at and at[1]:
            self.at = at
            number = f"round {at[2]}" if at[2] else "warm-up"
            took = clock(time.monotonic() - self.begun)
            self.say(f"{took} {at[0]:5} {at[1]:17} {number:8} {clock(self.left())} left")

    def done(self):
        self.say(f"done in {clock(time.monotonic() - self.begun)}")

    @staticmethod
    def say(text):
        print(text, file=sys.stderr, flush=True)
