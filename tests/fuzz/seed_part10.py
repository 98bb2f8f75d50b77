#!/usr/bin/python3
"""The fronts of pydicom's files, as seeds of fuzz_part10.

    tests/fuzz/seed_part10.py FOLDER
"""
import sys
from pathlib import Path

import pydicom

KEPT_BYTES = 1024


def main():
    folder = Path(sys.argv[1])
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm")):
        (folder / path.stem).write_bytes(path.read_bytes()[:KEPT_BYTES])


main()
