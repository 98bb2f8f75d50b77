"""The gateway of the soak, its configurations, and everybody around it: a World (tests/crash/world.py) with more routes and services.

Whatever the configuration says at a moment, an instance belongs where its route's `places` say; so the comparison needs no history.
"""

import contextlib
import dataclasses
import hashlib
import os
import shutil
import signal
import sys
import threading

import dicom
import harness
import world
from guard import PASSCODE, USER, Guard, callers
from harness import Lua, declare, free_port, lua, node, wait_until
from world import Crashing, Destination, Ledger, Process, Route, World, whole_lines

HERE = os.path.dirname(os.path.abspath(__file__))
PAUSE = 0.2  # seconds between two requests of a client
SENDER_PAUSE = 0.25  # and between two instances of a lane
LANES = 2
RELOAD_EVERY = 10


@dataclasses.dataclass
class Choice(Route):
    """Of `one_of` one has to have it: members of a pool, or what two configurations say."""
    one_of: tuple = ()

    @property
    def calling(self):
        return self.keys.get("when", {}).get("calling", self.name)

    @property
    def nodes(self):
        return super().nodes - {"pool"} | set(self.one_of)

    @property
    def places(self):
        """[the nodes of which one must have it]"""
        return [{name} for name in self.nodes - set(self.one_of)] + ([set(self.one_of)] if self.one_of else [])


MORPHS = (Lua('function (ds) ds.PatientID = "SITE7-" .. ds.PatientID end'),
          Lua('function (ds) ds.PatientID = table.concat({ "SITE7", ds.PatientID }, "-") end'))
QUEUES = {"on_failure": "queue"}
ROUTES = (
    Choice("COPIES", copy=("a", "b")),
    Choice("BOTH", to=("a",), copy=("c",)),
    Choice("QUEUED", to=("b",), keys=QUEUES),
    Choice("PAIR", to=("c", "d"), copy=("a",)),
    Choice("STRICT", to=("b",), copy=("c",), keys={"on_failure": "fail"}),
    Choice("MORPHED", to=("d",), copy=("b",), keys={"morph": MORPHS[0]}),
    Choice("HELD", copy=("c",), keys={"hold": {"quiet": "2s"}}),
    Choice("GATHERED", to=("a",), keys={"stream": False, **QUEUES}),
    Choice("POOLED", to=("pool",), keys=QUEUES, one_of=("b", "d")),
    Choice("FILED", to=("f",), copy=("d",)),
    Choice("SECURE", to=("t",), copy=("a",)),
    Choice("CHANGING", copy=("b",), one_of=("b", "d")),
    Choice("CERTIFIED", to=("b",), copy=("c",)),
    Choice("IDENTIFIED", to=("d",), keys=QUEUES),
    Choice("RATED", copy=("a",)),
    Choice("COMMITTED", to=("a",), keys={"when": {"calling": "MODALITY"}, **QUEUES}),
    Choice("STRANGER", to=("c",), keys={"on_failure": "fail"}),
)
OTHERS = ("COMMITTED", "STRANGER")  # sent by soak_clients.py and soak_strangers.py
STORES = "abcdts"
ARCHIVES = ("x1", "x2")
MODALITY = "m"

PROBLEM, REFUSED = "configuration problem", "reload refused, the old configuration stays"
INVALID = (
    'route "a" {{',
    'gateway {{ no_such_key = 1 }}',
    '{all}\nroute "nowhere" {{ to = {{ "nobody" }} }}',
    '{all}\nlisten {{ port = {free}, tls = {{ certificate = "/nowhere.pem", key = "/nowhere.pem" }} }}',
    '{all}\nerror("a rule that does not load")',
)


# ---- processes


class Program(Process):
    def __init__(self, program, *arguments):
        super().__init__(program, *arguments)
        self.command[1] = os.path.join(HERE, program)
        self.name = program

    def __str__(self):
        return self.name


class Peer(Destination):
    def __init__(self, name, folder, gateway_port, *tls):
        super().__init__(name, folder)
        self.command = [sys.executable, os.path.join(HERE, "soak_peer.py"), name.upper(), str(self.port), self.record, str(gateway_port), *tls]


