#!/usr/bin/python3
"""Command sets, as seeds of fuzz_command: the golden ones of tests/wire, by pydicom, and those of DCMTK's tools.

    tests/fuzz/seed_command.py FOLDER
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from traffic import dcmtk_talks, golden_commands, pdvs  # noqa: E402


def main():
    folder = Path(sys.argv[1])
    for i, command in enumerate(golden_commands()):
        (folder / f"golden-{i}").write_bytes(command)
    commands = {payload for talk in dcmtk_talks() for said in talk for _, control, payload in pdvs(said) if control == 3}
    for i, command in enumerate(sorted(commands)):
        (folder / f"dcmtk-{i}").write_bytes(command)


main()
