#!/usr/bin/python3
"""Scripts for fuzz_ul: an association's life, its collisions, and its ends.

    tests/fuzz/seed_ul.py FOLDER
"""
import sys
from pathlib import Path

REQUESTOR, ACCEPTOR = 0, 0x80
CONNECTED, RELEASES, CONFIRMS, ABORTS, FAULT, EXPIRES, BREAKS = 12, 6, 7, 8, 9, 10, 11


def carries(who):
    return bytes([who, 0xFF])


def data(who):
    return bytes([who | 4, 3]) + b"abc" + bytes([2])


BEGUN = bytes([CONNECTED]) + carries(REQUESTOR) + bytes([ACCEPTOR | 5, 1]) + carries(ACCEPTOR)


def scripts():
    there, back = carries(REQUESTOR), carries(ACCEPTOR)
    yield "whole", BEGUN + data(0) + there + data(0x80) + back + bytes([RELEASES]) + there + bytes([ACCEPTOR | CONFIRMS]) + back + there
    yield "rejected", bytes([CONNECTED]) + there + bytes([ACCEPTOR | 5, 0]) + back + there
    both = BEGUN + bytes([RELEASES, ACCEPTOR | RELEASES]) + there + back
    yield "collision", both + bytes([CONFIRMS, ACCEPTOR | CONFIRMS]) + there + back + bytes([ACCEPTOR | CONFIRMS]) + back + there
    for who in (REQUESTOR, ACCEPTOR):
        for name, end in (("abort", ABORTS), ("break", BREAKS), ("expire", EXPIRES), ("fault", FAULT)):
            yield f"{name}-{who}", BEGUN + data(who) + bytes([who | end]) + there + back
            yield f"{name}-{who}-early", bytes([CONNECTED]) + there + bytes([who | end]) + there + back
            yield f"{name}-{who}-late", both + bytes([who | end]) + there + back
    for type_ in range(1, 9):
        yield f"own-{type_}", BEGUN + bytes([ACCEPTOR | 13, 10, type_, 0, 0, 0, 0, 4, 0, 0, 0, 0]) + back


def main():
    folder = Path(sys.argv[1])
    for name, script in scripts():
        (folder / name).write_bytes(b"\0" + script)
        (folder / f"{name}-open").write_bytes(b"\1" + script)


main()
