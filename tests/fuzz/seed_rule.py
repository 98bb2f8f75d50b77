#!/usr/bin/python3
"""Rules over small data sets, as seeds of fuzz_rule.

    tests/fuzz/seed_rule.py FOLDER
"""
import struct
import sys
from pathlib import Path

BODIES = [
    "ds.PatientID = 'X' .. (ds.PatientID or '')",
    "ds['0010,0010'] = nil ds.PatientName = 'Doe^J\\xc3\\xb6rg'",
    "ds[0x00080060] = 'MR' return ds.Modality == 'MR'",
    "ds:remove_private() ds:remove_private('behind')",
    "ds:private('ACME 1.1', 0x0029, 0x10, 'value', 'LO') return ds:private('ACME 1.1', 0x0029, 0x10)",
    "for i, e in ds:elements() do print(e.tag, e.vr, e.value) end",
    "ds:walk({ PatientID = 'remove', ['0008,1155'] = function(v) return uid.map(v) end })",
    "local s = ds.ReferencedImageSequence; if s then s[1].ReferencedSOPInstanceUID = '1.2' s[#s + 1] = { ReferencedSOPInstanceUID = '1.3' } end",
    "ds.StudyDate = date.shift(ds.StudyDate, -3) ds.AccessionNumber = hash(ds.AccessionNumber or '', 8)",
    "local t = {} for i = 1, 100 do t[i] = ds.PatientID end return #t > 3 and assoc.calling == 'CT1'",
    "while true do end",
    "local s = 'x' while true do s = s .. s end",
    "local ok = pcall(function() while true do end end) return ok",
    "return string.rep('a', 1e9)",
    "ds.Rows = 512 ds.PixelSpacing = {0.5, 0.5} ds.ImageType = {'DERIVED', 'SECONDARY'}",
    "return ds.SOPInstanceUID, ds.sop_class, ds.transfer_syntax",
]


def element(tag, vr, value, is_explicit, order):
    value += b"\0" * (len(value) % 2) if vr == "UI" else b" " * (len(value) % 2)
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if not is_explicit:
        return head + struct.pack(order + "I", len(value)) + value
    if vr == "SQ":
        return head + b"SQ\0\0" + struct.pack(order + "I", len(value)) + value
    return head + vr.encode() + struct.pack(order + "H", len(value)) + value


def data_set(is_explicit, order):
    def one(tag, vr, value):
        return element(tag, vr, value, is_explicit, order)
    inside = one(0x00081155, "UI", b"1.2.3")
    item = struct.pack(order + "HHI", 0xFFFE, 0xE000, len(inside)) + inside
    return b"".join([one(0x00080005, "CS", b"ISO_IR 100"), one(0x00080018, "UI", b"1.2.3"), one(0x00080020, "DA", b"20260131"),
                     one(0x00080050, "SH", b"A1"), one(0x00080060, "CS", b"CT"), one(0x00081140, "SQ", item),
                     one(0x00100010, "PN", b"Doe^John"), one(0x00100020, "LO", b"42"), one(0x00290010, "LO", b"ACME 1.1"),
                     one(0x00291010, "LO", b"old")])


def main():
    folder = Path(sys.argv[1])
    for i, body in enumerate(BODIES):
        for how, (is_explicit, order) in enumerate(((True, "<"), (False, "<"), (True, ">"))):
            for flags in (how, how | 4, how | 8):
                text = body.encode()
                (folder / f"{i}-{flags}").write_bytes(bytes([flags]) + struct.pack(">H", len(text)) + text + data_set(is_explicit, order))


main()
