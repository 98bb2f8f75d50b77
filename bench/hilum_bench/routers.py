"""What stands between load and sinks. Each kind knows how to be configured, started, and asked for its processes.

Where a router sends to follows from where it is called: it offers one way a *destination*, a name with one or more
sinks behind it (docs/bench.md). Ways differ by port, where a router has several; Orthanc and DCMTK have one port and
look at the called AE title.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from . import machine
from .pki import NAME
from .process import Failed, Process, accepts, processors, wait_until
from .workloads import TLS


class Router:
    """name: in rows and results; variant: how it differs from others of its kind; pids: whose processor time counts."""

    store_and_forward = False  # it answers before it has sent on
    pinned = True              # to one processor
    changes_data = False       # so that as many bytes as were sent need not arrive
    is_slower_later = False    # what it has done before weighs on what it does: it is started anew for each sample
    works_on = False           # a little, after the last answer: that belongs to what an instance costs
    speaks_tls = False
    sockets = 2                # that it holds for an idle association
    program = None             # of machine.versions()
    pki = None                 # set before it is started

    def __init__(self, name, **variant):
        self.name, self.variant = name, variant
        self.process, self.pids = None, []

    def absent(self):
        """Why it cannot take part; None if it can."""
        if self.program and not machine.versions()[self.program]:
            return f"{self.program} is not installed"
        return None

    def serves(self, destination, sinks):
        """Whether it has a way to this destination."""
        return len(sinks) == 1 and self.may_secure(destination)

    def may_secure(self, destination):
        """TLS is a matter of those that are as they come."""
        return destination not in TLS or (self.speaks_tls and not self.variant)

    def start(self, folder, disk, ports, destinations, connections=4000):
        """`folder` is in memory, `disk` is not. `destinations` is {name: [ports of its sinks]}.

        `connections` is the most it will have at a time."""
        self.folder, self.disk = os.path.join(folder, self.name), disk
        os.makedirs(self.folder, exist_ok=True)
        self.ports = self.assign(ports, destinations)
        self.connections = connections
        self.process = Process(self.name, self.command(destinations), os.path.join(self.folder, "log"),
                               processors()[1] if self.pinned else None)
        self.pids = [self.process.pid]
        self.process.wait_listening(*set(self.ports.values()), seconds=60)

    def assign(self, ports, destinations):
        """{destination: the port to call for it}"""
        return {name: ports.take() for name in destinations}

    def target(self, destination):
        """How load calls it for this destination: (port, called AE title)."""
        return self.ports[destination], "SINK"

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        return path

    def alive(self):
        return self.process is None or self.process.alive()

    def end(self):
        if self.process:
            self.process.end()


class Direct(Router):
    """No router: load calls the sink."""

    def start(self, folder, disk, ports, destinations, connections=4000):
        self.ports = {name: sinks[0] for name, sinks in destinations.items()}


class HAProxy(Router):
    """TCP mode, one thread. variant: bufsize, pipesize (bytes), splice."""

    program = "haproxy"
    speaks_tls = True

    def section(self, name, sinks):
        shown, is_out = TLS.get(name, ("", False))
        secured = f" ssl crt {self.pki.chain[shown]}" if shown else ""
        trusts = f" ssl verify required ca-file {self.pki.ca} verifyhost {NAME} sni str({NAME})" if is_out else ""
        return f"listen {name}\n    bind 127.0.0.1:{self.ports[name]}{secured}\n    server sink 127.0.0.1:{sinks[0]}{trusts}\n"

    def command(self, destinations):
        tuned = [key for key in ("bufsize", "pipesize") if key in self.variant]
        tune = "".join(f"    tune.{key} {self.variant[key]}\n" for key in tuned)
        splice = "    option splice-request\n    option splice-response\n" if self.variant.get("splice") else ""
        sections = "".join(self.section(name, sinks) for name, sinks in destinations.items())
        config = self.write("haproxy.cfg", f"""global
    nbthread 1
    maxconn {self.connections}
{tune}defaults
    mode tcp
    timeout connect 10s
    timeout client 10m
    timeout server 10m
    maxconn {self.connections}
{splice}{sections}""")
        return [machine.find("haproxy"), "-db", "-f", config]


class Nginx(Router):
    """The stream module, one worker. variant: buffer (a size as nginx writes it)."""

    program = "nginx"
    speaks_tls = True

    def server(self, name, sinks):
        shown, is_out = TLS.get(name, ("", False))
        listens = f"listen 127.0.0.1:{self.ports[name]}{' ssl' if shown else ''};"
        if shown:
            listens += (f" ssl_protocols TLSv1.3; ssl_certificate {self.pki.certificate[shown]};"
                        f" ssl_certificate_key {self.pki.key[shown]};")
        passes = f"proxy_pass 127.0.0.1:{sinks[0]};"
        if is_out:
            passes += (f" proxy_ssl on; proxy_ssl_protocols TLSv1.3; proxy_ssl_verify on; proxy_ssl_trusted_certificate {self.pki.ca};"
                       f" proxy_ssl_name {NAME}; proxy_ssl_server_name on;")
        return f"    server {{ {listens} {passes} }}\n"

    def command(self, destinations):
        module = machine.nginx_stream()
        load = f"load_module {module};\n" if module else ""
        user = "user root;\n" if os.geteuid() == 0 else ""
        buffer = f"    proxy_buffer_size {self.variant['buffer']};\n" if "buffer" in self.variant else ""
        servers = "".join(self.server(name, sinks) for name, sinks in destinations.items())
        config = self.write("nginx.conf", f"""{load}{user}daemon off;
