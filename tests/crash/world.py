"""A gateway, senders at full speed and destinations that fail, each a process of its own; and the comparison at the end.

The gateway's promise is about single instances: every one that it answered with success or a warning arrives at every destination of its
route, bit by bit as it was sent or as its morph made it. So senders and destinations write down UIDs and hashes (crash_sender.py,
crash_sink.py), and a Ledger compares sets.
"""

import contextlib
import dataclasses
import heapq
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "end_to_end"))

import harness  # noqa: E402
from harness import SLOW, Gateway, Lua, files_under, free_port, lua, node, wait_until  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
# Below 64 KiB nothing leaves before it is whole; up to replay_max (1 MiB) memory replays it; past that the journal does.
SIZES = (1, 900, 20 * KIB, 64 * KIB, 300 * KIB, MIB - 200, MIB + 70 * KIB, 5 * MIB)


@dataclasses.dataclass
class Route:
    """Taken by the sender's title, which is its name."""
    name: str
    to: tuple = ()
    copy: tuple = ()
    keys: dict = dataclasses.field(default_factory=dict)

    @property
    def nodes(self):
        return set(self.to) | set(self.copy)

    @property
    def queues(self):
        return self.keys.get("on_failure") != "fail"

    @property
    def is_morphed(self):
        return "morph" in self.keys

    def declaration(self):
        keys = {"when": {"calling": self.name}, **self.keys}
        keys.update({name: list(nodes) for name, nodes in (("to", self.to), ("copy", self.copy)) if nodes})
        return f"route {lua(self.name)} {lua(keys)}"


MORPH = Lua('function (ds) ds.PatientID = "SITE7-" .. ds.PatientID end')
ROUTES = (
    Route("COPIES", copy=("a", "b")),
    Route("BOTH", to=("a",), copy=("c",)),
    Route("QUEUED", to=("b",), keys={"on_failure": "queue"}),
    Route("PAIR", to=("c", "d"), copy=("a",)),
    Route("STRICT", to=("b",), copy=("c",), keys={"on_failure": "fail"}),
    Route("MORPHED", to=("d",), copy=("b",), keys={"morph": MORPH}),
)
NODES = "abcd"


def say(words):
    """Figures: on stdout of the program; what imports this as a test has something else there, and sets `out`."""
    print(words, file=out or sys.stdout, flush=True)


out = None
kept = None  # the folder for logs of what failed; None: that of temporary files


# ---- processes


class Process:
    """A program of this folder; its record is a file that outlives it."""

    def __init__(self, program, *arguments):
        self.command = [sys.executable, os.path.join(HERE, program), *map(str, arguments)]
        self.process = None

    def launch(self, **pipes):
        self.process = subprocess.Popen(self.command, text=True, **pipes)

    def end(self, number=signal.SIGKILL, seconds=0):
        """A signal, and SIGKILL when it has not ended by then."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            self.process.wait(seconds or None)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process = None


class Destination(Process):
    def __init__(self, name, folder, port=None):
        self.name, self.port = name, port or free_port()
        self.held = socket.socket()  # bound and never listening: nobody else is given the port while the process is away
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.held.bind(("127.0.0.1", self.port))
        self.record = os.path.join(folder, f"sink-{name}")
        open(self.record, "a").close()
        super().__init__("crash_sink.py", self.port, self.record)

    def start(self):
        self.launch(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "listening\n", f"destination {self.name} does not listen"

    def set(self, **settings):
        if self.process:
            self.process.stdin.write(json.dumps(settings) + "\n")
            self.process.stdin.flush()
            self.process.stdout.readline()

    def release(self):
        self.end()
        self.held.close()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)


class Source(Process):
    def __init__(self, route, folder, port, seed, lanes, sizes):
        self.route = route
        self.record = os.path.join(folder, f"sender-{route.name}")
        super().__init__("crash_sender.py", port, route.name, self.record, seed, lanes, *sizes)

    def start(self):
        self.launch(stdin=subprocess.DEVNULL)


class Crashing(Gateway):
    """A gateway that is killed and started again; its logs are kept one behind the other. `tracer`: a command that it runs under."""

    tracer = ()

    def start(self):
        self.past = getattr(self, "past", "")
        if os.path.exists(self.log_path):
            self.past = (self.past + self.log())[-4 * MIB:]
        self.status = None
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([*self.tracer, harness.HILUM, "run", self.config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.folder, env=self.environment)
        try:
            wait_until(self._is_up, "the gateway listens", 30)
        except AssertionError as trouble:
            self.kill()
            raise AssertionError(f"the gateway does not start ({trouble}, status {self.status}):\n{self.log()}") from None

    def logs(self):
        return self.past + self.log()

    def stop_all_threads(self):
        """SIGSTOP, and until every thread stands."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = f"/proc/{self.process.pid}/task"

        def all_stand():
            states = [open(f"{tasks}/{one}/stat").read().rsplit(")", 1)[1].split()[0] for one in os.listdir(tasks)]
            return all(state in "tT" for state in states)
        wait_until(all_stand, "every thread stands")


