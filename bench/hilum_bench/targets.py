"""What Hilum has set itself, held against the figures. Ratios are medians of ratios taken pair by pair.

Each target names the entries in order of preference: a version without the zero-copy switch has the plain one alone.
"""

from dataclasses import dataclass

COPY, SPLICE = ("hilum-copy", "hilum"), ("hilum-splice",)
BEST = ("hilum",)
ENQUEUE, MILLION = ("hilum-enqueue",), ("hilum-enqueue-million",)


@dataclass(frozen=True)
class Target:
    """`limits`: {congestion control: limit}, not to be exceeded unless `at_least`. `base` is the entry that ours is
    divided by; None where the figure is itself the target."""

    what: str
    row: str
    metric: str
    ours: tuple
    base: str
    limits: dict
    at_least: bool = False
    added: bool = False      # what is compared is the difference from direct
    copies: int = 0          # ours with so many destinations, against ours with one, for each delivered GB

    def measure(self, figures, congestion):
        """A Spread, and whose it is; None if it was not measured."""
        for ours in self.ours:
            value = self.of(figures, congestion, ours)
            if value is not None:
                return value, ours
        return None

    def of(self, figures, congestion, ours):
        if self.copies:
            found = figures.ratio(congestion, self.row, f"{ours} x{self.copies}", ours, self.metric)
            return found and type(found)(found.median / self.copies, found.low / self.copies, found.high / self.copies,
                                         found.count)
        if self.base is None:
            return figures.spread(congestion, self.row, ours, self.metric)
        if self.added:
            return figures.added_ratio(congestion, self.row, ours, self.base, self.metric)
        return figures.ratio(congestion, self.row, ours, self.base, self.metric)

    def met(self, value, congestion):
        limit = self.limits[congestion]
        return value.median >= limit if self.at_least else value.median <= limit


def both(limit):
    return {"bbr": limit, "cubic": limit}


def versus(bbr, cubic):
    return {"bbr": bbr, "cubic": cubic}


def against_orthanc(what, row):
    return (Target(f"{what}: instances/s against Orthanc", row, "instances_per_s", BEST, "orthanc", both(100),
                   at_least=True),
            Target(f"{what}: CPU for each instance against Orthanc", row, "cpu_per_instance_us", BEST, "orthanc",
                   both(1 / 200)))


