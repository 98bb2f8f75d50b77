"""bench/stall as a part of the run: DCMTK's own programs with their defaults, direct and through Hilum."""

import json
import os
import subprocess

from . import machine

KEY = "dcmtk-peers"
PROGRAM = os.path.join(machine.ROOT, "bench", "stall")
RESULT = os.path.join(machine.ROOT, "bench", "results", "stall.json")
SHORT = {"STALL_FILES": "50", "STALL_ROUNDS": "1"}


def run(profile):
    """(what it measured or None, what went wrong or None)"""
    settings = {**os.environ, "HILUM": machine.HILUM, **(SHORT if profile == "short" else {})}
    done = subprocess.run([PROGRAM], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, env=settings, check=False)
    if done.returncode != 0:
        return None, done.stderr.strip() or f"bench/stall ended with {done.returncode}"
    with open(RESULT, encoding="utf-8") as f:
        return json.load(f), None


def lines(result):
    """[(way, median, least, greatest, ms for each instance)] in text."""
    return [[way["what"].replace("->", "→")] +
            [f"{value:.3f}" for value in (way["median"], min(way["seconds"]), max(way["seconds"]))] +
            [f"{way['median'] * 1000 / result['files']:.2f}"] for way in result["ways"]]
