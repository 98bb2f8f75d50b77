"""Starts the gateway and its peers for a test, and holds the gateway to its word when the test is over.

    class Example(Case):
        def test_an_instance_arrives(self):
            sink = self.sink()
            gateway = self.gateway(node("a", sink), route("all", to="a"))
            sender = self.sender(gateway)
            ...

At the end of a test each gateway gets SIGTERM and must exit with 0, in time, without a report of a sanitizer or an assertion;
each sink must have seen nothing against the standard. The environment: HILUM, the program (build/hilum); HILUM_TEST_SLOW, a factor
for every time-out; HILUM_SANITIZE, set when the program carries sanitizers: then memory is not measured.
"""

import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

import dicom
from dicom import CT, EXPLICIT, IMPLICIT
from peer_client import Client
from peer_service import Service
from sender import Sender
from sink import Sink

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HILUM = os.path.abspath(os.environ.get("HILUM", os.path.join(ROOT, "build", "hilum")))
SANITIZED = bool(os.environ.get("HILUM_SANITIZE"))
SLOW = float(os.environ.get("HILUM_TEST_SLOW", "4" if SANITIZED else "1"))
SAMPLES = "/usr/lib/python3/dist-packages/pydicom/data/test_files"
REPORTS = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|[Aa]ssertion|SUMMARY: \w+Sanitizer")

_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))  # the gateway inherits it


# ---- configuration


class Lua(str):
    """Lua as it stands: a function, or what Python has no value for."""


