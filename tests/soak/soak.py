"""One run: load, faults and reloads for so many minutes; then everything is well, and what is left is looked at."""

import collections
import os
import time

import dicom
import harness
import meter
import report
from dicom import CT, EXPLICIT
from guard import OTHER_PASSCODE, PASSCODE, RATE
from harness import SANITIZED, SLOW, wait_until
from scene import ARCHIVES, LANES, PROBLEM, REFUSED, RELOAD_EVERY, ROUTES, STORES, Scene
from sender import Sender
from soak_refused import KINDS as OUTCASTS
from soak_refused import refusals
from soak_sender import who_is
from world import say

# KiB a minute that the release may grow by over the second half, and KiB over all of it for noise: docs/testing.md says why.
GROWTH, NOISE = 64, 8 << 10
FLOORS = 8  # samples of the floor that a slope is drawn through at least: two minutes of the second half
EXPECTED = (PROBLEM, REFUSED)
# Opened by the first request for storage commitment, and kept: by the end of their names.
ONCE = collections.Counter(("commitments.db", "commitments.db-wal", "commitments.db-shm", "commitments-#.lock"))
KINDS = ("rules", "renewed", "spoiled", "limits", "invalid", "plain")  # of reloads
KILL_SENDER_EVERY = 12
WELL, ILL = 6.0, 1.5  # seconds on average that a destination is left alone, and that a misfortune lasts


class Timetable:
    """What is due, in order."""

    def __init__(self):
        self.events = []

    def plan(self, after, what, *more):
        self.events.append((time.monotonic() + after, what, more))

    def run(self, until):
        while self.events:
            one = min(self.events, key=lambda event: event[0])
            if one[0] >= until:
                break
            self.events.remove(one)
            time.sleep(max(0, one[0] - time.monotonic()))
            one[1](*one[2])
        time.sleep(max(0, until - time.monotonic()))


