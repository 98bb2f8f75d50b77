"""The figures as SVG, by gnuplot: bars with their range, from least to greatest. Without gnuplot there are none.

    cpu-CC.svg         processor seconds of the router for each GB, by PDU length
    throughput-CC.svg  GB/s, by PDU length
    latency-CC.svg     p50 and p99 of an 8 KiB C-STORE, everything on one processor
    rate-CC.svg        instances/s of 8 KiB and 512 KiB, on a logarithmic scale
"""

import os
import subprocess
from dataclasses import dataclass

from . import machine
from .figures import Figures

COLOURS = {  # in the order of the bars
    "direct": "#bdbdbd", "haproxy": "#c0392b", "haproxy-256k": "#e07b6f", "haproxy-splice": "#8e44ad",
    "haproxy-splice-1m": "#bb8fce", "nginx": "#d68910", "nginx-256k": "#f5b041", "hilum": "#145a32",
    "hilum-copy": "#27ae60", "hilum-splice": "#82e0aa", "hilum-info": "#7f8c8d", "hilum-modality": "#16a085",
    "hilum-tag": "#48c9b0", "hilum-deidentify": "#a3e4d7", "hilum-queue": "#0e6251", "hilum-ledger": "#117864",
    "hilum-unjournalled": "#76d7c4", "hilum-enqueue": "#196f3d", "hilum-enqueue-deliver": "#52be80",
    "hilum-enqueue-million": "#a9dfbf", "orthanc": "#1f618d",
    "orthanc-disk": "#5499c7", "dcmtk": "#6e2c00", "dcmtk-study": "#a04000",
}
ORDER = list(COLOURS)


@dataclass(frozen=True)
class Plot:
    name: str
    title: str
    unit: str
    bars: tuple            # ((label, row, metric), ...): a cluster each
    logarithmic: bool = False
    without: tuple = ()    # entries


PLOTS = (
    Plot("cpu", "Processor time of the router", "CPU s/GB",
         (("16 KiB PDUs", "pdu-16k", "cpu_per_gb"), ("128 KiB", "pdu-128k", "cpu_per_gb"),
          ("1 MiB", "pdu-1m", "cpu_per_gb"), ("8 associations", "associations-8", "cpu_per_gb")), without=("direct",)),
    Plot("throughput", "Throughput, instances of 32 MiB", "GB/s",
         (("16 KiB PDUs", "pdu-16k", "gb_per_s"), ("128 KiB", "pdu-128k", "gb_per_s"), ("1 MiB", "pdu-1m", "gb_per_s"),
          ("8 associations", "associations-8", "gb_per_s"))),
    Plot("latency", "C-STORE of 8 KiB, everything on one processor", "us",
         (("p50", "latency", "p50_us"), ("p99", "latency", "p99_us"))),
    Plot("rate", "Instances each second", "instances/s, logarithmic",
         (("8 KiB", "size-8k", "instances_per_s"), ("512 KiB", "size-512k", "instances_per_s")), logarithmic=True,
         without=("hilum-info",)),
)


def clusters(plot, figures, congestion):
    """([labels], {entry: [Spread or None for each label]}) of what was measured."""
    bars = [bar for bar in plot.bars if figures.entries(congestion, bar[1])]
    entries = []
    for _, row, _ in bars:
        entries += [entry for entry in figures.entries(congestion, row) if entry not in entries + list(plot.without)]
    entries.sort(key=ORDER.index)
    values = {entry: [figures.spread(congestion, row, entry, metric) for _, row, metric in bars] for entry in entries}
    return [label for label, _, _ in bars], values


def script(plot, congestion, labels, values, path):
    """gnuplot's commands: a histogram with error bars, the data written into it."""
    lines = ["set terminal svg size 960,420 font 'sans-serif,12' background rgb 'white'", f"set output {quoted(path)}",
             f"set title {quoted(f'{plot.title} ({congestion})')}", f"set ylabel {quoted(plot.unit)}",
             "set style data histograms", "set style histogram errorbars gap 1.5 lw 1",
             "set style fill solid 0.9 border -1",
             "set boxwidth 0.9", "set grid ytics lc rgb '#dddddd'", "set key outside right top", "set border 3",
             "set tics nomirror", "set datafile missing '?'",
             "set logscale y" if plot.logarithmic else "set yrange [0:*]"]
    for number, (_, spreads) in enumerate(values.items()):
        lines.append(f"$data{number} << END")
        for label, spread in zip(labels, spreads):
            figures = f"{spread.median} {spread.low} {spread.high}" if spread else "? ? ?"
            lines.append(f"{quoted(label)} {figures}")
        lines.append("END")
    parts = [f"$data{number} using 2:3:4:xtic(1) title {quoted(entry)} lc rgb '{COLOURS[entry]}'"
             for number, entry in enumerate(values)]
    lines.append("plot " + ", \\\n     ".join(parts))
    return "\n".join(lines) + "\n"


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', "'") + '"'


def draw(result, folder):
    """Returns the names of the files it made."""
    gnuplot = machine.find("gnuplot")
    figures, made = Figures(result), []
    for plot in PLOTS if gnuplot else ():
        for congestion in result["congestions"]:
            labels, values = clusters(plot, figures, congestion)
            if not values:
                continue
            name = f"{plot.name}-{congestion}.svg"
            subprocess.run([gnuplot, "-"], input=script(plot, congestion, labels, values, os.path.join(folder, name)),
                           text=True, check=True)
            made.append(name)
    return made
