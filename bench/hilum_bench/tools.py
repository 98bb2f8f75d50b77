"""The load generator and the sink, as the runner uses them: docs/bench.md, "The tools"."""

import json
import select
import signal
import subprocess
import time

from . import machine
from .process import Failed, Process, processors, wait_until


def options(**settings):
    """{"per_association": 1, "nagle": True} -> ["--per-association", "1", "--nagle"]"""
    words = []
    for name, value in settings.items():
        if value is None or value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return words


class Speaker(Process):
    """A program that prints JSON, an object a line."""

    def hear(self, seconds=30):
        """The next object it prints."""
        ready, _, _ = select.select([self.popen.stdout], [], [], seconds)
        line = self.popen.stdout.readline() if ready else ""
        if not line:
            state = "but is alive" if self.alive() else f"and has ended with {self.popen.returncode}"
            raise Failed(f"{self.name} says nothing {state}: {self.said()}")
        return json.loads(line)


class Sink(Speaker):
    """Takes instances and counts them. `port` is where."""

    def __init__(self, folder, name, port, **settings):
        super().__init__(f"sink {name}", [machine.SINK, *options(port=port, cpu=processors()[0], **settings)],
                         f"{folder}/sink-{name}.log", talks=True)
        self.port = self.hear()["port"]

    def count(self):
        """What it has got so far: {"instances", "bytes", "associations", "aborts", "faults", ...}"""
        self.popen.send_signal(signal.SIGUSR1)
        return self.hear()


class Load:
    """One run of the load generator. start(), then finish() gives its result, checked."""

    program = machine.LOAD

    def __init__(self, folder, port, limit=60, **settings):
        self.command = [self.program, f"127.0.0.1:{port}", *options(cpu=processors()[0], **settings)]
        self.log, self.limit = f"{folder}/load.log", limit
        self.cut = "seconds" in settings

    def start(self):
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                          start_new_session=True)
        return self

    def finish(self):
        try:
            out, _ = self.popen.communicate(timeout=self.limit)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.communicate()
            raise Failed(f"load does not end within {self.limit} s{self.complaint()}") from None
        self.ended = time.monotonic()
        try:
            return json.loads(out)
        except ValueError:
            raise Failed(f"load ended with {self.popen.returncode}{self.complaint()}") from None

    def stop(self):
        """Ends it where its result is not wanted."""
        self.popen.terminate()
        self.popen.communicate()

    def complaint(self):
        return f" ({' '.join(self.command)}): {machine.text_of(self.log)[-2000:].strip()}"

    def result(self, expected=None):
        """Runs it to its end. Every instance must have been answered by success; `expected` is their number."""
        report = self.start().finish()
        self.check(report, expected)
        return report

    def check(self, report, expected):
        bad = {status: count for status, count in report["statuses"].items() if status != "0000"}
        faults = report.get("faults", 0)
        wrong = ((report["failures"] and f"{report['failures']} associations failed") or
                 (bad and f"answers other than success: {bad}") or (faults and f"{faults} faults") or
                 (expected is not None and report["instances"] != expected and
                  f"{report['instances']} instances of {expected}") or
                 (self.popen.returncode != 0 and f"exit status {self.popen.returncode}"))
        if wrong:
            raise Failed(f"load: {wrong}{self.complaint()}")


class Find(Load):
    """Likewise, of queries."""

    program = machine.FIND

    def check(self, report, expected):
        if report["failures"] or report["faults"] or report["answers"] != expected or self.popen.returncode != 0:
            raise Failed(f"find: {report['answers']} answers of {expected}, {report['faults']} faults{self.complaint()}")


class Idle(Speaker):
    """Associations that are open and do nothing, until end()."""

    def __init__(self, folder, port, count, seconds=60):
        super().__init__("idle load", [machine.LOAD, f"127.0.0.1:{port}",
                                       *options(idle=count, cpu=processors()[0])],
                         f"{folder}/idle.log", talks=True)
        try:
            self.open = self.hear(seconds)["open"]
            if self.open != count:
                raise Failed(f"{self.open} idle associations stand and not {count}: {self.said()}")
        except BaseException:
            self.end()
            raise


def arrived(sinks, counts, instances, seconds):
    """Waits until every sink has got so many instances more than `counts`; when the last one had."""
    def all_here():
        return all(sink.count()["instances"] - count["instances"] >= instances for sink, count in zip(sinks, counts))
    wait_until(all_here, f"{instances} instances arrive at each of {len(sinks)} sinks", seconds)
    return time.monotonic()
