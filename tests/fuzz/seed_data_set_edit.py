#!/usr/bin/python3
"""Writes seeds for fuzz_data_set_edit.c into a folder: those of fuzz_data_set.c, with changes instead of cuts.

    tests/fuzz/seed_data_set_edit.py FOLDER
"""
import subprocess
import sys
import tempfile
from pathlib import Path

CUTS_BYTES = 4  # flags and lengths of pieces, which fuzz_data_set.c has in front
CHANGES = [bytes([0, 0, 4, 0]), bytes([2, 1, 2, 8]), bytes([1, 2, 130, 0]), bytes([3, 0, 9, 7])]


def main():
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as made:
        subprocess.run([Path(__file__).with_name("seed_data_set.py"), made], check=True)
        for i, path in enumerate(sorted(Path(made).iterdir())):
            seed = path.read_bytes()
            changes = CHANGES[:1 + i % len(CHANGES)]
            front = bytes([seed[0] & 3 | i % 2 * 4, len(changes)]) + b"".join(changes)
            (folder / path.name).write_bytes(front + seed[CUTS_BYTES:])


main()
