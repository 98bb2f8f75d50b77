"""Runs inside the namespace: starts sinks and routers, runs the rounds, and tells what it does, a JSON object a line.

    {"event": "left out", "router", "why"}
    {"event": "sample", "row", "entry", "round", "figures": {...}}       round 0 warms up and counts system calls
    {"event": "error", "row", "entry", "round", "why"}
"""

import json
import os
import resource
import sys

from . import measure, network, sample
from .pki import Pki
from .process import Failed, Ports
from .routers import all_routers
from .spread import rotated
from .tools import Sink
from .workloads import DESTINATIONS, SINKS, rows

SPARE_DESCRIPTORS = 200


class Stage:
    """What is there for all samples of one namespace: folder, congestion control, certificates, sinks, routers."""

    def __init__(self, folder, disk, congestion):
        self.folder, self.disk, self.congestion = folder, disk, congestion
        self.ports = Ports()
        self.pki = Pki(os.path.join(folder, "pki"))
        self.sinks, self.routers = {}, {}

    def start_sinks(self):
        for name, settings in SINKS.items():
            settings = dict(settings)
            if settings.pop("secured", False):
                settings |= {"tls_certificate": self.pki.certificate["ec"], "tls_key": self.pki.key["ec"]}
            self.sinks[name] = Sink(self.folder, name, self.ports.take(), congestion=self.congestion, **settings)

    def sinks_of(self, destination):
        return [self.sinks[name] for name in DESTINATIONS[destination]]

    def ways(self, router):
        """The destinations that this router serves, with the ports of their sinks."""
        ways = {name: [sink.port for sink in self.sinks_of(name)] for name in DESTINATIONS}
        return {name: ports for name, ports in ways.items() if router.serves(name, ports)}

    def start_router(self, router):
        router.pki = self.pki
        router.start(self.folder, self.disk, self.ports, self.ways(router))
        self.routers[router.name] = router

    def renew(self, router):
        router.end()
        self.start_router(router)

    def fresh(self, router, connections):
        """Another one like this, to `plain` alone, that holds so many connections."""
        other = type(router)(router.name, **router.variant)
        other.pki = self.pki
        way = {"plain": [self.sinks["plain"].port]}
        other.start(os.path.join(self.folder, "fresh"), self.disk, self.ports, way, connections)
        return other

    def most_idle(self, router, wanted):
        """As many associations as descriptors allow."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return min(wanted, (limit - SPARE_DESCRIPTORS) // router.sockets)

    def end(self):
        problems = []
        for each in list(self.routers.values()) + list(self.sinks.values()):
            try:
                each.end()
            except Failed as why:
                problems.append(str(why))
        return problems


def tell(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def run(plan):
    """`plan`: congestion, folder (empty), disk (another), rows (keys), routers (names), rounds, profile."""
    network.prepare(plan["congestion"], plan["folder"])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stage = Stage(plan["folder"], plan["disk"], plan["congestion"])
    try:
        stage.start_sinks()
        for router in all_routers():
            if router.name in plan["routers"]:
                start(stage, router)
        for row in rows(plan["profile"]):
            if row.key in plan["rows"]:
                run_row(stage, row, row.rounds_of(plan["rounds"]))
    finally:
        for why in stage.end():
            tell(event="error", row=None, entry=None, round=None, why=why)


def start(stage, router):
    try:
        stage.start_router(router)
    except Failed as why:
        router.end()
        tell(event="error", row=None, entry=router.name, round=None, why=str(why))


def run_row(stage, row, rounds):
    entries = row.entries(stage.routers)
    for number in range(rounds + 1):
        for name, router, copies in rotated(entries, number):
            one(stage, row, number, name, stage.routers[router], copies)


def one(stage, row, number, name, router, copies):
    try:
        if not router.alive():
            raise Failed(f"{router.name} has ended with {router.process.popen.returncode}: {router.process.said()}")
        seed = f"{row.key}-{name}-{number}".replace(" ", "-")
        if number:
            figures = sample.take(stage, row, router, copies, seed)
        else:
            figures = warm_up(stage, row, router, copies, seed)
        tell(event="sample", row=row.key, entry=name, round=number, figures=figures)
    except Failed as why:
        tell(event="error", row=row.key, entry=name, round=number, why=str(why))


def warm_up(stage, row, router, copies, seed):
    """A sample that is not timed: perf is attached. Nothing of the router is warm before it."""
    if row.kind != "rate" or router.store_and_forward:  # those warm up in each sample, or have nothing that gets warm
        return {}
    with measure.Syscalls(router.pids, stage.folder) as calls:
        figures = sample.take(stage, row, router, copies, seed)
    if calls.count is None:
        return {}
    return {"syscalls": calls.count, "bytes": figures["bytes"], "instances": figures["instances"]}
