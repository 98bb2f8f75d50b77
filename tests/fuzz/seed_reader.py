#!/usr/bin/python3
"""What DCMTK's tools said, as seeds of fuzz_reader: whole, and what came behind the association's begin.

    tests/fuzz/seed_reader.py FOLDER
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from traffic import dcmtk_talks, pdus  # noqa: E402

KEPT_BYTES = 8192


def main():
    folder = Path(sys.argv[1])
    for i, talk in enumerate(dcmtk_talks()):
        for is_requestor, said in ((0, talk[0]), (1, talk[1])):  # we are the other side
            first, *rest = pdus(said)
            (folder / f"dcmtk-{i}-{is_requestor}").write_bytes(bytes([is_requestor]) + (first + b"".join(rest))[:KEPT_BYTES])
            (folder / f"dcmtk-{i}-{is_requestor}-rest").write_bytes(bytes([is_requestor | 2]) + b"".join(rest)[:KEPT_BYTES])


main()
