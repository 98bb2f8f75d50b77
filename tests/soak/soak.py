"""One run: load, faults and reloads for so many minutes; then everything is well, and what is left is looked at."""

import collections
import os
import time

import dicom
import harness
import meter
from dicom import CT, EXPLICIT
from harness import SANITIZED, SLOW, wait_until
from scene import ARCHIVES, RELOAD_EVERY, ROUTES, STORES, Scene
from sender import Sender
from world import say

# KiB a minute that the release may grow by over the second half, and KiB over all of it for noise: docs/testing.md says why.
GROWTH, NOISE = 64, 8 << 10
EXPECTED = ("configuration problem", "reload refused, the old configuration stays")
# Opened by the first request for storage commitment, and kept: by the end of their names.
ONCE = collections.Counter(("commitments.db", "commitments.db-wal", "commitments.db-shm", "commitments-#.lock"))
KINDS = ("rules", "plain", "limits", "invalid", "plain")
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
        self.memory = self.log = None

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
        assert self.gateway.alive(), f"the gateway ended by itself, with {self.gateway.process.returncode}:\n{self.gateway.log()[-8000:]}"
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
            if route.name == "SECURE":
                continue
            one = dicom.make_instance(5000)
            with Sender(self.port, [(CT, [EXPLICIT])], seconds=20 * SLOW, calling=route.calling) as sender:
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
        self.check(ledger.acknowledged, "nothing was acknowledged")
        unexpected = [line for name, line in self.log.errors if name not in EXPECTED]
        for line in unexpected[:10]:
            self.check(False, f"in the log: {line}")
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

    def judge_descriptors(self):
        more = +(self.left_open - self.at_start - ONCE)
        self.check(not more, f"descriptors that are still open: {dict(more)}")
        self.check(self.after[2] <= self.threads, f"{self.after[2]} threads at the end, {self.threads} at the start")

    def limit(self):
        """KiB a minute."""
        return GROWTH + NOISE / (self.minutes / 2)

    def judge_memory(self):
        self.slope = meter.slope(self.memory.floor())
        if not SANITIZED:
            self.check(self.slope <= self.limit(), f"memory grows by {self.slope:.0f} KiB a minute, more than {self.limit():.0f}")

    # ---- what is printed

    def table(self):
        ledger = self.ledger_at_end or self.ledger()
        rows = [("seconds of load", self.minutes * 60), ("misfortunes of destinations", self.misfortunes),
                ("senders killed", self.killed_senders), ("reloads", self.reloads), ("reloads refused", self.refused_reloads)]
        rows += [(f"instances {name}", value) for name, value in ledger.figures().items() if name != "arrived"]
        rows += [("instances acknowledged a second", round(len(ledger.acknowledged) / (self.minutes * 60), 1)),
                 ("procedure steps", len(ledger.steps)), ("procedure steps lost", len(ledger.steps_lost())),
                 ("instances committed", len(ledger.committed)), ("instances moved", ledger.moved)]
        by_kind = collections.defaultdict(dict)
        for (what, how), number in ledger.did.items():
            by_kind[what][how] = number
        rows += [(what, ", ".join(f"{number} {how}" for how, number in sorted(hows.items()))) for what, hows in sorted(by_kind.items())]
        rows += [("strangers", self.strangers_did()), ("lines of the log", sum(self.log.levels.values())),
                 ("of them errors that are expected", sum(name in EXPECTED for name, _ in self.log.errors)),
                 ("warnings", self.log.levels["warn"])]
        samples = self.memory.samples
        limit = "not judged" if SANITIZED else f"limit {self.limit():.0f}"
        rows += [("RssAnon, most", f"{max(s[1] for s in samples)} KiB"), ("RssAnon at rest", f"{self.after[0]} KiB"),
                 ("RssAnon, slope of its floor", f"{self.slope:.1f} KiB/min, {limit}"),
                 ("threads", f"{self.threads} at the start, {max(s[3] for s in samples)} at most, {self.after[2]} at rest"),
                 ("descriptors", f"{sum(self.at_start.values())} at the start, {sum(self.left_open.values())} at rest")]
        for name, value in rows:
            say(f"{name:36}  {value}")

    def strangers_did(self):
        with open(os.path.join(self.folder, "strangers")) as f:
            counted = collections.Counter(f.read().split("\n"))
        return ", ".join(f"{number} {what[4:]}" for what, number in sorted(counted.items()) if what)


def count_answers(path):
    try:
        with open(path, "rb") as f:
            return f.read().count(b"\n= ")
    except FileNotFoundError:
        return 0
