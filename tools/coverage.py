#!/usr/bin/python3
"""Which lines of src/ ran, of a build with COVER=1.

    tools/coverage.py BUILD [--least PERCENT] [--lines] FOLDER ...

A line for each folder of src/, and for each file of the folders named; these must have PERCENT of their lines run, or it exits with 1.
--lines shows which lines did not run.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path


def lines_of(notes, build):
    """{file of src/: {line: how often it ran}} of one object's notes."""
    gcov = subprocess.run(["gcov", "--json-format", "--stdout", notes.resolve()], stdout=subprocess.PIPE, check=True,
                          stderr=subprocess.DEVNULL, cwd=build)
    found = {}
    for text in gcov.stdout.decode().splitlines():
        for file in json.loads(text)["files"]:
            name = Path(file["file"])
            name = name.relative_to(Path.cwd()) if name.is_absolute() and name.is_relative_to(Path.cwd()) else name
            if name.parts[0] == "src":
                lines = found.setdefault(str(name), {})
                for line in file["lines"]:
                    number = line["line_number"]
                    lines[number] = lines.get(number, 0) + line["count"]
    return found


def gather(build):
    every = {}
    for notes in sorted(build.glob("obj/src/*/*.gcno")):
        for name, lines in lines_of(notes, build).items():
            into = every.setdefault(name, {})
            for number, count in lines.items():
                into[number] = into.get(number, 0) + count
    return every


def ranges(numbers):
    """[3, 4, 5, 9] as "3-5 9"."""
    runs = []
    for n in sorted(numbers):
        if runs and runs[-1][1] == n - 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def row(name, files):
    lines = sum(len(f) for f in files)
    ran = sum(1 for f in files for count in f.values() if count)
    print(f"{name:<34} {lines:>6} {ran:>6} {100 * ran / lines if lines else 100:>6.1f} %")
    return 100 * ran / lines if lines else 100


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--least", type=float, default=0)
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("folders", nargs="*")
    arguments = parser.parse_intermixed_args()
    every = gather(arguments.build)
    if not every:
        sys.exit(f"{arguments.build}: nothing was built there with COVER=1")
    print(f"{'':<34} {'lines':>6} {'ran':>6}")
    short = []
    for folder in sorted({Path(name).parts[1] for name in every}):
        files = {name: lines for name, lines in every.items() if Path(name).parts[1] == folder}
        percent = row(f"src/{folder}", files.values())
        if folder not in arguments.folders:
            continue
        for name, lines in sorted(files.items()):
            row("  " + name, [lines])
            missed = [n for n, count in lines.items() if not count]
            if arguments.lines and missed:
                print("     " + ranges(missed))
        if percent < arguments.least:
            short.append(f"src/{folder}")
    missing = set(arguments.folders) - {Path(name).parts[1] for name in every}
    for folder in sorted(missing):
        short.append(f"src/{folder}")
    if short:
        print(f"less than {arguments.least:g} % of the lines ran in", ", ".join(short))
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
