#!/usr/bin/python3
"""Writes seeds for fuzz_data_set.c, from pydicom's files, into a folder.

    tests/fuzz/seed_data_set.py FOLDER

A seed is flags and cuts (the fuzzer's first comment says which) and the data set behind the file meta information. Of long values,
pixel data above all, only the front is kept where that leaves a data set: a fuzzer gets through small inputs faster.
"""
import sys
import warnings
from pathlib import Path

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

KEPT_BYTES = 64
MAX_BYTES = 16384


def shorten(dataset):
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                shorten(item)
        elif isinstance(element.value, bytes) and len(element.value) > KEPT_BYTES and not element.is_undefined_length:
            element.value = element.value[:KEPT_BYTES]


def encoded(dataset, is_implicit, is_little):
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = is_implicit, is_little
    write_dataset(out, dataset)
    return out.getvalue()


def seeds(path):
    """(flags, bytes) of one file: as it is, and shortened."""
    dataset = pydicom.dcmread(path, force=True)
    is_implicit, is_little = dataset.is_implicit_VR, dataset.is_little_endian
    flags = 2 if is_implicit else 0 if is_little else 1
    raw = path.read_bytes()
    meta = getattr(dataset, "file_meta", None)
    if raw[128:132] == b"DICM" and meta and "FileMetaInformationGroupLength" in meta:
        yield flags, raw[144 + meta.FileMetaInformationGroupLength:]
    shorten(dataset)
    yield flags, encoded(dataset, is_implicit, is_little)


def main():
    folder = Path(sys.argv[1])
    warnings.simplefilter("ignore")
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm")):
        try:
            made = list(seeds(path))
        except Exception:  # pydicom cannot write all that it reads; one file less
            made = []
        for i, (flags, data_set) in enumerate(made):
            if len(data_set) <= MAX_BYTES:
                # The same cuts in all: the fuzzer finds others. Skips and passes in every second.
                (folder / f"{path.stem}-{i}").write_bytes(bytes([flags | 12 * i, 1, 7, 0]) + data_set)


main()