TARGETS = (
    Target("CPU/GB, 128 KiB PDUs, 1 association, against HAProxy: splice", "pdu-128k", "cpu_per_gb", SPLICE, "haproxy",
           versus(0.60, 0.30)),
    Target("the same, copy", "pdu-128k", "cpu_per_gb", COPY, "haproxy", versus(0.80, 0.60)),
    Target("CPU/GB, 16 KiB PDUs, against HAProxy", "pdu-16k", "cpu_per_gb", COPY, "haproxy", versus(0.80, 0.60)),
    Target("CPU/GB, 8 associations, 128 KiB, against HAProxy: splice", "associations-8", "cpu_per_gb", SPLICE,
           "haproxy", versus(0.60, 0.30)),
    Target("the same, copy", "associations-8", "cpu_per_gb", COPY, "haproxy", versus(0.70, 0.65)),
    Target("GB/s, copy, against HAProxy", "pdu-128k", "gb_per_s", COPY, "haproxy", versus(1.4, 2.0), at_least=True),
    Target("GB/s, copy, of direct", "pdu-128k", "gb_per_s", COPY, "direct", versus(0.50, 0.35), at_least=True),
    Target("128 KiB framed anew as 16 KiB, CPU/GB against HAProxy passing through: copy", "refragmented", "cpu_per_gb",
           COPY, "haproxy", versus(0.80, 0.60)),
    Target("the same, splice", "refragmented", "cpu_per_gb", SPLICE, "haproxy", versus(0.80, 0.45)),
    Target("fan-out to 4, CPU per delivered GB against one destination: copy", "copies", "cpu_per_gb", COPY, "",
           versus(0.65, 0.75), copies=4),
    Target("the same, tee against splice", "copies", "cpu_per_gb", SPLICE, "", both(1.0), copies=4),
    Target("8 KiB, 16 associations: instances/s against HAProxy", "small-16", "instances_per_s", BEST, "haproxy",
           both(1.0), at_least=True),
    Target("the same, CPU for each instance", "small-16", "cpu_per_instance_us", BEST, "haproxy", both(1.2)),
    Target("an association for each instance, 32 side by side: instances/s against HAProxy", "each-32",
           "instances_per_s", BEST, "haproxy", both(0.8), at_least=True),
    Target("TLS to plain, CPU/GB against HAProxy", "tls-in", "cpu_per_gb", BEST, "haproxy", both(1.0)),
    Target("plain to TLS: the same", "tls-out", "cpu_per_gb", BEST, "haproxy", both(1.0)),
    Target("TLS to TLS: the same", "tls-both", "cpu_per_gb", BEST, "haproxy", both(1.0)),
    Target("TLS, an association for each instance, ECDSA P-256: handshakes/s against HAProxy", "handshakes", "instances_per_s", BEST,
           "haproxy", both(0.8), at_least=True),
    Target("the same, RSA 2048", "handshakes-rsa", "instances_per_s", BEST, "haproxy", both(0.8), at_least=True),
    Target("the same, resumed, one after the other", "handshakes-resumed", "instances_per_s", BEST, "haproxy", both(0.8),
           at_least=True),
    *against_orthanc("8 KiB, 1 association", "size-8k"),
    *against_orthanc("8 KiB, 16 associations", "small-16"),
    *against_orthanc("512 KiB, 1 association", "size-512k"),
    *against_orthanc("8 KiB, a series of 500", "series-8k"),
    *against_orthanc("512 KiB, a series of 500", "series"),
    *against_orthanc("512 KiB, 16 associations", "medium-16"),
    Target("512 KiB routed on Modality: CPU for each instance against routed on the association", "rules",
           "cpu_per_instance_us", ("hilum-modality",), "hilum-copy", both(1.10)),
    Target("512 KiB with one tag set: the same", "rules", "cpu_per_instance_us", ("hilum-tag",), "hilum-copy",
           both(1.30)),
    Target('512 KiB relayed with on_failure = "queue": CPU for each instance against "fail"', "queue-512k",
           "cpu_per_instance_us", ("hilum-queue",), "hilum-copy", both(1.05)),
    Target("the same, with history", "queue-512k", "cpu_per_instance_us", ("hilum-ledger",), "hilum-copy", both(1.05)),
    Target('8 KiB on 16 associations with on_failure = "queue": the same', "queue-8k", "cpu_per_instance_us",
           ("hilum-queue",), "hilum-copy", both(1.05)),
    Target("the same, with history", "queue-8k", "cpu_per_instance_us", ("hilum-ledger",), "hilum-copy", both(1.05)),
    Target("copy of 512 KiB, 1 association: rate against a plain writer", "enqueue-512k", "of_writer", ENQUEUE, None,
           both(0.8), at_least=True),
    Target("copy of 512 KiB, 16 associations: the same", "enqueue-512k-16", "of_writer", ENQUEUE, None, both(0.8),
           at_least=True),
    Target("copy of 8 KiB, 16 associations: the same", "enqueue-8k", "of_writer", ENQUEUE, None, both(0.6), at_least=True),
    Target("1,000,000 entries: milliseconds to start", "depth", "starting_ms", MILLION, None, both(2000)),
    Target("1,000,000 entries: milliseconds for a page of the list", "depth", "listing_ms", MILLION, None, both(100)),
    Target("1,000,000 entries: copy of 8 KiB, rate against an empty queue", "depth", "instances_per_s", MILLION,
           "hilum-enqueue", both(0.8), at_least=True),
    Target("C-FIND with 10,000 responses: responses/s of direct", "find", "instances_per_s", ("hilum-copy",), "direct", both(0.8),
           at_least=True),
    Target("8 KiB: p50 added to direct, against what HAProxy adds", "latency", "p50_us", BEST, "haproxy", both(1.3),
           added=True),
    Target("resident bytes of an idle association", "idle", "bytes_per_association", BEST, None, both(4096)),
    Target("healthy destinations beside a stalled one keep of their rate", "stalled", "kept", BEST, None, both(0.9),
           at_least=True),
)