def lua(value):
    """A Python value as a Lua expression."""
    if isinstance(value, Lua):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {lua(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "{ " + ", ".join(lua(item) for item in value) + " }"
    return json.dumps(value)


def declare(kind, name, keys):
    return f"{kind} {lua(name)} {lua(keys)}"


def node(name, peer, **keys):
    """An AE node; `peer` is a Sink, anything else with a port, or a port."""
    port = getattr(peer, "port", peer)
    return declare("node", name, {"host": "127.0.0.1", "port": port, "ae_title": name.upper(), **keys})


def folder(name, pattern):
    return declare("node", name, {"folder": pattern})


def route(name, to, **keys):
    """A route; `when=dict(...)` and other keys as in the configuration. What fails is the sender's failure, unless on_failure says otherwise."""
    return declare("route", name, {"to": [to] if isinstance(to, str) else to, "on_failure": "fail", **keys})


def services(to, *names, **keys):
    """A route for each of these services."""
    when = keys.pop("when", {})
    return [route(f"all {name}", to, when={"service": name, **when}, **keys) for name in names]


def pool(name, members, **keys):
    return declare("pool", name, {"members": list(members), **keys})


# ---- waiting and looking


def wait_until(condition, what="it", seconds=10):
    """Waits for the condition's value to become true and returns it."""
    limit = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise AssertionError(f"{what}: not after {seconds * SLOW:.0f} s")
        time.sleep(0.005)


GIVEN_PORTS = set()


def free_port():
    """Below the range that the system gives to connections: one of those cannot take it before its owner listens. Each once: who was given one
    may not listen yet."""
    while True:
        port = random.randrange(12000, 32000)
        if port in GIVEN_PORTS:
            continue
        GIVEN_PORTS.add(port)
        with socket.socket() as s:
            try:
                s.bind(("0.0.0.0", port))
                return port
            except OSError:
                pass


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def files_under(path):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(path) for name in names)


def samples():
    """Every file of pydicom's package that has meta information, as instances."""
    read = (dicom.read_file(path) for path in files_under(SAMPLES))
    return [instance for instance in read if instance is not None]


def pairs_of(instances):
    """The presentation contexts that these need: one a pair of class and transfer syntax."""
    return [(sop_class, [transfer]) for sop_class, transfer in sorted({(i.sop_class, i.transfer) for i in instances})]


def same_data(sent, got):
    """Byte for byte; an odd data set may have gained one NUL, since fragments are even."""
    return got == sent or (len(sent) % 2 == 1 and got == sent + b"\0")


# ---- the gateway


class Gateway:
    """A running gateway in a temporary folder ("$FOLDER" in declarations). Settings are the keys of `gateway { }`."""

    def __init__(self, *declarations, listen=None, environment=None, log_format="json", port=None, **settings):
        self.folder = tempfile.mkdtemp(prefix="hilum-test-")
        os.symlink(os.path.join(ROOT, "rules"), os.path.join(self.folder, "rules"))  # for `require`
        self.port = port or free_port()
        self.listen = listen if listen is not None else [f'listen "127.0.0.1:{self.port}"']
        self.listen = [l if isinstance(l, str) else f"listen {lua({'port': self.port, **l})}" for l in self.listen]
        self.settings = {"ae_title": "HILUM", "workers": 2, "spool": self.folder + "/spool", "admin": False,
                         "log": {"level": "debug", "format": log_format, "patient": True}, **settings}
        self.config = os.path.join(self.folder, "hilum.lua")
        self.write(*declarations)
        if "user" in settings:
            shutil.chown(self.folder, settings["user"])
        self.log_path = os.path.join(self.folder, "log")
        self.environment = {**os.environ, **(environment or {})}
        self.start()

    def start(self):
        """Again, after it has ended: with the folder and the spool as they are. The log begins anew."""
        self.status = None
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([HILUM, "run", self.config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.folder, env=self.environment)
        try:
            wait_until(self._is_up, "the gateway listens", 10)
        except AssertionError:
            self.kill()
            raise AssertionError("the gateway does not listen:\n" + self.log()) from None

    def write(self, *declarations):
        """Writes the configuration: what SIGHUP will read."""
        lines = [f"gateway {lua(self.settings)}", *self.listen, *declarations]
        with open(self.config, "w") as f:
            f.write("\n".join(line.replace("$FOLDER", self.folder) for line in lines) + "\n")

    def _is_up(self):
        assert self.process.poll() is None, "it has ended"
        if self.settings["log"]["level"] in ("error", "warn"):
            return is_listening(self.port)
        return self.log().count("listening") >= len(self.listen)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def events(self, name=None):
        """The log's lines as dictionaries; those of one event. A last one that is being written is none yet."""
        lines = [json.loads(line) for line in self.log().split("\n")[:-1] if line.startswith("{")]
        return [line for line in lines if name is None or line.get("event") == name]

    def memory(self, which="VmHWM"):
        """Resident bytes; the highest so far by default."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(rf"{which}:\s+(\d+) kB", f.read())[1]) * 1024

    def signal(self, number):
        self.process.send_signal(number)

    def alive(self):
        return self.process.poll() is None

    def stop(self, seconds=10):
        """SIGTERM; returns the complaints, a list that should be empty."""
        complaints = []
        if self.status is None:
            if self.process.poll() is not None:
                complaints.append(f"the gateway had ended before it was told to, with {self.process.returncode}")
            else:
                self.process.send_signal(signal.SIGTERM)
            self.status = self.wait_exit(seconds)
            if self.status is None:
                self.kill()
                complaints.append(f"the gateway did not end within {seconds * SLOW:.0f} s of SIGTERM")
            elif self.status != 0 and not complaints:
                complaints.append(f"the gateway exited with {self.status}")
        report = REPORTS.search(self.log())
        if report:
            complaints.append(f"the gateway reported: {report[0]}")
        return complaints

    def wait_exit(self, seconds=10):
        try:
            self.status = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            return None
        return self.status

    def kill(self):
        self.process.kill()
        self.status = self.process.wait()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def hilum(*arguments, seconds=30, **more):
    """Runs a command of the program to its end: returncode, stdout and stderr as text."""
    return subprocess.run([HILUM, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=seconds * SLOW, **more)


# ---- peers from Debian


class Peer:
    """A server program on a free port, with a folder of its own."""

    def __init__(self, name, command, environment=None, seconds=20):
        self.name, self.folder = name, tempfile.mkdtemp(prefix=f"hilum-{name}-")
        self.port = free_port()
        self.output = os.path.join(self.folder, "output")
        self.received = os.path.join(self.folder, "received")
        os.mkdir(self.received)
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen(command(self), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            cwd=self.folder, env={**os.environ, **(environment or {})})
        try:
            wait_until(lambda: self.process.poll() is not None or is_listening(self.port), f"{name} listens", seconds)
        except AssertionError:
            self.stop()
            raise

    def instances(self):
        return [i for i in map(dicom.read_file, files_under(self.received)) if i is not None]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def need(tool):
    """The tool's path; without it the test is skipped, which counts as a failure in CI."""
    path = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise unittest.SkipTest(f"{tool} is missing")
    return path


# DCMTK leaves Nagle's algorithm on, which costs 44 ms a message; this turns it off. For runs that are not what is tested.
QUICK = {"TCP_NODELAY": "1"}


def storescp(*options, title="STORESCP", environment=None):
    """DCMTK's storage server: writes what came, bit by bit, and does not choke on unknown classes."""
    program = need("storescp")
    return Peer("storescp", lambda p: [program, "+B", "-pm", "-aet", title, "-od", p.received, *options, str(p.port)],
                environment)


def dcmqrscp(title="DCMQRSCP", environment=None, hosts=None):
    """An archive; `hosts` are where it can move to: {title: port}."""
    program = need("dcmqrscp")
    known = "".join(f"{name.lower()} = ({name}, 127.0.0.1, {port})\n" for name, port in (hosts or {}).items())

    def command(peer):
        config = os.path.join(peer.folder, "dcmqrscp.cfg")
        with open(config, "w") as f:
            f.write(f"NetworkTCPPort = {peer.port}\nMaxPDUSize = 16384\nMaxAssociations = 16\nHostTable BEGIN\n"
                    f"{known}HostTable END\nVendorTable BEGIN\nVendorTable END\nAETable BEGIN\n"
                    f"{title} {peer.received} RW (1000, 1024mb) ANY\nAETable END\n")
        return [program, "-c", config]
    return Peer("dcmqrscp", command, environment)


class Orthanc(Peer):
    """`settings` are keys of its configuration, over those that a test needs in any case."""

    def __init__(self, title="ORTHANC", environment=None, **settings):
        program = need("Orthanc")
        self.http = free_port()

        def command(peer):
            config = os.path.join(peer.folder, "orthanc.json")
            with open(config, "w") as f:
                json.dump({"StorageDirectory": peer.received, "IndexDirectory": peer.received, "DicomPort": peer.port,
                           "DicomAet": title, "HttpPort": self.http, "RemoteAccessAllowed": False, "Plugins": [],
                           "AuthenticationEnabled": False, "DicomAlwaysAllowStore": True, "Name": "test",
                           "UnknownSopClassAccepted": True, "OverwriteInstances": True, **settings}, f)
            return [program, config]
        super().__init__("orthanc", command, environment)
        wait_until(lambda: is_listening(self.http), "Orthanc's REST interface listens", 60)

    def get(self, path, body=None, method=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", body, method=method)
        with urllib.request.urlopen(request, timeout=20 * SLOW) as answer:
            return answer.read()

    def send_all_to(self, port):
        """Sends every instance it holds, as a modality would."""
        self.get("/modalities/peer", json.dumps(["PEER", "127.0.0.1", port]).encode(), "PUT")
        self.get("/modalities/peer/store", json.dumps(json.loads(self.get("/instances"))).encode())

    def files(self):
        """{SOP Instance UID: the file as Orthanc gives it out}"""
        out = {}
        for one in json.loads(self.get("/instances?expand")):
            out[one["MainDicomTags"]["SOPInstanceUID"]] = self.get(f"/instances/{one['ID']}/file")
        return out


def tool(name, *arguments, seconds=60, check=True, environment=None):
    """Runs a tool to its end and returns its CompletedProcess, output as text."""
    done = subprocess.run([need(name), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=seconds * SLOW,
                          env={**os.environ, **(environment or {})})
    if check:
        assert done.returncode == 0, f"{name} exited with {done.returncode}:\n{done.stdout}"
    return done


# ---- test cases


class Case(unittest.TestCase):
    """Everything a test starts is ended with it, newest first."""

    environment = {}  # of the gateways
    maxDiff = 2000

    def gateway(self, *declarations, **settings):
        gateway = Gateway(*declarations, environment=self.environment, **settings)
        self.addCleanup(self._stop_gateway, gateway)
        return gateway

    def _stop_gateway(self, gateway):
        complaints = gateway.stop()
        self.logs = getattr(self, "logs", "") + gateway.log()
        gateway.remove()
        self.assertEqual(complaints, [])

    def sink(self, **script):
        sink = Sink(**script)
        self.addCleanup(self._stop_sink, sink)
        return sink

    def service(self, scripts=None, **settings):
        """A scripted SCP of every service (peer_service.py)."""
        service = Service(scripts, **settings)
        self.addCleanup(self._stop_sink, service)
        return service

    def client(self, gateway, classes, transfers=(EXPLICIT, IMPLICIT), seconds=20, **request):
        """An associated SCU of these classes."""
        pairs = [(one, list(transfers)) for one in classes]
        client = Client(getattr(gateway, "port", gateway), pairs, seconds=seconds * SLOW, **request)
        self.addCleanup(client.close)
        return client

    def _stop_sink(self, sink):
        sink.stop()
        self.assertEqual(sink.faults, [], "what the gateway sent breaks the standard")

    def peer(self, starter, *arguments, **keys):
        peer = starter(*arguments, **keys)
        self.addCleanup(peer.stop)
        return peer

    def sender(self, gateway, pairs=((CT, [EXPLICIT]), (CT, [IMPLICIT])), seconds=20, **request):
        """An associated sender of CT images, unless told otherwise."""
        sender = Sender(getattr(gateway, "port", gateway), pairs, seconds=seconds * SLOW, **request)
        self.addCleanup(sender.close)
        return sender

    def simple(self, sink=None, settings=None, **script):
        """The usual: one sink, one gateway that sends it everything. Returns (gateway, sink)."""
        sink = sink or self.sink(**script)
        return self.gateway(node("a", sink), route("all", to="a"), **(settings or {})), sink

    def assert_stored(self, answer, status=0):
        self.assertEqual(answer.status, status, str(answer))

    def assert_still_serves(self, gateway, sink):
        """Another sender is served as if nothing had happened."""
        instance = dicom.make_instance(5000)
        with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW) as sender:
            self.assert_stored(sender.store(instance))
        self.assertEqual(sink.messages[-1].data, instance.data)

    def temporary_folder(self):
        path = tempfile.mkdtemp(prefix="hilum-files-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path
