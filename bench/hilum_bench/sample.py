"""One measurement: a router, a row, a round. What it gives is a flat dictionary of numbers; None is "not measured".

Rows that measure rates: instances, bytes (of data sets, acknowledged), seconds, instances_per_s, gb_per_s, latencies;
for a router also cpu_s, cpu_user_s, cpu_system_s, resident_bytes; machine_s. GB is 10^9 bytes that load sent, however many
destinations they go to.
"""

import os
import time

from . import measure, routers
from .pki import NAME
from .process import Failed, pin, processors, wait_until
from .tools import Find, Idle, Load, arrived
from .workloads import ANSWERS, HEALTHY, TLS

SETTLED_SECONDS = 0.01   # of processor time in SETTLED_PAUSE: less is at rest
SETTLED_PAUSE = 0.1
WARM_IDLE = 300
WARM_INSTANCES = 4
STUCK_SECONDS = 50       # it is ended before


SUITE = {"version": "TLSv1.3", "suite": "TLS_AES_256_GCM_SHA384", "group": "X25519"}  # that all must have agreed on


class Meter:
    """What router and machine use, from its making to stop()."""

    def __init__(self, router):
        self.router = router
        self.usage, self.machine = measure.usage(router.pids), measure.machine_seconds()

    def stop(self):
        used = measure.usage(self.router.pids).since(self.usage)
        figures = {"machine_s": measure.machine_seconds() - self.machine}
        if self.router.pids:
            figures |= {"cpu_s": used.total, "cpu_user_s": used.user, "cpu_system_s": used.system,
                        "resident_bytes": measure.resident_bytes(self.router.pids)}
        return figures


def rate(stage, row, router, copies, seed):
    if router.is_slower_later:
        stage.renew(router)
        transfer(stage, row, router, copies, f"{seed}-warm", WARM_INSTANCES)
    return transfer(stage, row, router, copies, seed, row.instances(router.name))


def transfer(stage, row, router, copies, seed, instances):
    """Load through the router to its sinks; everything must have arrived."""
    destination = row.destination(router.name, copies)
    sinks = stage.sinks_of(destination)
    port, title = router.target(destination)
    before = [sink.count() for sink in sinks]
    meter = Meter(router)
    load = Load(stage.folder, port, called=title, seed=seed, congestion=stage.congestion, size=row.size, count=instances,
                pdu=row.pdu, associations=min(row.associations, instances), per_association=row.per_association,
                **load_security(stage, row, destination))
    report = load.result(instances)
    late = 0.0
    if router.store_and_forward:
        late = max(0.0, arrived(sinks, before, instances, 120) - load.ended)
    if router.store_and_forward or router.works_on:
        settle(router)
    figures = meter.stop()
    for sink, count in zip(sinks, before):
        check_sink(sink, count, sink.count(), instances, report["bytes"], router)
    if report.get("congestion") != stage.congestion:
        raise Failed(f"load's connection used {report.get('congestion')} and not {stage.congestion}")
    check_security(row, destination, report, sinks[0].count())
    seconds = report["seconds"] + late
    return figures | {
        "instances": instances, "bytes": report["bytes"], "seconds": seconds, "instances_per_s": instances / seconds,
        "gb_per_s": report["bytes"] / seconds / 1e9, "answered_s": report["seconds"], "pdu": report["pdu"],
        **{f"latency_{name}_us": report["latency_us"][name] for name in ("p50", "p99", "mean")},
        "associate_p50_us": (report.get("associate_us") or {}).get("p50"),
        "load_cpu_s": sum(report["cpu"].values()),
    }


def check_sink(sink, before, after, instances, size, router):
    got = {key: after[key] - before[key] for key in ("instances", "bytes")}
    faults = after.get("faults", 0) - before.get("faults", 0)
    if faults or got["instances"] != instances:
        raise Failed(f"{sink.name} got {got['instances']} instances of {instances}, with {faults} faults: {sink.said()}")
    # Who stores may write a data set in another form, of another length; and rules change it.
    if got["bytes"] != size and not router.store_and_forward and not router.changes_data:
        raise Failed(f"{sink.name} got {got['bytes']} bytes of {size}")


