#!/usr/bin/python3
"""Configurations, as seeds of fuzz_config: those of rules/, the Lua of docs/, and those of unit tests; and their keys, a declaration each.

    tests/fuzz/seed_config.py FOLDER
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MAX_BYTES = 16384


def texts():
    for path in sorted((ROOT / "rules").rglob("*.lua")):
        yield path.stem, path.read_text()
    for path in sorted((ROOT / "docs").glob("*.md")):
        text = path.read_text()
        for i, block in enumerate(re.findall(r"```lua\n(.*?)```", text, re.S) + re.findall(r"(?:^    .*\n)+", text, re.M)):
            if re.search(r"^\s*(gateway|listen|node|pool|route|caller)\b", block, re.M):
                yield f"{path.stem}-{i}", re.sub(r"^    ", "", block, flags=re.M)
    for path in sorted((ROOT / "tests" / "unit" / "script").glob("*.c")):
        for i, block in enumerate(re.findall(r'((?:"(?:[^"\\]|\\.)*"\s*){1,})', path.read_text())):
            text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', block)).replace("\\n", "\n").replace('\\"', '"')
            if re.search(r"\b(gateway|listen|node|pool|route|caller)\b", text):
                yield f"{path.stem}-{i}", text


KEYS = [
    ["memory = '64MiB', window = '1MiB'", "max_pdu = 16384", "allow = {'10.0.0.0/8'}, ae_titles = {'A*'}", "max_associations = 3",
     "deny = {}", "weight = 2", "balance = 'least', failover = 'wait'", "when = { called = 'X', Modality = 'CT' }"],
    ["timeouts = { idle = '1m', response = '5s' }", "address = '::1'", "calling = 'pass'", "", "", "stream = false, final = true",
     "when = { service = 'find', ['not'] = {} }"],
    ["log = { level = 'debug', format = 'json' }", "tcp_congestion = 'bbr'", "retry = { first = '1s', most = '1h' }, expire = '7d'",
     "deliveries = 2", "balance = 'study'", "zero_copy = 'never', morph = function(ds) ds.PatientID = nil end", ""],
]


def main():
    folder = Path(sys.argv[1])
    for name, text in texts():
        (folder / name).write_bytes(b"\1" + text.encode()[:MAX_BYTES])
    for i, keys in enumerate(KEYS):
        (folder / f"keys-{i}").write_bytes(b"\0" + "\n".join(keys).encode())


main()
