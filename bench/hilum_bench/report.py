"""A result as Markdown. Written from the result's JSON alone, so that it can be written again."""

import math
import os

from . import peers, plots
from .figures import Figures
from .progress import described
from .spread import spread
from .targets import TARGETS
from .workloads import in_units, rows

FAIRNESS = """\
HAProxy and nginx pass bytes through: they know nothing of DICOM. Hilum parses both legs, maps presentation contexts and
message ids, frames anew, and answers when the destination has answered. HAProxy and nginx write no log; Hilum logs at
`warn`, "hilum-info" at `info`. HAProxy, nginx and Hilum have one thread on a processor of their own, load generator and
sinks share the other.

Orthanc and DCMTK answer when they have stored, and send later: their time ends when the last instance has arrived at the
sink. They may use both processors. An instance costs Orthanc the more the more came before it in the same job, so it is
started anew for each sample, and how many were sent is said; "dcmtk-study" waits for a second after the last instance of
a study."""


# ---- numbers


def number(value):
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def cell(spread):
    """median [least-greatest]"""
    if spread is None:
        return "-"
    if spread.count == 1:
        return number(spread.median)
    return f"{number(spread.median)} [{number(spread.low)}-{number(spread.high)}]"


def table(heads, lines):
    """Markdown: the first column is text, the others are numbers."""
    out = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
    out += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(out)


# ---- tables of a row


def rate_columns(figures, congestion, row):
    """[(head, function of an entry)] of rows that measure rates: by the GB where payload dominates, else by instance."""
    def figure(metric):
        return lambda entry: cell(figures.spread(congestion, row.key, entry, metric))

    def split(user, system):
        def both(entry):
            parts = [figures.spread(congestion, row.key, entry, metric) for metric in (user, system)]
            return "-" if None in parts else " + ".join(number(part.median) for part in parts)
        return both

    def ratio(other, metric):
        def against(entry):
            return "1" if entry == other else cell(figures.ratio(congestion, row.key, entry, other, metric))
        return against

    def calls(of, unit):
        def count(entry):
            value = of(congestion, row.key, entry)
            return "-" if value is None else number(value / unit)
        return count
    bulk = row.size >= 1 << 20
    entries = figures.entries(congestion, row.key)
    cpu = "cpu_per_gb" if bulk else "cpu_per_instance_us"
    columns = [("GB/s", figure("gb_per_s"))] if bulk else [("instances/s", figure("instances_per_s"))]
    if row.slow_count:
        sent = {entry: figures.spread(congestion, row.key, entry, "instances").median for entry in entries}
        columns.insert(0, ("sent", lambda entry: f"{sent[entry]:,.0f}"))
    if row.size == 512 << 10:
        columns.append(("GB/s", figure("gb_per_s")))
    columns.append(("CPU s/GB" if bulk else "CPU us/instance", figure(cpu)))
    columns.append(("user + system", split(cpu.replace("cpu_", "cpu_user_"), cpu.replace("cpu_", "cpu_system_"))))
    columns.append(("machine s/GB" if bulk else "machine us/instance", figure(cpu.replace("cpu_", "machine_"))))
    columns.append(("calls/GB, k", calls(figures.syscalls_per_gb, 1000)) if bulk else
                   ("calls/instance", calls(figures.syscalls_per_instance, 1)))
    if row.key in ("latency", "nagle", "size-8k", "each-1"):
        columns += [("p50 us", figure("p50_us")), ("p99 us", figure("p99_us"))]
    if row.key == "latency":
        columns += [("p50 added", lambda entry: cell(added(figures, congestion, row, entry, "p50_us"))),
                    ("p99 added", lambda entry: cell(added(figures, congestion, row, entry, "p99_us")))]
    columns.append(("resident MiB", figure("resident_mib")))
    for other in ("haproxy", "orthanc") + (("hilum-copy",) if row.group == "the queue" else ()):
        if other in entries:
            columns.append((f"CPU / {other}", ratio(other, cpu)))
            columns.append((f"rate / {other}", ratio(other, "gb_per_s" if bulk else "instances_per_s")))
    return columns


def added(figures, congestion, row, entry, metric):
    return None if entry == "direct" else spread(figures.added(congestion, row.key, entry, metric).values())


def stalled_columns(figures, congestion, row):
    def figure(metric):
        return lambda entry: cell(figures.spread(congestion, row.key, entry, metric))
    return [("GB/s alone", figure("alone_gb_per_s")), ("GB/s beside it", figure("gb_per_s")), ("kept", figure("kept"))]


def idle_columns(figures, congestion, row):
    def figure(metric):
        return lambda entry: cell(figures.spread(congestion, row.key, entry, metric))
    return [("associations", figure("associations")), ("bytes each", figure("bytes_per_association")),
            ("resident MiB with them", figure("resident_mib"))]


def queued_columns(figures, congestion, row, own):
    def figure(metric):
        return lambda entry: cell(figures.spread(congestion, row.key, entry, metric))
    return [("instances/s", figure("instances_per_s")), ("GB/s", figure("gb_per_s")),
            *[(head, figure(metric)) for head, metric in own],
            ("p50 us", figure("p50_us")), ("p99 us", figure("p99_us")),
            ("CPU us/instance", figure("cpu_per_instance_us")),
            ("machine us/instance", figure("machine_per_instance_us")), ("resident MiB", figure("resident_mib"))]