def load_security(stage, row, destination):
    shown, _ = TLS.get(destination, ("", False))
    return {"tls_ca": stage.pki.ca, "tls_name": NAME, "tls_resume": row.resumes} if shown else {}


def check_security(row, destination, report, sink):
    """Who speaks TLS has agreed on what is to be measured, and as many sessions were resumed as should be."""
    shown, is_out = TLS.get(destination, ("", False))
    for is_secured, said, who in ((shown, report, "load"), (is_out, sink, "the sink")):
        got = {key: said.get("tls", {}).get(key) for key in SUITE}
        if is_secured and got != SUITE:
            raise Failed(f"{who} has agreed on {got} and not on {SUITE}")
    if shown and report["tls"]["resumed"] != (report["tls"]["handshakes"] - 1 if row.resumes else 0):
        raise Failed(f"{report['tls']['resumed']} of {report['tls']['handshakes']} sessions were resumed")


def settle(router):
    """Waits until the router rests: what it does after the last instance has arrived belongs to it, too."""
    def rests():
        used = measure.usage(router.pids)
        time.sleep(SETTLED_PAUSE)
        return measure.usage(router.pids).since(used).total < SETTLED_SECONDS
    wait_until(rests, f"{router.name} comes to rest", 30)


def stalled(stage, row, router, _copies, seed):
    """What healthy destinations get alone, and beside one that takes nothing any more."""
    def healthy(name):
        loads = [start_one(stage, row, router, destination, row.seconds, f"{seed}-{name}-{destination}")
                 for destination in HEALTHY]
        reports = [load.finish() for load in loads]
        for load, report in zip(loads, reports):
            load.check(report, None)
        return sum(report["bytes"] / report["seconds"] for report in reports) / 1e9, reports
    alone, _ = healthy("alone")
    meter = Meter(router)
    stuck = start_one(stage, row, router, "stalled", STUCK_SECONDS, f"{seed}-stalled")
    try:
        wait_stalled(stage.sinks_of("stalled")[0])
        beside, reports = healthy("beside")
    finally:
        stuck.stop()
    return meter.stop() | {
        "instances": sum(report["instances"] for report in reports),
        "bytes": sum(report["bytes"] for report in reports),
        "seconds": max(report["seconds"] for report in reports), "gb_per_s": beside, "alone_gb_per_s": alone,
        "kept": beside / alone}


def start_one(stage, row, router, destination, seconds, seed):
    port, title = router.target(destination)
    return Load(stage.folder, port, called=title, seed=seed, congestion=stage.congestion, size=row.size, pdu=row.pdu,
                seconds=seconds).start()


def wait_stalled(sink):
    """Until the sink takes nothing any more, since it has begun to stall."""
    first, last = sink.count()["associations"], None

    def stands_still():
        nonlocal last
        now = sink.count()
        still, last = last is not None and now["bytes"] == last["bytes"] and now["associations"] >= first, now
        return still
    wait_until(stands_still, f"{sink.name} stalls", 10, 0.1)


def idle(stage, row, router, _copies, _seed):
    """Resident memory for each idle association, of a router started for this. A few hundred warm it up first."""
    count = stage.most_idle(router, row.count)
    fresh = stage.fresh(router, count)
    try:
        port, _ = fresh.target("plain")
        Idle(stage.folder, port, WARM_IDLE).end()
        settle(fresh)
        before, meter, start = measure.resident_bytes(fresh.pids), Meter(fresh), time.monotonic()
        load = Idle(stage.folder, port, count)
        seconds = time.monotonic() - start
        settle(fresh)
        figures, after = meter.stop(), measure.resident_bytes(fresh.pids)
        load.end()
    finally:
        fresh.end()
    return figures | {"associations": count, "seconds": seconds, "bytes_per_association": (after - before) / count,
                      "resident_before_bytes": before}


