"""The rows: what is sent, how, to which destination, and which routers take part.

All vary one thing at a time from the base: instances of 32 MiB in PDUs of 128 KiB on one association.
"""

from dataclasses import dataclass, field, replace

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
UNITS = (("GiB", GIB), ("MiB", MIB), ("KiB", KIB))

# {destination: its sinks}. "copies N" goes to N sinks; the four of "stalled" stand for as many nodes.
DESTINATIONS = {
    "plain": ("plain",),
    "copies-2": ("plain", "second"),
    "copies-4": ("plain", "second", "third", "fourth"),
    "refragmented": ("small-pdu",),
    "nagle": ("nagle",),
    "second": ("second",),
    "third": ("third",),
    "stalled": ("stalled",),
    "tls-in": ("plain",),
    "tls-in-rsa": ("plain",),
    "tls-out": ("secured",),
    "tls-both": ("secured",),
}
# Of those where somebody speaks TLS: the key of the certificate that the router shows ("": it listens in plain), and whether its sink does.
TLS = {
    "tls-in": ("ec", False),
    "tls-in-rsa": ("rsa", False),
    "tls-out": ("", True),
    "tls-both": ("ec", True),
}
ANSWERS = 10000  # that a sink has for each query
ANSWER_US = 20   # that each of them takes it: archives take four to ten times as long
SINKS = {
    "plain": {"answers": ANSWERS, "answer_work": ANSWER_US},
    "second": {"answers": ANSWERS},
    "third": {},
    "fourth": {},
    "small-pdu": {"max_pdu": 16 * KIB},
    "nagle": {"nagle": True},
    "stalled": {"stall_after": 4 * MIB},
    "secured": {"secured": True},
}
HEALTHY = ("plain", "second", "third")

BULK = ("direct", "haproxy", "haproxy-256k", "haproxy-splice", "haproxy-splice-1m", "nginx", "nginx-256k",
        "hilum", "hilum-copy", "hilum-splice")
PROXIES = ("direct", "haproxy", "haproxy-splice", "nginx", "hilum", "hilum-copy", "hilum-splice")
SMALL = ("direct", "haproxy", "nginx", "hilum")
RULES = ("hilum-copy", "hilum-modality", "hilum-tag", "hilum-deidentify")
OURS = ("hilum", "hilum-copy", "hilum-splice")
QUEUES = ("hilum-copy", "hilum-queue", "hilum-ledger")
SECURE = ("haproxy", "nginx", "hilum")
ENQUEUE = ("hilum-enqueue", "hilum-enqueue-deliver")
STUDY_FACTOR = 10  # more instances for it: it waits for a second after the last one
SLOW = ("orthanc", "orthanc-disk", "dcmtk", "dcmtk-study")


FREE = ("enqueue", "depth")  # kinds whose router is not pinned


def entry_name(router, copies=1):
    """What a line of a row is called: the router, and to how many destinations it sends where rows differ in that."""
    return router if copies == 1 else f"{router} x{copies}"


