"""What is derived from samples, in series by round: {round: value}."""

from .spread import differences, ratios, spread

GB = 1e9


def per(sample, what, unit):
    """sample[what] for each GB or each instance."""
    if sample.get(what) is None:
        return None
    amount = sample["bytes"] / GB if unit == "GB" else sample["instances"]
    return sample[what] / amount if amount else None


METRICS = {
    "instances": lambda s: s.get("instances"),
    "instances_per_s": lambda s: s.get("instances_per_s"),
    "gb_per_s": lambda s: s.get("gb_per_s"),
    "cpu_per_gb": lambda s: per(s, "cpu_s", "GB"),
    "cpu_user_per_gb": lambda s: per(s, "cpu_user_s", "GB"),
    "cpu_system_per_gb": lambda s: per(s, "cpu_system_s", "GB"),
    "machine_per_gb": lambda s: per(s, "machine_s", "GB"),
    "cpu_per_instance_us": lambda s: scaled(per(s, "cpu_s", "instance"), 1e6),
    "machine_per_instance_us": lambda s: scaled(per(s, "machine_s", "instance"), 1e6),
    "cpu_user_per_instance_us": lambda s: scaled(per(s, "cpu_user_s", "instance"), 1e6),
    "cpu_system_per_instance_us": lambda s: scaled(per(s, "cpu_system_s", "instance"), 1e6),
    "resident_mib": lambda s: scaled(s.get("resident_bytes"), 1 / 1048576),
    "p50_us": lambda s: s.get("latency_p50_us"),
    "p99_us": lambda s: s.get("latency_p99_us"),
    "first_us": lambda s: s.get("first_p50_us"),
    "kept": lambda s: s.get("kept"),
    "alone_gb_per_s": lambda s: s.get("alone_gb_per_s"),
    "bytes_per_association": lambda s: s.get("bytes_per_association"),
    "associations": lambda s: s.get("associations"),
    "of_writer": lambda s: s.get("of_writer"),
    "writer_instances_per_s": lambda s: s["instances"] / s["writer_s"] if s.get("writer_s") else None,
    "instances_per_sync": lambda s: s["instances"] / s["syncs"] if s.get("syncs") else None,
    "group_kib": lambda s: s["log_bytes"] / s["groups"] / 1024 if s.get("groups") else None,
    "starting_ms": lambda s: scaled(s.get("starting_s"), 1000),
    "listing_ms": lambda s: scaled(s.get("listing_s"), 1000),
}


def scaled(value, factor):
    return None if value is None else value * factor


class Figures:
    """The samples of a result, by congestion control, row and entry."""

    def __init__(self, result):
        self.rounds, self.warm = {}, {}
        for sample in result["samples"]:
            key = sample["congestion"], sample["row"], sample["entry"]
            if sample["round"]:
                self.rounds.setdefault(key, {})[sample["round"]] = sample["figures"]
            elif sample["figures"]:
                self.warm[key] = sample["figures"]

    def entries(self, congestion, row):
        return [entry for c, r, entry in self.rounds if (c, r) == (congestion, row)]

    def has(self, congestion, row, entry):
        return (congestion, row, entry) in self.rounds

    def series(self, congestion, row, entry, metric):
        """{round: value}, without the rounds in which it was not measured."""
        rounds = self.rounds.get((congestion, row, entry), {})
        values = {number: METRICS[metric](figures) for number, figures in rounds.items()}
        return {number: value for number, value in values.items() if value is not None}

    def spread(self, congestion, row, entry, metric):
        return spread(self.series(congestion, row, entry, metric).values())

    def ratio(self, congestion, row, entry, other, metric):
        """Of two entries of a row, pair by pair."""
        return spread(ratios(self.series(congestion, row, entry, metric),
                             self.series(congestion, row, other, metric)).values())

    def added(self, congestion, row, entry, metric, base="direct"):
        """{round: how much more than the base}"""
        return differences(self.series(congestion, row, entry, metric), self.series(congestion, row, base, metric))

    def added_ratio(self, congestion, row, entry, other, metric):
        return spread(ratios(self.added(congestion, row, entry, metric),
                             self.added(congestion, row, other, metric)).values())

    def syscalls_per_gb(self, congestion, row, entry):
        warm = self.warm.get((congestion, row, entry))
        return warm["syscalls"] / warm["bytes"] * GB if warm and warm["bytes"] else None

    def syscalls_per_instance(self, congestion, row, entry):
        warm = self.warm.get((congestion, row, entry))
        return warm["syscalls"] / warm["instances"] if warm and warm["instances"] else None