worker_processes 1;
pid {self.folder}/pid;
error_log {self.folder}/error.log warn;
events {{ worker_connections {2 * self.connections + 50}; }}
stream {{
{buffer}{servers}}}
""")
        return [machine.find("nginx"), "-e", f"{self.folder}/error.log", "-p", self.folder, "-c", config]


# What a route does besides: how it reads in the configuration.
RULES = {
    "modality": ('Modality = "OT"', ""),
    "tag": ("", 'morph = function (ds) ds.PatientID = "SITE7-1" end'),
    "deidentify": ("", 'morph = require "deidentify" {}'),
}


class Hilum(Router):
    """One worker. variant: log (a level), zero_copy, rule (of RULES); queues (on_failure = "queue", with a spool on the
    disk), history, journal."""

    program = "hilum"
    speaks_tls = True
    sockets = 1

    @property
    def works_on(self):
        return bool(self.variant.get("queues"))

    @property
    def changes_data(self):
        return bool(RULES.get(self.variant.get("rule"), ("", ""))[1])

    def absent(self):
        if not os.access(machine.HILUM, os.X_OK):
            return f"{machine.HILUM} is not built"
        if "zero_copy" in self.variant and not hilum_knows_zero_copy():
            return "this version has no zero_copy"
        return None

    def serves(self, destination, sinks):
        return self.may_secure(destination)

    def gateway(self):
        """Its settings, in Lua."""
        spool = f'"{self.disk}/spool"' if self.variant.get("queues") else "false"
        settings = {"workers": 1, "uid_key": '"benchmark"', "spool": spool,
                    "log": f'{{ level = "{self.variant.get("log", "warn")}" }}',
                    **{key: self.variant[key] for key in ("zero_copy", "history", "journal") if key in self.variant}}
        if self.connections > 4000:  # 4096 by itself
            settings["max_associations"] = self.connections + 500
        return "gateway { " + ", ".join(f"{key} = {value}" for key, value in settings.items()) + " }"

    def command(self, destinations):
        if self.variant.get("queues"):
            os.makedirs(self.disk, exist_ok=True)
        lines = [self.gateway()]
        nodes, secured = {}, set()
        condition, morph = RULES.get(self.variant.get("rule"), ("", ""))
        if "rule" in self.variant and not os.path.exists(os.path.join(self.folder, "rules")):
            os.symlink(os.path.join(machine.ROOT, "rules"), os.path.join(self.folder, "rules"))
        for name, sinks in destinations.items():
            shown, is_out = TLS.get(name, ("", False))
            tls = f', tls = {{ certificate = "{self.pki.certificate[shown]}", key = "{self.pki.key[shown]}" }}' if shown else ""
            lines.append(f'listen {{ address = "127.0.0.1", port = {self.ports[name]}, name = "{name}"{tls} }}')
            for port in sinks:
                nodes.setdefault(port, f"sink-{port}")
            if is_out:
                secured.update(sinks)
            to = ", ".join(f'"{nodes[port]}"' for port in sinks)
            lines.append(f'route "{name}" {{ when = {{ listener = "{name}", {condition} }}, to = {{ {to} }}, {morph} }}')
            if len(sinks) == 1 and not condition:
                lines.append(f'route "find-{name}" {{ when = {{ listener = "{name}", service = "find" }}, to = {{ {to} }} }}')
        tls = f', tls = {{ ca = "{self.pki.ca}", name = "{NAME}" }}'
        lines += [f'node "{node}" {{ host = "127.0.0.1", port = {port}, ae_title = "SINK"{tls if port in secured else ""} }}'
                  for port, node in nodes.items()]
        return [machine.HILUM, "run", self.write("hilum.lua", "\n".join(lines) + "\n")]

    def end(self):
        if self.process:
            status = self.process.end()
            if status != 0:
                raise Failed(f"{self.name} exited with {status}: {self.process.said()}")


def hilum_knows_zero_copy():
    path = "/dev/stdin"
    config = ('gateway { zero_copy = true }\nlisten "0"\nnode "a" { host = "127.0.0.1", port = 1, ae_title = "A" }\n'
              'route "a" { to = "a" }\n')
    done = subprocess.run([machine.HILUM, "check", path], input=config, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    return done.returncode == 0


class Enqueue(Hilum):
    """`copy`, and nothing else: durable before it is answered. For each sample it is started anew, by begin(), with a spool
    of its own on the disk. Its threads may use both processors. variant: delivers (the node takes everything meanwhile;
    else nobody is there), entries (that are in the spool already; that one stays from sample to sample)."""

    pinned = False

    def serves(self, destination, sinks):
        return destination == "plain"

    def start(self, folder, disk, ports, destinations, connections=4000):
        self.folder, self.disk = os.path.join(folder, self.name), os.path.join(disk, self.name)
        os.makedirs(self.folder, exist_ok=True)
        os.makedirs(self.disk, exist_ok=True)
        self.ports, self.connections = self.assign(ports, destinations), connections
        self.node = destinations["plain"][0] if self.variant.get("delivers") else ports.take()
        self.spool = None
        self.filled = {}

    def begin(self):
        """Starts it; the seconds until it listens."""
        if "entries" not in self.variant:
            self.spool = tempfile.mkdtemp(prefix="spool-", dir=self.disk)
        elif self.spool is None:
            self.spool = os.path.join(self.disk, "filled")
            self.filled = fill(self.spool, self.variant["entries"])
        port = self.ports["plain"]
        self.config = self.write("hilum.lua", f"""gateway {{ workers = 1, spool = "{self.spool}", log = {{ level = "info" }} }}