# ---- what is written down


def whole_lines(file):
    """The last one may be on its way."""
    return (line for line in file if line.endswith("\n"))


class Ledger:
    """What senders were told, and what arrived."""

    def __init__(self, sources, records):
        """records: {node: [paths]}"""
        self.sent, self.answers, self.given_up = {}, {}, set()  # uid -> (route, hash), uid -> status
        self.refused, self.faults = 0, []
        for source in sources:
            self._read_sender(source)
        self.arrived = {name: {} for name in records}  # node -> uid -> {hash: times}
        for name, paths in records.items():
            for path in paths:
                self._read_sink(name, path)
        self.acknowledged = {u for u, s in self.answers.items() if s == 0 or s >> 12 == 0xB}

    def _read_sender(self, source):
        with contextlib.suppress(FileNotFoundError), open(source.record) as f:
            for line in whole_lines(f):
                kind, uid, *more = line.split()
                if kind == "?":
                    self.sent[uid] = (source.route, more[1] if source.route.is_morphed else more[0])
                elif kind == "=":
                    self.answers[uid] = int(more[0], 16)
                elif kind == "x":
                    self.given_up.add(uid)
                else:
                    self.faults.append(f"sender {source.route.name}: {line[2:].rstrip()}")

    def _read_sink(self, name, path):
        with open(path) as f:
            for line in whole_lines(f):
                if line.startswith("!"):
                    self.faults.append(f"destination {name}: {line[2:].rstrip()}")
                    continue
                self._take(name, *line.split())

    def _take(self, name, uid, digest, what):
        self.refused += what != "taken"
        if what == "taken":
            times = self.arrived[name].setdefault(uid, {})
            times[digest] = times.get(digest, 0) + 1

    def lost(self):
        """[(uid, node)] of what was acknowledged and is not where it belongs."""
        return [(uid, name) for uid in self.acknowledged for name in sorted(self.sent[uid][0].nodes)
                if uid not in self.arrived[name]]

    def damaged(self):
        """[(uid, node)] of what is not bit by bit what it should be; of unknown UIDs and strange destinations too."""
        out = []
        for name, instances in self.arrived.items():
            for uid, times in instances.items():
                route, digest = self.sent.get(uid, (None, None))
                if route is None or name not in route.nodes or set(times) != {digest}:
                    out.append((uid, name))
        return out

    def invented(self):
        """What its sender gave up in the middle, and yet arrived; and what it was told a failure of, and the queue delivered."""
        def is_invented(uid, name):
            if uid in self.given_up:
                return True
            return uid in self.answers and uid not in self.acknowledged and name in self.sent[uid][0].copy
        return [(uid, name) for name, instances in self.arrived.items() for uid in instances if is_invented(uid, name)]

    def figures(self):
        failed = [uid for uid in self.answers if uid not in self.acknowledged]
        counted = {"sent": len(self.sent), "acknowledged": len(self.acknowledged), "refused": len(failed),
                   "refused that could be queued": sum(self.sent[uid][0].queues for uid in failed),
                   "unanswered": len(set(self.sent) - set(self.answers) - self.given_up)}
        arrived = [(uid, sum(times.values())) for instances in self.arrived.values() for uid, times in instances.items()]
        counted["arrived"] = len(arrived)
        counted["more than once"] = sum(times - 1 for _, times in arrived)
        counted["unacknowledged"] = len([uid for uid, _ in arrived if uid not in self.acknowledged])
        counted["lost"], counted["damaged"], counted["invented"] = map(len, (self.lost(), self.damaged(), self.invented()))
        return counted

    def judge(self, gateway=None):
        """Raises what went wrong, with the log of what was lost."""
        lost, damaged, invented = self.lost(), self.damaged(), self.invented()
        words = []
        for what, found in (("lost", lost), ("damaged", damaged), ("invented", invented)):
            for uid, name in found[:10]:
                route = self.sent[uid][0].name if uid in self.sent else "no route"
                words.append(f"{what}: {uid} of {route} at {name}, answered "
                             f"{self.answers[uid]:04X}" if uid in self.answers else f"{what}: {uid} of {route} at {name}")
            if len(found) > 10:
                words.append(f"{what}: and {len(found) - 10} more")
        words += self.faults[:10]
        if words and gateway:
            uids = {uid for uid, _ in (lost + damaged + invented)[:10]}
            words += [line for line in gateway.logs().splitlines() if any(uid in line for uid in uids)]
        assert not words, "\n".join(words)


# ---- all of it