class Source(Program):
    """A sender that may be killed: each life of it sends other instances."""

    def __init__(self, route, folder, port, seed, **who):
        self.route, self.lives = route, 0
        self.record = os.path.join(folder, f"sender-{route.name}")
        self.seed = seed
        super().__init__("soak_sender.py", port, route.name, self.record, seed, LANES, SENDER_PAUSE, *(f"{key}={value}" for key, value in who.items()))

    def start(self):
        self.lives += 1
        self.command[5] = f"{self.seed}.{self.lives}"
        self.launch(stdin=world.subprocess.DEVNULL)


class Soaked(Crashing):
    """Its log may have hundreds of megabytes."""

    def log(self):
        with open(self.log_path, "rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - (4 << 20)))
            return f.read().decode(errors="replace")

    def lines_with(self, words):
        with open(self.log_path, errors="replace") as f:
            return [line.rstrip() for line in f if any(word in line for word in words)]


class Files(threading.Thread):
    """Takes what the folder node has written, writes it down as a destination would, and deletes it."""

    def __init__(self, folder, record):
        super().__init__(daemon=True)
        self.folder, self.record, self.over = folder, record, threading.Event()
        os.makedirs(folder, exist_ok=True)
        open(record, "a").close()

    def run(self):
        while not self.over.wait(0.5):
            self.collect()
        self.collect()

    def collect(self):
        with open(self.record, "a") as record:
            for name in os.listdir(self.folder):
                if name.endswith(".dcm"):
                    path = os.path.join(self.folder, name)
                    one = dicom.read_file(path)
                    record.write(f"{one.uid} {hashlib.sha256(one.data).hexdigest()} taken\n")
                    os.unlink(path)

    def end(self):
        self.over.set()
        self.join()


# ---- the comparison


class Soaking(Ledger):
    """Of senders, destinations, and the clients' record."""

    def __init__(self, sources, records, clients):
        self.steps_taken, self.moved = {}, 0  # instance -> statuses at "s"
        self.steps, self.did, self.committed = {}, {}, set()
        super().__init__(sources, records)
        self._read_clients(clients)
        self.viewed = sum(sum(times.values()) for times in self.arrived.pop("v").values())  # the same ones over and over, sent by archives

    def _take(self, name, first, second, third):
        if first == "step":
            self.steps_taken.setdefault(second, []).append(third)
        else:
            super()._take(name, first, second, third)

    def _read_clients(self, path):
        with contextlib.suppress(FileNotFoundError), open(path) as f:
            for line in whole_lines(f):
                kind, *words = line.split()
                if kind == "did":
                    self.did[tuple(words)] = self.did.get(tuple(words), 0) + 1
                elif kind == "moved":
                    self.moved += int(words[0])
                elif kind == "step":
                    self.steps.setdefault(words[0], []).append(words[1])
                elif kind == "committed":
                    self.committed.add(words[0])
                else:
                    self.faults.append(f"client: {line[2:].rstrip()}")

    def lost(self):
        return [(uid, "/".join(sorted(place))) for uid in self.acknowledged for place in self.sent[uid][0].places
                if not any(uid in self.arrived[name] for name in place)]

    def steps_lost(self):
        """Acknowledged procedure steps that are not there, or in another order. One that was lost on the way may be there twice."""
        out = []
        for uid, statuses in self.steps.items():
            taken = iter(self.steps_taken.get(uid, []))
            if not all(status in taken for status in statuses):
                out.append((uid, statuses, self.steps_taken.get(uid, [])))
        return out

    def wrongly_committed(self):
        return [uid for uid in self.committed if uid not in self.arrived["a"]]


# ---- all of it


class Scene(World):
    def __init__(self, seed):
        super().__init__(seed, routes=ROUTES)
        for one in self.destinations.values():
            one.release()
        self.port, self.tls_port, self.closed_port, self.extra_port, modality = (free_port() for _ in range(5))
        self.guard = Guard(self.folder, self.random)
        own, peer, good, self.ca = self.guard.servers[0], self.guard.peer, self.guard.good, self.guard.pki.ca
        self.listen = [{"port": self.port, "address": "127.0.0.1"},
                       {"port": self.tls_port, "address": "127.0.0.1", "tls": {"certificate": own.certificate, "key": own.key}},
                       {"port": self.closed_port, "address": "127.0.0.1", "tls": self.guard.keys()}]
        # Who sends to another port than the plain one, or has to say who it is: title -> (port, arguments of soak_sender.py)
        self.special = {"SECURE": (self.tls_port, {"ca": self.ca}),
                        "CERTIFIED": (self.closed_port, {"ca": self.ca, "certificate": good.certificate, "key": good.key}),
                        "IDENTIFIED": (self.port, {"user": f"{USER}:{PASSCODE}"})}
        self.destinations = {name: Peer(name, self.folder, self.port) for name in STORES + "v" if name != "t"}
        self.destinations["t"] = Peer("t", self.folder, self.port, peer.certificate, peer.key)
        self.destinations.update({name: Peer(name, self.folder, self.port) for name in ARCHIVES})
        self.ports = {name: one.port for name, one in self.destinations.items()} | {MODALITY: modality}
        self.clients = Program("soak_clients.py", self.port, self.folder, seed, 4, PAUSE, modality)
        self.strangers = Program("soak_strangers.py", self.port, self.tls_port, self.folder, seed, 6, PAUSE)
        self.refused = Program("soak_refused.py", self.port, self.closed_port, self.folder, seed, 2, 2 * PAUSE, self.ca)
        self.others = (self.strangers, self.refused, self.clients)  # beside the sources, in the order in which they end
        self.settings["spool"].update(path=os.path.join(self.folder, "spool"))
        self.settings.update(
            memory="64MiB", window="512KiB", header_max="2MiB", history="1m", uid_key="a key of the soak, long enough",
            timeouts={"connect": "1s", "association": "3s", "progress": "3s", "response": "3s", "lag": "1s", "linger": "1s",
                      "retrieve": "10s", "commit": "30s"})
        self.reloads = self.refused_reloads = self.killed_senders = 0
        self.files = Files(os.path.join(self.folder, "files"), os.path.join(self.folder, "sink-f"))

    def __exit__(self, kind, *rest):
        for one in self.others:
            one.end()
        super().__exit__(kind, *rest)

    def keep_logs(self):
        """Whole."""
        path = os.path.join(world.kept or "/tmp", f"hilum-soak-{self.seed}.log")
        shutil.copy(self.gateway.log_path, path)
        world.say(f"the gateway's log: {path}")

    # ---- configurations

    def nodes(self, is_limited):
        more = {"a": {"health": "2s"}, "d": {"max_associations": 1 if is_limited else 8},
                "c": {"max_associations": 2} if is_limited else {"deliveries": 4},
                "t": {"tls": {"ca": self.ca}}, **{name: {"as": {"move": "through us"}} for name in ARCHIVES}}
        if is_limited:
            more["b"] = {"rate": {"instances": 20, "bytes": "4MiB"}}
        titles = {"v": "VIEW", MODALITY: "MODALITY"}
        out = []
        for name, port in self.ports.items():
            keys = {"ae_title": titles.get(name, name.upper()), **more.get(name, {})}
            out.append(node(name, port, **keys))
        return out + [declare("node", "f", {"folder": os.path.join(self.folder, "files", "{SOPInstanceUID}.dcm")}),
                      declare("pool", "pool", {"members": ["b", "d"], "health": "3s"}),
                      declare("pool", "archives", {"members": list(ARCHIVES), "health": "3s"})]

    def storage(self, is_changed):
        changes = {"MORPHED": {"keys": {"morph": MORPHS[is_changed]}}, "CHANGING": {"copy": ("d",) if is_changed else ("b",)}}
        routes = [dataclasses.replace(one, **changes.get(one.name, {})) for one in ROUTES]
        return [one.declaration() for one in (reversed(routes) if is_changed else routes)]

    @staticmethod
    def services():
        def service(name, **keys):
            return f"route {lua(name)} {lua({'when': {'service': name}, **keys})}"
        archives = ["archives"]
        return [service("find", to=archives), service("move", to=archives), service("get", to=archives), service("echo", to=["a"]),
                service("mpps", to=["s"], **QUEUES), service("commit")]

    def declarations(self, kind="plain"):
        is_changed = kind == "rules"
        out = self.nodes(kind == "limits") + self.storage(is_changed) + self.services() + callers()
        if is_changed:
            out += ['route "never" { when = { Modality = "XX", function (ds) return ds.PatientID == "NOBODY" end }, to = { "a" } }',
                    f'listen "127.0.0.1:{self.extra_port}"',
                    'caller "all" { calling = "*", allow = { "127.0.0.0/8" } }']
        if kind == "limits":
            out += ['caller "copies" { calling = "COPIES", max_associations = 1, rate = { instances = 10, bytes = "2MiB" } }']
        return out + ([] if is_changed else ['caller "all" { calling = "*" }'])

    def limits(self, kind):
        more = {"max_associations": 60, "window": "256KiB", "max_pdu": "32KiB"} if kind == "limits" else {}
        return {**self.gateway.settings, "max_associations": 4096, "window": "512KiB", "max_pdu": "1MiB", **more}

    def write(self, kind):
        gateway = self.gateway
        gateway.settings = self.limits(kind)
        gateway.write(*self.declarations(kind))
        if kind == "invalid":
            with open(gateway.config) as f:
                whole = f.read()
            with open(gateway.config, "w") as f:
                f.write(self.random.choice(INVALID).format(all=whole, free=free_port()))

    def reload(self, kind):
        """By SIGHUP, and until the log says how it went. "renewed": with other certificates; "spoiled": one of their files cannot be used."""
        is_refused = kind in ("invalid", "spoiled")
        said = REFUSED if is_refused else "reloaded"
        before, problems = self.log.events[said], len(self.log.errors)
        self.write(kind)
        in_force = self.guard.renew() if kind == "renewed" else self.guard.install()
        spoiled = self.guard.spoil() if kind == "spoiled" else ""
        self.gateway.signal(signal.SIGHUP)
        wait_until(lambda: self.log.events[said] > before or not self.gateway.alive(), f"the log says {said!r}", 20)
        self.assert_alive()
        self.reloads += not is_refused
        self.refused_reloads += is_refused
        if in_force:
            in_force()
        new = [line for name, line in list(self.log.errors)[problems:] if name == PROBLEM]
        assert not spoiled or any(spoiled in line for line in new), f"{spoiled} was spoiled, and the log says {new}"

    # ---- start and end

    def assert_alive(self):
        assert self.gateway.alive(), f"the gateway ended by itself, with {self.gateway.process.returncode}:\n{self.gateway.log()[-8000:]}"

    def start(self):
        for one in self.destinations.values():
            one.start()
        self.starts += 1
        self.gateway = Soaked(*self.declarations(), listen=self.listen, port=self.port, **self.settings)
        self.gateways.append(self.gateway)

    def start_load(self):
        self.files.start()
        for number, route in enumerate(ROUTES):
            if route.name not in OTHERS:
                port, who = self.special.get(route.name, (self.port, {}))
                self.sources.append(Source(route, self.folder, port, f"{self.seed}.{number}", **who))
                self.sources[-1].start()
        for one in self.others:
            one.launch(stdin=world.subprocess.DEVNULL)

    def stop_load(self):
        """Senders have their last answers soon; clients wait for what storage commitment owes them."""
        for one in self.others:
            one.process.send_signal(signal.SIGTERM)
        self.stop_sources(90)
        for one in self.others:
            wait_until(lambda one=one: one.process.poll() is not None, f"{one} ends", 180)
            one.end()

    def kill_sender(self):
        one = self.random.choice(self.sources)
        one.end()
        one.start()
        self.killed_senders += 1

    def ledger(self, more=None):
        records = {name: [one.record] for name, one in self.destinations.items()} | {"f": [self.files.record]}
        others = [Source(route, self.folder, 0, "") for route in ROUTES if route.name in OTHERS]
        return Soaking(self.sources + others, records, os.path.join(self.folder, "clients"))

    def poll_peers(self):
        """Whoever has no misfortune forgets what it remembers of the past."""
        for name, one in self.destinations.items():
            if name not in self.befallen:
                one.set()

    # ---- misfortunes

    def misfortune(self, name):
        """Archives only die and stand still: what else they do is for stores."""
        if name not in ARCHIVES:
            return super().misfortune(name)
        self.misfortunes += 1
        one = self.destinations[name]
        if self.random.random() < 0.5:
            one.end()
            return one.start
        one.freeze()
        return one.thaw
