#!/usr/bin/python3
"""A-ASSOCIATE bodies of DCMTK's tools, as seeds of fuzz_associate.

    tests/fuzz/seed_associate.py FOLDER
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from traffic import dcmtk_talks, pdus  # noqa: E402


def main():
    folder = Path(sys.argv[1])
    for i, talk in enumerate(dcmtk_talks()):
        for is_ac, said in enumerate(talk):
            first = next(pdus(said), b"")
            if first[:1] in (b"\1", b"\2"):
                (folder / f"dcmtk-{i}-{is_ac}").write_bytes(bytes([is_ac]) + first[6:])


main()
