#!/usr/bin/python3
"""Holds the sources to the floors of docs/architecture.md.

    tools/check_floors.py [ROOT]       prints FILE:LINE: what is wrong; exit 1 if there is anything
    tools/check_floors.py --self-test  shows that each rule can fail

A file includes its own folder or lower floors only; two folders on one floor are strangers. Besides, only src/io
knows liburing and errno: everywhere else system calls have answered with one of our results.
"""

import re
import sys
import tempfile
from pathlib import Path

FLOORS = [
    ["base"],
    ["mem"],
    ["io", "pdu", "dimse", "dicom", "tls", "guard"],
    ["ul", "stream", "config"],
    ["association", "script", "spool", "codec"],
    ["route"],
    ["relay"],
    ["worker"],
    ["admin"],
    ["command"],
    ["main.c"],
]
FLOOR_OF = {folder: floor for floor, folders in enumerate(FLOORS) for folder in folders}

# Where errno may be spoken of outside src/io, and why. A path, or a folder with its slash.
ERRNO_ALLOWED = {
    "base/log.c": "a line of log leaves errno as it found it",
    "guard/": "confines the process, before there is a ring",
    "script/": "reads the configuration and its modules, before there is a ring",
    "command/": "reads the files of its command line and waits for signals, without a ring",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
ERRNO = re.compile(r"\berrno\b")
# Comments, strings and characters; an include is read before they are blanked.
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def include_fault(folder, quote, target):
    """What is wrong with an include in a file of `folder`, or None."""
    if quote == "<":
        is_ring = target.startswith("liburing") or target == "linux/io_uring.h"
        return f"<{target}> belongs to src/io alone" if is_ring and folder != "io" else None
    if "/" not in target:
        return f'"{target}" has no folder: includes are written "folder/file.h"'
    of = target.split("/")[0]
    if of == folder:
        return None
    if of not in FLOOR_OF:
        return f'"{target}": no floor is named {of}'
    if FLOOR_OF[of] == FLOOR_OF[folder]:
        return f'"{target}": {folder} and {of} share floor {FLOOR_OF[of]} and are strangers'
    if FLOOR_OF[of] > FLOOR_OF[folder]:
        return f'"{target}": {of} (floor {FLOOR_OF[of]}) is above {folder} (floor {FLOOR_OF[folder]})'
    return None


def may_use_errno(name):
    return name.startswith("io/") or any(name == a or (a.endswith("/") and name.startswith(a)) for a in ERRNO_ALLOWED)


def faults_of(name, text):
    """Yields (line, fault) of the file `name`, given relative to src."""
    folder = name.split("/")[0]
    if folder not in FLOOR_OF:
        yield 1, f"no floor is named {folder}"
        return
    code = NOT_CODE.sub(blank, text).split("\n")
    for number, line in enumerate(text.split("\n"), 1):
        include = INCLUDE.match(line)
        if include and "#" in code[number - 1]:
            fault = include_fault(folder, include[1], include[2])
            if fault:
                yield number, fault
        if ERRNO.search(code[number - 1]) and not may_use_errno(name):
            yield number, "errno belongs to src/io: it is turned into a result where the system call is made"


def check(root):
    """Returns every fault under root/src as FILE:LINE: text."""
    src = Path(root) / "src"
    faults = []
    for path in sorted(p for p in src.rglob("*") if p.suffix in (".c", ".h")):
        for line, fault in faults_of(str(path.relative_to(src)), path.read_text(encoding="utf-8")):
            faults.append(f"{path.relative_to(root)}:{line}: {fault}")
    return faults


# file, text, the line at fault (0: none), why
CASES = [
    ("pdu/a.c", '#include "pdu/a.h"\n#include "base/a.h"\n#include <stdio.h>\n', 0, "own folder and below"),
    ("main.c", '#include "command/a.h"\n', 0, "the top includes what is below"),
    ("pdu/a.c", '#include "base/a.h"\n#include "ul/a.h"\n', 2, "upwards"),
    ("base/a.h", '#include "mem/a.h"\n', 1, "upwards by one, from a header"),
    ("pdu/a.c", '#include "dimse/a.h"\n', 1, "a stranger on the same floor"),
    ("pdu/a.c", '#include "a.h"\n', 1, "no folder"),
    ("pdu/a.c", '#include "nowhere/a.h"\n', 1, "an unknown folder"),
    ("nowhere/a.c", "\n", 1, "a file in an unknown folder"),
    ("pdu/a.c", '/*\n#include "ul/a.h"\n*/\n', 0, "an include in a comment"),
    ("io/a.c", "#include <liburing.h>\nint e(void) { return errno; }\n", 0, "io has liburing and errno"),
    ("worker/a.c", "#include <liburing.h>\n", 1, "liburing elsewhere"),
    ("worker/a.c", "#include <linux/io_uring.h>\n", 1, "the kernel's header elsewhere"),
    ("worker/a.c", "/* \" */\nint e(void)\n{\n    return errno;\n}\n", 4, "errno elsewhere"),
    ("worker/a.c", "#include <errno.h>\n", 1, "its header elsewhere"),
    ("worker/a.c", '// errno\nconst char *t = "errno"; /* errno */\n', 0, "errno in words"),
    ("base/log.c", "int e(void) { return errno; }\n", 0, "an exception"),
    ("base/text.c", "int e(void) { return errno; }\n", 1, "beside an exception"),
]


def self_test():
    for name, text, line, why in CASES:
        with tempfile.TemporaryDirectory() as root:
            path = Path(root) / "src" / name
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
            faults = check(root)
        lines = [int(f.split(":")[1]) for f in faults]
        if lines != ([line] if line else []):
            sys.exit(f"check_floors.py is wrong about {why}: {faults}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        sys.exit(0)
    found = check(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    for text in found:
        print(text)
    sys.exit(1 if found else 0)