def enqueue_columns(figures, congestion, row):
    return queued_columns(figures, congestion, row, (
        ("the writer's/s", "writer_instances_per_s"), ("of the writer", "of_writer"),
        ("instances a sync", "instances_per_sync"), ("KiB a group", "group_kib")))


def depth_columns(figures, congestion, row):
    return queued_columns(figures, congestion, row, (("start ms", "starting_ms"), ("page ms", "listing_ms")))


def find_columns(figures, congestion, row):
    def figure(metric):
        return lambda entry: cell(figures.spread(congestion, row.key, entry, metric))
    return [("responses/s", figure("instances_per_s")),
            ("of direct", lambda entry: cell(figures.ratio(congestion, row.key, entry, "direct", "instances_per_s"))),
            ("first response us", figure("first_us")), ("query us", figure("p50_us")),
            ("CPU us/response", figure("cpu_per_instance_us")), ("machine us/response", figure("machine_per_instance_us")),
            ("resident MiB", figure("resident_mib"))]


COLUMNS = {"rate": rate_columns, "stalled": stalled_columns, "idle": idle_columns, "enqueue": enqueue_columns,
           "depth": depth_columns, "find": find_columns}


def row_table(figures, congestion, row):
    entries = [name for name, _, _ in row.entries(row.routers) if figures.has(congestion, row.key, name)]
    if not entries:
        return None
    columns = COLUMNS[row.kind](figures, congestion, row)
    lines = [[entry] + [value(entry) for _, value in columns] for entry in entries]
    used = [i for i in range(len(columns) + 1) if i == 0 or any(line[i] not in ("-", "") for line in lines)]
    heads = [congestion] + [head for head, _ in columns]
    return table([heads[i] for i in used], [[line[i] for i in used] for line in lines])


# ---- parts of the page


def about(result):
    machine, versions = result["machine"], result["versions"]
    lines = [f"{result['date']}, Hilum {versions['hilum']} ({result['commit']}), `{result['profile']}` run of "
             f"{result['rounds']} rounds in {result.get('seconds', 0) / 60:.1f} minutes.", "",
             f"{machine['cpus']} x {machine['cpu']}, {machine['memory_gib']} GiB, {machine['hypervisor']}; Linux "
             f"{machine['kernel']}, {machine['system']}; loopback. Congestion control: in each table; the "
             f"machine's own is {machine['default_congestion']}. Spools: on {machine.get('disk', 'an unknown disk')}.", "",
             ", ".join(f"{name} {version}" for name, version in versions.items() if version and name != "hilum") + "."]
    for name, why in result["left_out"].items():
        lines += ["", f"Left out: {name} ({why})."]
    return "\n".join(lines)


def limit_text(target, congestion):
    limit = target.limits[congestion]
    return (">= " if target.at_least else "<= ") + (f"1/{1 / limit:g}" if limit < 0.1 else f"{limit:g}")


def target_table(figures, congestions):
    heads, lines, missing = ["target", "whose"], [], []
    for congestion in congestions:
        heads += [congestion, "measured", "met"]
    for target in TARGETS:
        line, whose = [], set()
        for congestion in congestions:
            found = target.measure(figures, congestion) if congestion in target.limits else None
            if found is None:
                line += [limit_text(target, congestion) if congestion in target.limits else "", "-", "-"]
                continue
            value, ours = found
            whose.add(ours)
            line += [limit_text(target, congestion), cell(value), "yes" if target.met(value, congestion) else "**no**"]
        if whose:
            lines.append([target.what, ", ".join(sorted(whose))] + line)
        else:
            missing.append(target.what)
    return table(heads, lines) + (f"\n\nNot measured in this run: {'; '.join(missing)}." if missing else "")


def page(result):
    figures, congestions = Figures(result), result["congestions"]
    parts = ["# Benchmark of DICOM routers", about(result)]
    if result["errors"]:
        parts.append("**This run has errors; what they hit is not in the tables:**\n\n" +
                     "\n".join(f"- {described(error)}" for error in result["errors"]))
    parts += ["## Targets", "Medians of ratios taken pair by pair in the same round, [least-greatest].",
              target_table(figures, congestions), FAIRNESS]
    for row in rows(result["profile"]):
        tables = [row_table(figures, congestion, row) for congestion in congestions]
        if any(tables):
            parts += [f"## {row.key}: {row.what}", row.described() + ".",
                      *[one for one in tables if one]]
    if result.get("peers"):
        parts += [f"## {peers.KEY}: Nagle's algorithm in storescu and storescp",
                  f"{result['peers']['files']} C-STOREs of {in_units(result['peers']['file_bytes'])} on one association, "
                  "whole processes, with the machine's own congestion control.",
                  table(["seconds", "median", "least", "greatest", "ms each"], peers.lines(result["peers"]))]
    return "\n\n".join(parts) + "\n"


def write(result, folder):
    """report.md and the plots; returns the page."""
    os.makedirs(folder, exist_ok=True)
    text = page(result)
    plotted = plots.draw(result, folder)
    if plotted:
        text += "\n## Plots\n\n" + "\n\n".join(f"![{name}]({name})" for name in plotted) + "\n"
    with open(os.path.join(folder, "report.md"), "w", encoding="utf-8") as f:
        f.write(text)
    return text