class World:
    """Use as a context. `figures` are printed at the end of a part."""

    def __init__(self, seed, sizes=SIZES, lanes=2, routes=ROUTES, spool=None, traced=(), **settings):
        self.seed, self.random = seed, random.Random(seed)
        self.sizes, self.lanes, self.routes = sizes, lanes, routes
        self.kills = self.starts = self.failed_starts = self.misfortunes = 0
        self.began = time.monotonic()
        self.folder = tempfile.mkdtemp(prefix="hilum-crash-")
        self.destinations = {name: Destination(name, self.folder) for name in NODES}
        self.sources, self.gateway, self.gateways = [], None, []
        self.settings = {"spool": {"path": spool or "$FOLDER/spool", "reserve": 0}, "workers": 2,
                         "log": {"level": "info", "format": "json"},
                         "retry": {"first": "100ms", "most": "1s"},
                         "timeouts": {"connect": "1s", "association": "2s", "progress": "2s", "response": "2s", "lag": "1s",
                                      "linger": "1s"}, **settings}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind and self.gateways:
            self.keep_logs()
        for source in self.sources:
            source.end()
        for destination in self.destinations.values():
            destination.release()
        for gateway in self.gateways:
            if gateway.alive():
                gateway.kill()
            gateway.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep_logs(self):
        with tempfile.NamedTemporaryFile("w", prefix="hilum-crash-log-", dir=kept, delete=False) as f:
            f.write("".join(gateway.logs() for gateway in self.gateways))
        say(f"the gateways' logs: {f.name}")

    # ---- parts of it

    def open_gateway(self, kind=Crashing, environment=None, **settings):
        declarations = [node(name, one.port) for name, one in self.destinations.items()]
        declarations += [route.declaration() for route in self.routes]
        self.starts += 1
        merged = {**self.settings, **settings}
        self.gateway = kind(*declarations, environment=environment, **merged)
        self.gateways.append(self.gateway)
        return self.gateway

    def start_destinations(self):
        for one in self.destinations.values():
            if one.process is None:
                one.start()

    def start_sources(self, port=None):
        for number, route in enumerate(self.routes):
            source = Source(route, self.folder, port or self.gateway.port, f"{self.seed}.{number}", self.lanes, self.sizes)
            self.sources.append(source)
            source.start()

    def stop_sources(self, seconds=30):
        """They have their last answers soon, or the gateway has forgotten them."""
        dead = [source.route.name for source in self.sources if source.process.poll() is not None]
        assert not dead, f"senders ended by themselves: {', '.join(dead)}"
        for source in self.sources:
            source.process.send_signal(signal.SIGTERM)
        limit, waiting = time.monotonic() + seconds * SLOW, self.sources
        while waiting and time.monotonic() < limit:
            time.sleep(0.02)
            waiting = [source for source in waiting if source.process.poll() is None]
        for source in self.sources:
            source.end()
        assert not waiting, f"no answer for {', '.join(source.route.name for source in waiting)} within {seconds * SLOW:.0f} s"

    def ledger(self, more=None):
        records = {name: [one.record] for name, one in self.destinations.items()}
        for name, path in (more or {}).items():
            records[name].append(path)
        return Ledger(self.sources, records)

    def answers_of(self, kind):
        return sum(map(kind, self.ledger().answers.values()))

    # ---- misfortunes

    def kill_gateway(self, is_expected_dead=False):
        if not self.gateway.alive() and not is_expected_dead:
            raise AssertionError(f"the gateway ended by itself, with {self.gateway.process.returncode}:\n"
                                 f"{self.gateway.logs()[-6000:]}")
        if self.gateway.alive():
            self.kills += 1
        self.gateway.kill()
        self.complain()

    def complain(self):
        report = harness.REPORTS.search(self.gateway.log())
        assert not report, f"the gateway reported {report[0]}:\n{self.gateway.log()[-6000:]}"

    def restart_gateway(self, faults=None, may_refuse=False):
        """With faults, or where it may, it may refuse to start, in words; then False."""
        self.starts += 1
        self.gateway.environment.pop("HILUM_IO_FAULTS", None)
        if faults:
            self.gateway.environment["HILUM_IO_FAULTS"] = faults
        try:
            self.gateway.start()
        except AssertionError:
            if not faults and not may_refuse:
                raise
            self.failed_starts += 1
            self.complain()
            died = self.gateway.process.returncode
            assert died in (1, -signal.SIGKILL), f"with {faults} the gateway ended with {died}:\n{self.gateway.log()[-6000:]}"
            return False
        return True

    def misfortune(self, name):
        """Something befalls a destination. Returns what makes it well again."""
        one, r = self.destinations[name], self.random
        self.misfortunes += 1
        what = r.choice(("kill", "kill", "hang", "hang", "full", "reject", "reset", "close", "abort"))
        if what == "kill":
            one.end()
            return one.start
        if what == "hang":
            one.freeze()
            return one.thaw
        if what == "full":
            one.set(answer=0xA700)
            return lambda: one.set(answer=0)
        if what == "reject":
            one.set(reject=r.choice(((2, 3, 2), (1, 1, 7), (2, 1, 1))))
            return lambda: one.set(reject=None)
        one.set(at_bytes=(r.choice((100, 70000, 500000, 3 << 20)), what))
        return lambda: one.set(at_bytes=None)

    def rage(self, seconds, kill_every=2.0, faults=None, befallen=NODES):
        """Everything goes wrong for so long; the gateway and the destinations that were befallen are well afterwards. faults: makes
        HILUM_IO_FAULTS."""
        end = time.monotonic() + seconds
        events, number = [], 0

        def plan(after, what, *arguments):
            nonlocal number
            number += 1
            heapq.heappush(events, (time.monotonic() + after, number, what, arguments))

        def kill():
            self.kill_gateway(is_expected_dead=self.gateway.environment.get("HILUM_IO_FAULTS") is not None)
            time.sleep(self.random.choice((0, 0, 0.3)))
            while not self.restart_gateway(faults() if faults else None):
                pass
            # Now and then while it has hardly begun.
            plan(self.random.choice((0, self.random.random() * 0.2, *[self.random.expovariate(1 / kill_every)] * 4)), kill)

        def befall(name):
            plan(0.1 + self.random.expovariate(1 / 1.0), heal, name, self.misfortune(name))

        def heal(name, how):
            how()
            plan(self.random.expovariate(1 / 2.0), befall, name)

        plan(self.random.expovariate(1 / kill_every), kill)
        for name in befallen:
            plan(self.random.expovariate(1 / 1.0), befall, name)
        while events and events[0][0] < end:
            at, _, what, arguments = heapq.heappop(events)
            time.sleep(max(0, at - time.monotonic()))
            what(*arguments)
        time.sleep(max(0, end - time.monotonic()))
        for _, _, what, arguments in events:
            if what is heal:
                arguments[1]()
        if self.gateway.environment.get("HILUM_IO_FAULTS") is not None:
            self.kill_gateway(is_expected_dead=True)
            self.restart_gateway()

    # ---- the end

    def settle(self, more=None, patience=30):
        """Waits until all that was acknowledged has arrived; gives up when nothing moves any more. Returns the ledger."""
        before, since = None, time.monotonic()
        while True:
            ledger = self.ledger(more)
            lost = len(ledger.lost())
            if lost == 0:
                return ledger
            assert self.gateway.alive(), f"the gateway ended by itself:\n{self.gateway.logs()[-6000:]}"
            if lost != before:
                before, since = lost, time.monotonic()
            if time.monotonic() - since > patience * SLOW:
                return ledger
            time.sleep(0.25)

    def empty(self, seconds=20):
        """Waits until the queue itself says that it has nothing to do any more, also of what nobody was told of."""
        said = {}

        def is_empty():
            done = harness.hilum("queue", self.gateway.config, "list", "--json", "--limit", 10)
            assert done.returncode == 0, done.stderr
            said.update(json.loads(done.stdout))
            return not said["entries"]
        try:
            wait_until(is_empty, "the queue is empty", seconds)
        except AssertionError as late:
            raise AssertionError(f"{late}: {said}") from None

    def close(self, is_rest_watched=True):
        """A clean end; and one more start, which must find nothing left to send. Returns the log's bytes that are left."""
        complaints = self.gateway.stop(20)
        assert not complaints, f"{complaints}\n{self.gateway.logs()[-6000:]}"
        left = 0
        if is_rest_watched:
            before = self.ledger().figures()["more than once"]
            self.restart_gateway()
            time.sleep(1)  # for what must not happen
            complaints = self.gateway.stop(20)
            assert not complaints, f"{complaints}\n{self.gateway.logs()[-6000:]}"
            again = self.ledger().figures()["more than once"] - before
            assert again == 0, f"{again} delivered instances were sent again after a clean end"
        for path in files_under(self.spool_path()):
            if path.endswith(".log"):
                with contextlib.suppress(FileNotFoundError):
                    left += os.stat(path).st_blocks * 512
        return left

    def spool_path(self):
        return self.gateway.settings["spool"]["path"].replace("$FOLDER", self.gateway.folder)

    def report(self, title, ledger, **more):
        figures = {"kills": self.kills, "starts": self.starts, "refused starts": self.failed_starts,
                   "misfortunes": self.misfortunes, **ledger.figures(), **more,
                   "seconds": round(time.monotonic() - self.began)}
        say(f"{title}: " + ", ".join(f"{value} {name}" for name, value in figures.items()))