@dataclass(frozen=True)
class Row:
    """One workload. `kind` says how it is measured (sample.py)."""

    key: str
    group: str
    what: str
    size: int = 32 * MIB
    count: int = 48              # instances of a sample, for routers that forward as they receive
    slow_count: int = 0          # for those that store, and start programs or jobs for each
    pdu: int = 128 * KIB
    associations: int = 1
    per_association: int = 0     # 0: all on one
    resumes: bool = False        # load's TLS: each association resumes the session of the one before
    to: str = "plain"
    copies: tuple = (1,)         # fan-out: an entry for each
    kind: str = "rate"           # "rate", "stalled", "idle", "enqueue", "depth", "find"
    one_cpu: bool = False        # load, sink and router on one processor
    seconds: float = 0           # of a sample that is limited by time
    routers: tuple = PROXIES
    only: tuple = ()             # congestion controls; empty: all
    rounds: int = 0              # at most; 0: as asked for
    times: int = 1               # so many rounds for each that is asked for: short samples, where differences are small
    cost: float = 0.8            # seconds that a sample of a fast router is expected to take
    slow_cost: float = 0.0
    elsewhere: dict = field(default_factory=dict)  # {router: another destination than `to`}

    def entries(self, routers):
        """[(name, router, copies)] for those of `routers`, a list of names, that the row has."""
        return [(entry_name(name, copies), name, copies) for copies in self.copies for name in self.routers
                if name in routers]

    def destination(self, router, copies=1):
        return self.elsewhere.get(router, self.to) if copies == 1 else f"copies-{copies}"

    def rounds_of(self, wanted):
        return min(wanted, self.rounds or wanted) * self.times

    def instances(self, router):
        if router == "dcmtk-study":
            return STUDY_FACTOR * self.slow_count
        return self.slow_count if router in SLOW else self.count

    def expected_seconds(self, router, number, copies=1):
        """Of round `number`; only fast routers, and those that are measured by rate, warm up in round 0."""
        if number == 0 and (router in SLOW or self.kind != "rate"):
            return 0.0
        return self.slow_cost if router in SLOW else self.cost * (1 + (copies - 1) / 2)

    def described(self):
        """The row in the words of a reader."""
        if self.kind == "find":
            return (f"{self.count} queries one after another, each with {ANSWERS:,} answers; find and sink on one processor, the "
                    "router on another")
        text = [f"{in_units(self.size)} instances", f"{in_units(self.pdu)} PDUs"]
        text.append("1 association" if self.associations == 1 else f"{self.associations} associations side by side")
        if self.per_association == 1:
            text.append("each for one instance")
        if self.to in TLS:
            text.append("TLS 1.3, TLS_AES_256_GCM_SHA384, X25519" + (", resumed" if self.resumes else ""))
        if self.rounds:
            text.append("1 round" if self.rounds == 1 else f"at most {self.rounds} rounds")
        apart = "load and sinks on one processor, the router on another"
        free = "load and sinks on one processor, the router on both"
        if self.times > 1:
            text.append(f"{self.times} times as many rounds")
        layout = "everything on one processor" if self.one_cpu else free if self.kind in FREE else apart
        return ", ".join(text) + "; " + layout


def in_units(size):
    for unit, factor in UNITS:
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"


