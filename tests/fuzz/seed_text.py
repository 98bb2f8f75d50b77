#!/usr/bin/python3
"""What people write, as seeds of fuzz_text.

    tests/fuzz/seed_text.py FOLDER
"""
import sys
from pathlib import Path

TEXTS = [
    ["64", "64KiB", "1MiB", "10MB", "18446744073709551615", "250ms", "7d", "0", "waiting,failed"],
    ["10.1.0.5", "10.0.0.0/8", "::1", "2001:db8::/32", "::ffff:10.0.0.1/100", "10.0.0.1/33"],
    ["pacs.local:104", "[::1]:104", "[fe80::1%eth0]:11112", ":104", "a:0", "ARCHIVE"],
    ["PatientID", "0010,0020", "RequestAttributesSequence[2].ScheduledProcedureStepID", "(0008,1140)[1].0008,1155", "PatientIDD"],
    ["/data/{calling}/{date}/{SOPInstanceUID}.dcm\n../..", "{SOPInstanceUID}\n..", "/a/{Modality}/{SOPInstanceUID}\n", "/{{}"],
    ["./x/{PatientID}{SOPInstanceUID}\n/etc/passwd", "{RequestAttributesSequence[1].ScheduledProcedureStepID}/{SOPInstanceUID}\n\x01\xff"],
    ["CT*\nCT1", "*a*b?\nxxaxxbx", "????\n\xc3\xa4\xc3\xb6", "**\n", "a*a*a*a*a*a*b\naaaaaaaaaaaaaaaaaaaaaaa"],
    ["20260228", "20240229", "20260101123456.123456+0100", "00010101", "235959", "99991231"],
]


def main():
    folder = Path(sys.argv[1])
    for kind, texts in enumerate(TEXTS):
        for i, text in enumerate(texts):
            (folder / f"{kind}-{i}").write_bytes(bytes([kind | i << 3 & 0xFF]) + text.encode("latin-1"))


main()