def enqueue(stage, row, router, _copies, seed):
    """What senders get that are answered by the disk; then a plain writer with the same bytes, groups and syncs."""
    os.sync()
    router.begin()
    try:
        figures, report = queued(stage, row, router, seed)
        counts = router.finish()
        plain = routers.plain_writer(router.disk, counts)
    finally:
        router.end()
        router.clear()
    return figures | {
        "groups": counts["groups"], "syncs": counts["syncs"], "log_bytes": counts["bytes"],
        "writer_s": plain["seconds"], "of_writer": plain["seconds"] / report["seconds"]}


LISTS = 5  # of which the median counts


def depth(stage, row, router, _copies, seed):
    """Start-up, a page of the list, and what senders get, of a spool that may be full of entries."""
    os.sync()
    starting = router.begin()
    try:
        listing = sorted(router.list() for _ in range(LISTS))[LISTS // 2]
        figures, _ = queued(stage, row, router, seed)
        router.finish()
    finally:
        router.end()
        router.clear()
    return figures | {"starting_s": starting, "listing_s": listing}


def queued(stage, row, router, seed):
    """A load whose instances are queued; its figures and load's report. Where they are delivered they must arrive."""
    port, title = router.target("plain")
    sinks = stage.sinks_of("plain") if router.variant.get("delivers") else []
    before = [sink.count() for sink in sinks]
    meter = Meter(router)
    load = Load(stage.folder, port, called=title, seed=seed, congestion=stage.congestion, size=row.size,
                count=row.count, pdu=row.pdu, associations=row.associations)
    report = load.result(row.count)
    if sinks:
        arrived(sinks, before, row.count, 120)
    settle(router)
    figures = meter.stop()
    for sink, count in zip(sinks, before):
        check_sink(sink, count, sink.count(), row.count, report["bytes"], router)
    return figures | {
        "instances": row.count, "bytes": report["bytes"], "seconds": report["seconds"],
        "instances_per_s": row.count / report["seconds"], "gb_per_s": report["bytes"] / report["seconds"] / 1e9,
        **{f"latency_{name}_us": report["latency_us"][name] for name in ("p50", "p99", "mean")}}, report


def find(stage, row, router, _copies, _seed):
    """Queries on one association; "instances" are the answers."""
    sink, (port, title) = stage.sinks_of(row.to)[0], router.target(row.to)
    Find(stage.folder, port, called=title, answers=ANSWERS, queries=1, warmup=0, congestion=stage.congestion).result(ANSWERS)
    before, meter = sink.count(), Meter(router)
    report = Find(stage.folder, port, called=title, answers=ANSWERS, queries=row.count, warmup=0,
                  congestion=stage.congestion).result(row.count * ANSWERS)
    figures, after = meter.stop(), sink.count()
    got = after["answers"] - before["answers"]
    if got != report["answers"] or after["faults"] != before["faults"]:
        raise Failed(f"{sink.name} has sent {got} answers, {report['answers']} have come: {sink.said()}")
    if report["congestion"] != stage.congestion:
        raise Failed(f"find's connection used {report['congestion']} and not {stage.congestion}")
    return figures | {"instances": report["answers"], "seconds": report["seconds"],
                      "instances_per_s": report["answers_per_s"], "latency_p50_us": report["query_us"]["p50"],
                      "first_p50_us": report["first_us"]["p50"], "load_cpu_s": sum(report["cpu"].values())}


KINDS = {"rate": rate, "stalled": stalled, "idle": idle, "enqueue": enqueue, "depth": depth, "find": find}


def take(stage, row, router, copies, seed):
    """One sample. With everything on one processor the router is moved there and back."""
    near, far = processors()
    if not row.one_cpu or not router.pids or not router.pinned:
        return KINDS[row.kind](stage, row, router, copies, seed)
    move(router, near)
    try:
        return KINDS[row.kind](stage, row, router, copies, seed)
    finally:
        move(router, far)


def move(router, cpu):
    for head in router.pids:
        for pid in measure.family(head):
            pin(pid, cpu)