FULL = (
    # What a GB costs, by the length of PDUs.
    Row("pdu-16k", "PDU length", "PDUs of 16 KiB", pdu=16 * KIB, routers=BULK),
    Row("pdu-128k", "PDU length", "the base", routers=BULK),
    Row("pdu-1m", "PDU length", "PDUs of 1 MiB", pdu=MIB, routers=BULK),
    # By the size of instances.
    Row("size-8k", "instance size", "instances of 8 KiB", size=8 * KIB, count=8000, slow_count=100,
        routers=SMALL + ("hilum-info",) + SLOW, slow_cost=2),
    Row("size-512k", "instance size", "instances of 512 KiB", size=512 * KIB, count=3000, slow_count=100,
        routers=PROXIES + SLOW, cost=1.2, slow_cost=2),
    Row("size-1g", "instance size", "instances of 1 GiB", size=GIB, count=2, cost=1.4),
    Row("series", "instance size", "a CT series of 500 instances, 512 KiB each", size=512 * KIB, count=500,
        slow_count=500, routers=("direct", "haproxy", "hilum", "orthanc", "dcmtk"), only=("cubic",),
        cost=0.2, slow_cost=10),
    Row("series-8k", "instance size", "a series of 500 instances, 8 KiB each", size=8 * KIB, count=500, slow_count=500,
        routers=("direct", "haproxy", "hilum", "orthanc", "dcmtk"), only=("cubic",), cost=0.2, slow_cost=9),
    # By associations.
    Row("associations-2", "associations", "2 associations", associations=2),
    Row("associations-8", "associations", "8 associations", associations=8, routers=BULK),
    Row("associations-16", "associations", "16 associations", associations=16),
    Row("associations-200", "associations", "200 associations, instances of 8 MiB", size=8 * MIB, count=200,
        associations=200, cost=1.5),
    # Small instances.
    Row("small-16", "small instances", "instances of 8 KiB on 16 associations", size=8 * KIB, count=24000,
        slow_count=96, associations=16, routers=SMALL + ("hilum-info", "orthanc"), slow_cost=2),
    Row("medium-16", "small instances", "instances of 512 KiB on 16 associations", size=512 * KIB, count=3200,
        slow_count=96, associations=16, routers=PROXIES + ("orthanc",), slow_cost=2),
    Row("each-1", "an association each", "an association for each instance, one after the other", size=8 * KIB,
        count=2500, per_association=1, routers=SMALL + ("hilum-info",)),
    Row("each-32", "an association each", "an association for each instance, 32 side by side", size=8 * KIB, count=9600,
        per_association=1, associations=32, routers=SMALL + ("hilum-info",)),
    # TLS.
    Row("tls-in", "TLS", "TLS to plain", to="tls-in", routers=SECURE),
    Row("tls-out", "TLS", "plain to TLS", to="tls-out", routers=SECURE),
    Row("tls-both", "TLS", "TLS to TLS", to="tls-both", routers=SECURE),
    Row("tls-in-512k", "TLS", "TLS to plain, instances of 512 KiB", size=512 * KIB, count=1600, to="tls-in", routers=SECURE,
        only=("cubic",)),
    Row("tls-out-512k", "TLS", "plain to TLS, instances of 512 KiB", size=512 * KIB, count=1600, to="tls-out", routers=SECURE,
        only=("cubic",)),
    Row("tls-both-512k", "TLS", "TLS to TLS, instances of 512 KiB", size=512 * KIB, count=1600, to="tls-both", routers=SECURE,
        only=("cubic",)),
    Row("handshakes", "TLS", "a full handshake for each instance of 2 KiB, ECDSA P-256", size=2 * KIB, count=2000, to="tls-in",
        per_association=1, associations=16, routers=SECURE),
    Row("handshakes-rsa", "TLS", "a full handshake for each instance of 2 KiB, RSA 2048", size=2 * KIB, count=1000,
        to="tls-in-rsa", per_association=1, associations=16, routers=SECURE),
    Row("handshakes-resumed", "TLS", "a resumed session for each instance of 2 KiB, one after the other", size=2 * KIB, count=1500,
        to="tls-in", per_association=1, resumes=True, routers=SECURE),
    # Framing anew.
    Row("refragmented", "framing anew", "the sink takes PDUs of 16 KiB; HAProxy passes 128 KiB through, to one that can",
        to="refragmented", elsewhere={"haproxy": "plain"}, routers=("haproxy",) + OURS),
    # Fan-out.
    Row("copies", "fan-out", "to 1, 2 and 4 destinations", count=32, copies=(1, 2, 4), routers=OURS),
    Row("copies-512k", "fan-out", "instances of 512 KiB to 1, 2 and 4 destinations", size=512 * KIB, count=1600,
        slow_count=50, copies=(1, 2, 4), routers=("hilum", "orthanc"), slow_cost=4),
    # Rules: a route on an attribute, one attribute set, all of it de-identified.
    Row("rules", "rules", "instances of 512 KiB routed on the association, on Modality, with a tag set, de-identified",
        size=512 * KIB, count=3000, routers=RULES, only=("cubic",)),
    # The queue. Relayed with "fail" (hilum-copy) and with "queue".
    Row("queue-8k", "the queue", 'instances of 8 KiB relayed on 16 associations, on_failure "fail" and "queue"',
        size=8 * KIB, count=24000, associations=16, routers=QUEUES, only=("cubic",), times=3),
    Row("queue-512k", "the queue", 'instances of 512 KiB relayed, on_failure "fail" and "queue"', size=512 * KIB,
        count=1000, routers=QUEUES, only=("cubic",), times=4, cost=0.5),
    Row("queue-32m", "the queue", "instances of 32 MiB relayed: past replay_max they go to the journal, if there is one",
        routers=QUEUES + ("hilum-unjournalled",), only=("cubic",), cost=2),
    # Copies, held against a plain writer.
    Row("enqueue-8k", "the queue", "copy of instances of 8 KiB on 16 associations", size=8 * KIB, count=24000,
        associations=16, kind="enqueue", routers=ENQUEUE, only=("cubic",), cost=4),
    Row("enqueue-512k", "the queue", "copy of instances of 512 KiB", size=512 * KIB, count=1500, kind="enqueue",
        routers=ENQUEUE, only=("cubic",), cost=4),
    Row("enqueue-512k-16", "the queue", "copy of instances of 512 KiB on 16 associations", size=512 * KIB, count=1500,
        associations=16, kind="enqueue", routers=ENQUEUE, only=("cubic",), cost=4),
    Row("depth", "the queue", "copy of instances of 8 KiB on 16 associations into a spool of 1,000,000 entries, and an empty one",
        size=8 * KIB, count=12000, associations=16, kind="depth", routers=("hilum-enqueue", "hilum-enqueue-million"),
        only=("cubic",), rounds=3, cost=6),
    # What one takes from another.
    Row("stalled", "a stalled destination", "3 associations to healthy sinks, alone and beside one whose sink stalls",
        size=512 * KIB, kind="stalled", seconds=1, routers=("direct", "haproxy", "hilum", "hilum-copy", "hilum-splice"),
        cost=2.6),
    Row("idle", "idle associations", "resident memory of 10,000 idle associations", size=8 * KIB, kind="idle",
        count=10000, routers=("haproxy", "nginx", "hilum"), only=("cubic",), cost=5),
    Row("latency", "latency", "instances of 8 KiB, everything on one processor", size=8 * KIB, count=6000, one_cpu=True,
        routers=SMALL),
    Row("find", "queries", f"C-FIND with {ANSWERS:,} responses, {ANSWER_US} us of the sink's processor for each", kind="find",
        count=3, routers=("direct", "haproxy", "hilum-copy"), times=2, cost=0.8),
    Row("find-flat", "queries", f"C-FIND with {ANSWERS:,} responses that cost the sink nothing", kind="find", count=20,
        to="second", routers=("direct", "haproxy", "hilum-copy"), times=2, cost=0.6),
    Row("nagle", "Nagle and delayed ACK", "instances of 8 KiB to a sink with Nagle's algorithm and delayed ACKs",
        size=8 * KIB, count=200, to="nagle", routers=("direct", "haproxy", "hilum"), only=("cubic",), cost=6),
)

