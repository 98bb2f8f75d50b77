#!/usr/bin/python3
"""Requests to the control socket, as seeds of fuzz_control.

    tests/fuzz/seed_control.py FOLDER
"""
import sys
from pathlib import Path

REQUESTS = [b"list", b"drain pacs", b"resume pacs", b"drain", b"drain folder", b"drain nobody", b"resume k\xc3\xa4se", b'drain a "b"\\',
            b"list \xff", b"", b"x" * 600, b"drain \xff\x80"]


def main():
    folder = Path(sys.argv[1])
    for i, request in enumerate(REQUESTS):
        (folder / f"{i}").write_bytes(request)


main()