class Soak(Scene):
    def __init__(self, seed, minutes):
        super().__init__(seed)
        self.minutes, self.complaints, self.befallen = minutes, [], {}
        self.kinds = collections.deque(KINDS)
        self.timetable = Timetable()
        self.memory = self.log = self.after = None
        self.refusals, self.slope, self.judges_memory = None, 0, False

    def check(self, condition, words):
        if not condition:
            self.complaints.append(words)
        return condition

    def attempt(self, what, *more):
        """A step of the end: what goes wrong is written down, and the rest is looked at all the same."""
        try:
            return what(*more)
        except AssertionError as wrong:
            self.complaints.append(str(wrong))
            return None

    def run(self):
        """Returns what is wrong."""
        self.start()
        self.log = meter.Log(self.gateway.log_path, harness.REPORTS)
        self.log.start()
        time.sleep(1)  # what a start opens and closes again
        self.at_start, self.threads = meter.descriptors(self.pid), meter.status(self.pid)[2]
        self.load_began = time.monotonic()
        self.start_load()
        self.memory = meter.Memory(self.pid)
        self.memory.start()
        self.rage()
        self.memory.end()
        self.end()
        self.judge()
        self.table()
        return self.complaints

    @property
    def pid(self):
        return self.gateway.process.pid

    # ---- while it runs

    def rage(self):
        for name in (*STORES, "v", *ARCHIVES):
            self.plan_misfortune(name)
        self.timetable.plan(RELOAD_EVERY, self.next_reload)
        self.timetable.plan(KILL_SENDER_EVERY, self.next_kill)
        self.timetable.plan(60, self.progress, 1)
        self.timetable.plan(5, self.look)
        self.timetable.run(time.monotonic() + self.minutes * 60)
        for name in list(self.befallen):
            self.heal(name)

    def plan_misfortune(self, name):
        rarely = 4 if name in (*ARCHIVES, "v") else 1
        self.timetable.plan(0.5 + self.random.expovariate(1 / (WELL * rarely)), self.befall, name)

    def befall(self, name):
        self.befallen[name] = self.misfortune(name)
        self.timetable.plan(0.1 + self.random.expovariate(1 / ILL), self.heal_and_plan, name)

    def heal(self, name):
        self.befallen.pop(name)()

    def heal_and_plan(self, name):
        self.heal(name)
        self.plan_misfortune(name)

    def next_reload(self):
        self.reload(self.kinds[0])
        self.kinds.rotate(-1)
        self.timetable.plan(RELOAD_EVERY, self.next_reload)

    def next_kill(self):
        self.kill_sender()
        self.timetable.plan(KILL_SENDER_EVERY, self.next_kill)

    def look(self):
        self.assert_alive()
        for one in (*self.sources, *self.others):
            assert one.process.poll() is None, f"{one} ended by itself, with {one.process.returncode}"
        self.poll_peers()
        self.timetable.plan(5, self.look)

    def progress(self, minute):
        anonymous, resident, threads = meter.status(self.pid)
        found = meter.descriptors(self.pid)
        say(f"{minute:3} min: {self.answered()} answers, {anonymous} KiB anonymous, {resident} resident, {meter.pss(self.pid)} PSS, "
            f"{threads} threads, {sum(found.values())} descriptors ({found['socket']} sockets), {self.misfortunes} misfortunes, "
            f"{self.reloads}+{self.refused_reloads} reloads, {len(self.log.errors)} error lines")
        self.timetable.plan(60, self.progress, minute + 1)

    def answered(self):
        """Lines of senders' records that are answers: by size is near enough while it runs."""
        return sum(count_answers(source.record) for source in self.sources)

    # ---- the end

    def end(self):
        self.attempt(self.reload, "plain")
        self.attempt(self.stop_load)
        self.load_seconds = time.monotonic() - self.load_began
        self.ledger_at_end = self.attempt(self.settle)
        self.attempt(self.empty, 60)
        self.attempt(self.still_serves)
        self.attempt(self.rest)
        if self.gateway.alive():
            time.sleep(12)  # jemalloc gives back what is unused for ten seconds
            self.after = meter.status(self.pid)
            self.left_open = meter.descriptors(self.pid)
        complaints = self.gateway.stop(20)
        self.check(not complaints, f"{complaints}")
        self.files.end()
        self.log.end()

    def still_serves(self):
        """Each route takes one more instance, at once: all is well."""
        for route in ROUTES:
            one = dicom.make_instance(5000)
            port, who = self.special.get(route.name, (self.port, {}))
            with Sender(port, [(CT, [EXPLICIT])], seconds=20 * SLOW, calling=route.calling, **who_is(**who)) as sender:
                status = sender.store(one).status
            assert status == 0, f"in the end {route.name} is answered {status:04X}"
        self.empty()

    def rest(self):
        """Every connection is gone."""
        def is_quiet():
            self.poll_peers()
            return meter.descriptors(self.pid)["socket"] <= self.at_start["socket"]
        wait_until(is_quiet, f"sockets go back to {self.at_start['socket']}", 30)

    def judge(self):
        ledger = self.ledger_at_end or self.ledger()
        self.attempt(self.judge_ledger, ledger)
        for uid, acknowledged, taken in ledger.steps_lost()[:5]:
            self.check(False, f"procedure step {uid}: acknowledged {acknowledged}, taken {taken}")
        self.check(not ledger.wrongly_committed(), f"committed, and not there: {ledger.wrongly_committed()[:5]}")
        self.check(ledger.moved <= ledger.viewed, f"{ledger.moved} were said to be moved, {ledger.viewed} came")
        self.judge_routes(ledger)
        self.judge_refusals()
        self.judge_rate(ledger)
        for line in self.unexpected()[:10]:
            self.check(False, f"in the log: {line}")
        told = self.gateway.lines_with((PASSCODE, OTHER_PASSCODE))
        self.check(not told, f"passcodes in the log: {told[:3]}")
        for line in self.log.reported[:5]:
            self.check(False, f"reported: {line}")
        self.judge_descriptors()
        self.judge_memory()

    def judge_ledger(self, ledger):
        try:
            ledger.judge()
        except AssertionError as wrong:
            uids = [word for word in str(wrong).split() if word.startswith("2.25.")]
            told = self.gateway.lines_with(uids[:20])[:200] if uids else []
            raise AssertionError("\n".join([str(wrong), *told])) from None

    def judge_routes(self, ledger):
        """Each has had something acknowledged: a sender that is never let in loses nothing, either."""
        served = {ledger.sent[uid][0].name for uid in ledger.acknowledged}
        missing = {source.route.name for source in self.sources} - served
        self.check(not missing, f"nothing was acknowledged of {', '.join(sorted(missing))}")

    def judge_refusals(self):
        self.refusals, faults = refusals(self.folder)
        for words in faults[:5]:
            self.check(False, words)
        self.check(not self.refusals["in"], f"let in: {self.refusals['in']}")
        never = set(OUTCASTS) - set(self.refusals["refused"])
        self.check(not never, f"never refused with their reason: {', '.join(sorted(never))}")

    def rated(self, ledger):
        """Messages of the caller with a rate that had an answer."""
        return sum(ledger.sent[uid][0].name == "RATED" for uid in ledger.answers)

    def judge_rate(self, ledger):
        most = RATE * (self.load_seconds + 1) + LANES  # a second's worth at once, and one that each lane has under way
        self.check(self.rated(ledger) <= most, f"{self.rated(ledger)} messages of the caller with a rate, {most:.0f} are allowed")

    def unexpected(self):
        return [line for name, line in self.log.errors if name not in EXPECTED]

    def judge_descriptors(self):
        if not self.check(self.after, "the gateway has ended by itself"):
            return
        self.check(not self.leaked(), f"descriptors that are still open: {dict(self.leaked())}")
        self.check(self.after[2] <= self.threads, f"{self.after[2]} threads at the end, {self.threads} at the start")

    def leaked(self):
        return self.left_open - self.at_start - ONCE

    def limit(self):
        """KiB a minute."""
        return GROWTH + NOISE / (self.minutes / 2)

    def judge_memory(self):
        floor = self.memory.floor()
        self.slope = meter.slope(floor)
        self.judges_memory = not SANITIZED and len(floor) >= FLOORS
        if self.judges_memory:
            self.check(self.slope <= self.limit(), f"memory grows by {self.slope:.0f} KiB a minute, more than {self.limit():.0f}")

    # ---- what is printed

    def table(self):
        for name, value in report.rows(self, self.ledger_at_end or self.ledger()):
            say(f"{name:32}  {value}")


def count_answers(path):
    try:
        with open(path, "rb") as f:
            return f.read().count(b"\n= ")
    except FileNotFoundError:
        return 0