listen {{ address = "127.0.0.1", port = {port} }}
node "away" {{ host = "127.0.0.1", port = {self.node}, ae_title = "SINK" }}
route "all" {{ copy = {{ "away" }} }}
""")
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "wb"):
            pass
        start = time.monotonic()
        self.process = Process(self.name, [machine.HILUM, "run", self.config], self.log)
        self.pids = [self.process.pid]
        wait_until(lambda: accepts(port) or not self.process.alive(), f"{self.name} listens", 60, 0.001)
        if not self.process.alive():
            raise Failed(f"{self.name} ended: {self.process.said()}")
        return time.monotonic() - start

    def list(self):
        """The seconds that a page of the queue takes, as an operator gets it."""
        start = time.monotonic()
        done = subprocess.run([machine.HILUM, "queue", self.config, "list", "--limit", "50"], capture_output=True,
                              stdin=subprocess.DEVNULL, text=True, check=False)
        seconds = time.monotonic() - start
        if done.returncode != 0:
            raise Failed(f"hilum queue list: {done.stderr.strip()}")
        return seconds

    def finish(self):
        """Ends it. What its log has written: {"groups", "syncs", "bytes"}"""
        Hilum.end(self)
        self.process, self.pids = None, []
        found = re.search(r"log is closed.* groups=(\d+) syncs=(\d+) bytes=(\d+)", machine.text_of(self.log))
        if not found:
            raise Failed(f"{self.name} does not say what its log has written: {machine.text_of(self.log)[-2000:]}")
        return dict(zip(("groups", "syncs", "bytes"), map(int, found.groups())))

    def clear(self):
        """Gives back what its spool takes, unless it stays."""
        if "entries" not in self.variant:
            shutil.rmtree(self.spool, ignore_errors=True)
        os.sync()

    def end(self):
        if self.process:
            self.finish()


def fill(spool, entries):
    """A spool with so many entries; what bench/fill says of it."""
    return spoken(machine.FILL, spool, "--entries", str(entries))


def plain_writer(folder, counts):
    """What bench/writer says of the same bytes, groups and syncs in a new folder there."""
    with tempfile.TemporaryDirectory(prefix="writer-", dir=folder) as to:
        return spoken(machine.WRITER, to, *(f"--{name}={value}" for name, value in counts.items()))


def spoken(*command):
    """The JSON that a program prints."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Called(Router):
    """A router with one DICOM port: the called AE title is the destination's name."""

    store_and_forward = True
    pinned = False

    def assign(self, ports, destinations):
        return dict.fromkeys(destinations, ports.take())

    def target(self, destination):
        return self.ports[destination], title(destination)

    def subfolder(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path


def title(destination):
    return destination.upper()


ORTHANC_LUA = """-- Sends on what comes in, and deletes it when it has been sent: what one call asks for are steps of
-- a job, in this order, and a step has only what the one before it has let through.
local DESTINATIONS = {
%s}

function OnStoredInstance(instanceId, tags, metadata, origin)
  if origin["RequestOrigin"] == "DicomProtocol" then
    for _, modality in ipairs(DESTINATIONS[origin["CalledAet"]]) do
      instanceId = SendToModality(instanceId, modality)
    end
    Delete(instanceId)
  end
end
"""


class Orthanc(Called):
    """Auto-routing by Lua. All else at its defaults, but no HTTP and no plugins. variant: disk (for storage).

    What Lua asks for in one go becomes steps of one job, for as long as more comes within 5 s, up to 1000 steps. The
    whole job is written down again at each step, so an instance costs the more the more came before it: from 2 to
    18 ms. Started anew, it begins with a new job.
    """

    program = "orthanc"
    is_slower_later = True

    def serves(self, destination, sinks):
        return self.may_secure(destination)

    def command(self, destinations):
        modalities = {f"sink{port}": ["SINK", "127.0.0.1", port] for sinks in destinations.values() for port in sinks}
        table = "".join(f"  [{json.dumps(title(name))}] = {{ " + ", ".join(f'"sink{port}"' for port in sinks) + " },\n"
                        for name, sinks in destinations.items())
        lua = self.write("route.lua", ORTHANC_LUA % table)
        storage = self.storage = os.path.join(self.disk if self.variant.get("disk") else self.folder, "storage")
        config = self.write("orthanc.json", json.dumps({
            "Name": "bench", "StorageDirectory": storage, "IndexDirectory": storage,
            "DicomPort": next(iter(self.ports.values())), "DicomAet": "ORTHANC", "HttpServerEnabled": False,
            "Plugins": [], "LuaScripts": [lua],
            "DicomModalities": modalities}, indent=2))
        return [machine.find("Orthanc"), config]

    def end(self):
        super().end()
        if self.process:
            shutil.rmtree(self.storage, ignore_errors=True)


class Dcmtk(Called):
    """storescp that executes storescu for each instance. variant: study (for each study: an association of load)."""

    program = "dcmtk"

    def command(self, destinations):
        send = f"{machine.find('storescu')} -aec SINK 127.0.0.1 {destinations['plain'][0]}"
        if self.variant.get("study"):
            how = ["--sort-conc-studies", "S", "--eostudy-timeout", "1",
                   "--exec-on-eostudy", f"{send} +sd #p && rm -r #p"]
        else:
            how = ["--exec-on-reception", f"{send} #p/#f && rm #p/#f"]
        return [machine.find("storescp"), "-od", self.subfolder("received"), *how, str(self.ports["plain"])]

    def serves(self, destination, sinks):
        return destination == "plain"


def all_routers():
    """Every router that rows can name."""
    return [
        Direct("direct"),
        HAProxy("haproxy"),
        HAProxy("haproxy-256k", bufsize=262144),
        HAProxy("haproxy-splice", splice=True),
        HAProxy("haproxy-splice-1m", splice=True, pipesize=1048576),
        Nginx("nginx"),
        Nginx("nginx-256k", buffer="256k"),
        Hilum("hilum"),
        Hilum("hilum-copy", zero_copy="false"),
        Hilum("hilum-splice", zero_copy="true"),
        Hilum("hilum-info", log="info"),
        Hilum("hilum-modality", zero_copy="false", rule="modality"),
        Hilum("hilum-tag", zero_copy="false", rule="tag"),
        Hilum("hilum-deidentify", zero_copy="false", rule="deidentify"),
        Hilum("hilum-queue", zero_copy="false", queues=True, history='"0"'),
        Hilum("hilum-ledger", zero_copy="false", queues=True),
        Hilum("hilum-unjournalled", zero_copy="false", queues=True, history='"0"', journal="false"),
        Enqueue("hilum-enqueue"),
        Enqueue("hilum-enqueue-deliver", delivers=True),
        Enqueue("hilum-enqueue-million", entries=1000000),
        Orthanc("orthanc"),
        Orthanc("orthanc-disk", disk=True),
        Dcmtk("dcmtk"),
        Dcmtk("dcmtk-study", study=True),
    ]
