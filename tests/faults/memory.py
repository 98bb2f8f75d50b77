"""Allocations that fail, one after the other, over every script of scripts.py."""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import shim as shims
from harness import HILUM, REPORTS, SLOW, free_port
from scripts import World

TAIL = 2  # runs in which nothing failed any more, before a script counts as done: other threads allocate as well, when they like


class Report:
    def __init__(self, out=sys.stdout):
        self.out, self.troubles, self.runs, self.failed = out, [], 0, 0
        self.outcomes = {}

    def trouble(self, what, world):
        log = world.gateway.log()
        self.troubles.append(what)
        print(f"--- {what}\n{shims.where(log)}\n{log[-6000:]}", file=self.out, flush=True)


class Sweep:
    """One gateway over all of it: it has to go on, whatever fails. A new one only if it did not."""

    def __init__(self, report, shim=None, **settings):
        self.report, self.settings = report, settings
        self.shim = shim or shims.Shim()
        self.world = None

    def __enter__(self):
        self.world = World(self.shim, **self.settings)
        self.shim.trace()
        return self

    def __exit__(self, kind, *_):
        self.end("at the end")
        self.shim.close()

    def end(self, where):
        complaints, log = self.world.close()
        if complaints:
            self.report.troubles.append(f"{where}: {complaints}")
            print(f"--- {where}: {complaints}\n{log[-9000:]}", file=self.report.out, flush=True)

    def renew(self, where):
        self.end(where)
        self.world = World(self.shim, **self.settings)

    def one(self, name, where, arm):
        """Returns how many allocations there were, and how many failed."""
        r, w = self.report, self.world
        counted = failed = 0
        try:
            try:
                arm()
                outcome = w.run(name)
                counted, failed = self.shim.off()
            finally:
                self.shim.off()
            r.outcomes.setdefault(name, {}).setdefault(outcome, 0)
            r.outcomes[name][outcome] += 1
            w.settle()
            w.clean(name)
            w.look()
            assert w.gateway.alive(), f"the gateway has ended: {w.gateway.process.poll()}"
        except Exception as e:
            counted, failed = self.shim.off()
            r.trouble(f"{name}, {where}: {type(e).__name__} {e}", w)
            if not isinstance(e, AssertionError):
                traceback.print_exc(file=r.out)
            self.renew(f"{name}, {where}")
            w = self.world
            w.clean(name)
        r.runs += 1
        r.failed += failed
        return counted, failed

    def numbers(self, name, count=1, seconds=None):
        """The Nth fails, and the count - 1 after it, for every N from 1 until none fails any more."""
        self.world.clean(name)
        number, quiet, start = 1, 0, time.monotonic()
        while quiet < TAIL and (seconds is None or time.monotonic() < start + seconds * SLOW):
            _, failed = self.one(name, f"allocation {number}" + (f" and {count - 1} more" if count > 1 else ""),
                                 lambda: self.shim.fail(number, count))
            quiet = 0 if failed else quiet + 1
            number += 1
        return number - 1

    def some(self, name, seconds):
        """Every one of the first, then with growing steps, for so long at most."""
        self.world.clean(name)
        number, quiet, start = 1, 0, time.monotonic()
        while quiet < TAIL and time.monotonic() < start + seconds * SLOW:
            _, failed = self.one(name, f"allocation {number}", lambda: self.shim.fail(number))
            quiet = 0 if failed else quiet + 1
            number += 1 + number // 20


# ---- whole runs


def start(shim, config):
    """A gateway, from its start on under what the shim is armed with: (whether something failed, complaint or None)."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([HILUM, "run", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env={**os.environ, **shim.environment})
        limit, seen = time.monotonic() + 10 * SLOW, b""
        while process.poll() is None and time.monotonic() < limit and b"listening" not in seen:
            time.sleep(0.002)
            log.seek(0)
            seen = log.read()
        _, failed = shim.off()
        is_up = process.poll() is None and b"listening" in seen
        if is_up:
            process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return failed, "it neither listens nor ends"
        log.seek(0)
        words = log.read().decode(errors="replace")
    if REPORTS.search(words):
        return failed, f"exit {status}: {words[-3000:]}"
    if is_up:
        return failed, None if status == 0 else f"it served, and ended with {status}: {words[-1000:]}"
    if status not in (1, 2) or not failed:
        return failed, f"exit {status}: {words[-1000:]}"
    return failed, None if words.strip() else "it ended without a word"


def write_config(folder):
    """The path of a small configuration that has a queue and a rule."""
    path = os.path.join(folder, "hilum.lua")
    with open(path, "w") as f:
        f.write(f'''gateway {{ ae_title = "X", workers = 1, spool = {{ path = "{folder}/spool", max_bytes = "64MiB", reserve = 0 }} }}
listen "127.0.0.1:{free_port()}"
node "a" {{ host = "127.0.0.1", ae_title = "A" }}
route "all" {{ to = "a", morph = function(ds) ds.PatientID = "X" end }}
''')
    return path


def starts(report, numbers=None, seconds=None):
    """Every allocation from the first of the process until it listens; `numbers`: these."""
    end = time.monotonic() + seconds * SLOW if seconds else None
    shim = shims.Shim()
    with tempfile.TemporaryDirectory(prefix="hilum-starts-") as folder:
        config = write_config(folder)
        number, quiet = 0, 0
        for number in numbers or itertools.count(1):
            shim.fail(number)
            failed, complaint = start(shim, config)
            report.runs += 1
            report.failed += failed
            if complaint:
                report.troubles.append(f"a start, allocation {number}: {complaint}")
                print(f"--- {report.troubles[-1]}", file=report.out, flush=True)
            quiet = 0 if failed else quiet + 1
            if quiet == TAIL or (end and time.monotonic() > end):
                break
    shim.close()
    return number
