"""What a run has seen, in a screenful."""

import collections
import os

from guard import RATE
from harness import SANITIZED


def rows(soak, ledger):
    """[(name, words)]"""
    figures, seconds = ledger.figures(), soak.minutes * 60
    incomplete = {uid for uid, _ in ledger.lost()}
    return [
        ("load", f"{seconds:.0f} s, {figures['acknowledged'] / seconds:.1f} instances acknowledged a second"),
        ("instances", f"{figures['sent']} sent, {figures['acknowledged']} acknowledged, {len(ledger.acknowledged - incomplete)} of them found wherever they belong"),
        ("  of which must be none", some(figures, "lost", "damaged", "invented")),
        ("  the others", some(figures, "refused", "unanswered", "more than once", "unacknowledged")),
        ("services answered by success", ", ".join(f"{what} {ok} of {total}" for what, (ok, total) in sorted(successes(ledger).items()))),
        ("  of what they promised", f"{len(ledger.steps)} procedure steps, {len(ledger.steps_lost())} lost; {len(ledger.committed)} instances committed, "
                                    f"{len(ledger.wrongly_committed())} of them not there; {ledger.moved} moved"),
        ("refused as expected", ", ".join(f"{number} {kind}" for kind, number in sorted(soak.refusals["refused"].items()))),
        ("  gone before a reason was told", str(sum(soak.refusals["gone"].values()))),
        ("  let in", str(sum(soak.refusals["in"].values()))),
        ("rate", f"{soak.rated(ledger) / soak.load_seconds:.2f} instances a second where {RATE} are allowed"),
        ("reloads", f"{soak.reloads}, {soak.refused_reloads} refused; certificates renewed {soak.guard.renewals} times, spoiled {soak.guard.spoiled} times"),
        ("faults", f"{soak.misfortunes} misfortunes of destinations, {soak.killed_senders} senders killed, {strangers(soak.folder)} strangers"),
        ("log", f"{sum(soak.log.levels.values())} lines, {soak.log.levels['warn']} warnings, {len(soak.log.errors)} errors, "
                f"{len(soak.unexpected())} of them unexpected; {len(soak.log.reported)} reports of sanitizers or assertions"),
        *resources(soak)]


def some(figures, *names):
    return ", ".join(f"{figures[name]} {name}" for name in names)


def successes(ledger):
    """{service: (answered by 0000 or as it had to be, all)}"""
    out = collections.defaultdict(lambda: (0, 0))
    for (what, how), number in ledger.did.items():
        ok, total = out[what]
        out[what] = ok + number * (how in ("ok", "taken", "cut", "cancelled")), total + number
    return out


def strangers(folder):
    with open(os.path.join(folder, "strangers")) as f:
        return sum(1 for _ in f)


def resources(soak):
    if soak.after is None:
        return [("resources", "the gateway did not live to be asked")]
    samples = soak.memory.samples
    limit = f"limit {soak.limit():.0f}" if soak.judges_memory else "not judged: sanitizers" if SANITIZED else "not judged: too short a run"
    return [("RssAnon", f"{max(s[1] for s in samples)} KiB at most, {soak.after[0]} KiB at rest"),
            ("RssAnon, slope of its floor", f"{soak.slope:.1f} KiB/min, {limit}"),
            ("threads", f"{soak.threads} at the start, {max(s[3] for s in samples)} at most, {soak.after[2]} at rest"),
            ("descriptors", f"{sum(soak.at_start.values())} at the start, {sum(soak.left_open.values())} at rest, {sum(soak.leaked().values())} leaked")]
