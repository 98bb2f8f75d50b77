#!/usr/bin/python3
"""Identifiers of queries and responses, as seeds of fuzz_identifier.

    tests/fuzz/seed_identifier.py FOLDER
"""
import sys
import zlib
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

ENCODINGS = [(0, True, True, False), (1, False, True, False), (2, False, False, False), (3, False, True, True)]


def encoded(data_set, is_implicit, is_little, is_deflated):
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = is_implicit, is_little
    write_dataset(out, data_set)
    if not is_deflated:
        return out.getvalue()
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(out.getvalue()) + squeezer.flush()


def data_sets():
    study = Dataset()
    study.SpecificCharacterSet, study.QueryRetrieveLevel, study.RetrieveAETitle = "ISO_IR 100", "STUDY", "PACS1"
    study.PatientName, study.PatientID, study.IssuerOfPatientID = "Doe^*", "42", "HOSP"
    study.StudyInstanceUID, study.NumberOfStudyRelatedInstances = "1.2.3", "17"
    image = Dataset()
    image.QueryRetrieveLevel, image.SOPInstanceUID = "IMAGE", ["1.2.3.1", "1.2.3.2"]
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FailedSOPInstanceUIDList = "1.2.3", "1.2.3.4", ["1.9", "1.8"]
    step = Dataset()
    step.ScheduledProcedureStepID, step.ScheduledStationAETitle, step.Modality = "SPS1", "CT1", "CT"
    worklist = Dataset()
    worklist.PatientID, worklist.StudyInstanceUID, worklist.ScheduledProcedureStepSequence = "42", "1.2.3", [step]
    return [study, image, worklist, Dataset()]


def main():
    folder = Path(sys.argv[1])
    for n, data_set in enumerate(data_sets()):
        for how, is_implicit, is_little, is_deflated in ENCODINGS:
            bytes_ = encoded(data_set, is_implicit, is_little, is_deflated)
            for level in (1, 2):
                front = bytes([how | level << 3 | n % 3 << 6, 3]) + b"abc"
                (folder / f"{n}-{how}-{level}").write_bytes(front + bytes_)


main()