# The short run: what the targets need, with fewer bytes and fewer routers.
SHORT = {
    "pdu-16k": {"routers": ("haproxy", "hilum-copy"), "count": 32},
    "pdu-128k": {"routers": ("direct", "haproxy", "haproxy-256k", "haproxy-splice", "hilum", "hilum-copy",
                             "hilum-splice"), "count": 40},
    "size-8k": {"routers": ("haproxy", "hilum", "orthanc"), "only": ("cubic",), "count": 4000, "slow_count": 100,
                "slow_cost": 1},
    "size-512k": {"routers": ("haproxy", "hilum", "orthanc"), "only": ("cubic",), "count": 1200, "slow_count": 100,
                  "slow_cost": 0.5},
    "associations-8": {"routers": ("haproxy", "hilum-copy", "hilum-splice"), "count": 32},
    "small-16": {"routers": ("haproxy", "hilum", "orthanc"), "count": 12000, "slow_count": 96, "slow_cost": 1.5},
    "medium-16": {"routers": ("haproxy", "hilum", "orthanc"), "only": ("cubic",), "count": 1200, "slow_count": 96,
                  "slow_cost": 1},
    "each-32": {"routers": ("haproxy", "hilum"), "count": 4800},
    **{key: {"routers": ("haproxy", "hilum"), "only": ("cubic",), "count": 16, "cost": 0.6}
       for key in ("tls-in", "tls-out", "tls-both")},
    **{key: {"routers": ("haproxy", "hilum"), "only": ("cubic",), "count": count, "cost": 0.6}
       for key, count in (("handshakes", 1000), ("handshakes-rsa", 500), ("handshakes-resumed", 1000))},
    "refragmented": {"routers": ("haproxy", "hilum-copy", "hilum-splice"), "count": 32},
    "copies": {"routers": ("hilum-copy", "hilum-splice"), "copies": (1, 4), "count": 16},
    "rules": {"routers": RULES[:3], "count": 2000},
    "queue-8k": {"count": 12000, "times": 1},
    "queue-512k": {"count": 800, "times": 2},
    "queue-32m": {"count": 16, "rounds": 2},
    "enqueue-8k": {"count": 12000, "rounds": 3, "routers": ENQUEUE[:1]},
    "enqueue-512k": {"count": 600, "rounds": 3, "routers": ENQUEUE[:1]},
    "enqueue-512k-16": {"count": 600, "rounds": 3, "routers": ENQUEUE[:1]},
    "depth": {"rounds": 1},
    "stalled": {"routers": ("haproxy", "hilum"), "only": ("cubic",), "seconds": 0.7, "cost": 2.2},
    "idle": {"routers": ("haproxy", "hilum"), "rounds": 1},
    "find": {"only": ("cubic",), "times": 1},
    "latency": {"routers": ("direct", "haproxy", "hilum"), "count": 3000},
}


def rows(profile):
    if profile == "full":
        return list(FULL)
    return [replace(row, **SHORT[row.key]) for row in FULL if row.key in SHORT]
