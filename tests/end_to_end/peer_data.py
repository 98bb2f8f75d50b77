"""Identifiers and attribute lists of queries, retrievals and normalized services: by keyword, both ways.

    raw = data_of(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    read(raw) == {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}

What is read is text without padding; a sequence is a list of such dictionaries; a tag that no test names is "gggg,eeee".
"""

import struct

import dicom
from dicom import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT

STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET = (f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3))
PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET = (f"1.2.840.10008.5.1.4.1.2.1.{n}" for n in (1, 2, 3))
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"
MPPS_NOTIFICATION = "1.2.840.10008.3.1.2.3.5"
COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
UPS_PUSH, UPS_WATCH, UPS_PULL, UPS_EVENT = (f"1.2.840.10008.5.1.4.34.6.{n}" for n in (1, 2, 3, 4))
AVAILABILITY = "1.2.840.10008.5.1.4.33"
GRAYSCALE_PRINT = "1.2.840.10008.5.1.1.9"  # the meta class, which a print SCU proposes
FILM_SESSION, FILM_BOX, PRINTER = "1.2.840.10008.5.1.1.1", "1.2.840.10008.5.1.1.2", "1.2.840.10008.5.1.1.16"
PRINTER_INSTANCE = "1.2.840.10008.5.1.1.17"
PRIVATE_SERVICE = "1.2.826.0.1.3680043.10.1234.77"  # what no registry knows

FIND_OF = {"PATIENT": PATIENT_ROOT_FIND, "STUDY": STUDY_ROOT_FIND}
MOVE_OF = {"PATIENT": PATIENT_ROOT_MOVE, "STUDY": STUDY_ROOT_MOVE}
GET_OF = {"PATIENT": PATIENT_ROOT_GET, "STUDY": STUDY_ROOT_GET}
LEVELS = {"PATIENT": ["PATIENT", "STUDY", "SERIES", "IMAGE"], "STUDY": ["STUDY", "SERIES", "IMAGE"]}
UNIQUE_KEY = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}

ATTRIBUTES = {
    "SpecificCharacterSet": (0x00080005, "CS"), "SOPClassUID": (0x00080016, "UI"), "SOPInstanceUID": (0x00080018, "UI"),
    "StudyDate": (0x00080020, "DA"), "StudyTime": (0x00080030, "TM"), "AccessionNumber": (0x00080050, "SH"),
    "QueryRetrieveLevel": (0x00080052, "CS"), "RetrieveAETitle": (0x00080054, "AE"),
    "InstanceAvailability": (0x00080056, "CS"), "FailedSOPInstanceUIDList": (0x00080058, "UI"),
    "Modality": (0x00080060, "CS"), "ModalitiesInStudy": (0x00080061, "CS"), "ReferringPhysicianName": (0x00080090, "PN"),
    "TimezoneOffsetFromUTC": (0x00080201, "SH"), "StudyDescription": (0x00081030, "LO"),
    "SeriesDescription": (0x0008103E, "LO"), "ReferencedStudySequence": (0x00081110, "SQ"),
    "ReferencedPPSSequence": (0x00081111, "SQ"), "ReferencedSeriesSequence": (0x00081115, "SQ"),
    "ReferencedSOPClassUID": (0x00081150, "UI"),
    "ReferencedSOPInstanceUID": (0x00081155, "UI"), "TransactionUID": (0x00081195, "UI"), "FailureReason": (0x00081197, "US"),
    "FailedSOPSequence": (0x00081198, "SQ"), "ReferencedSOPSequence": (0x00081199, "SQ"),
    "PatientName": (0x00100010, "PN"), "PatientID": (0x00100020, "LO"), "PatientBirthDate": (0x00100030, "DA"),
    "PatientSex": (0x00100040, "CS"), "StudyInstanceUID": (0x0020000D, "UI"), "SeriesInstanceUID": (0x0020000E, "UI"),
    "StudyID": (0x00200010, "SH"), "SeriesNumber": (0x00200011, "IS"), "InstanceNumber": (0x00200013, "IS"),
    "NumberOfPatientRelatedInstances": (0x00201204, "IS"), "NumberOfStudyRelatedSeries": (0x00201206, "IS"),
    "NumberOfStudyRelatedInstances": (0x00201208, "IS"), "NumberOfSeriesRelatedInstances": (0x00201209, "IS"),
    "ImageComments": (0x00204000, "LT"),
    "Rows": (0x00280010, "US"), "Columns": (0x00280011, "US"),
    "RequestedProcedureDescription": (0x00321060, "LO"), "ScheduledStationAETitle": (0x00400001, "AE"),
    "ScheduledProcedureStepStartDate": (0x00400002, "DA"), "ScheduledProcedureStepStartTime": (0x00400003, "TM"),
    "ScheduledProcedureStepDescription": (0x00400007, "LO"), "ScheduledProcedureStepID": (0x00400009, "SH"),
    "ScheduledProcedureStepSequence": (0x00400100, "SQ"), "PerformedStationAETitle": (0x00400241, "AE"),
    "PerformedProcedureStepStatus": (0x00400252, "CS"), "PerformedProcedureStepID": (0x00400253, "SH"),
    "ScheduledStepAttributesSequence": (0x00400270, "SQ"), "RequestedProcedureID": (0x00401001, "SH"),
    "PerformedSeriesSequence": (0x00400340, "SQ"), "ProcedureStepState": (0x00741000, "CS"),
    "NumberOfCopies": (0x20000010, "IS"), "PrinterStatus": (0x21100010, "CS"),
}
KEYWORDS = {tag: keyword for keyword, (tag, _) in ATTRIBUTES.items()}
SEQUENCES = {tag for tag, vr in ATTRIBUTES.values() if vr == "SQ"}
BINARY = {tag: vr for tag, vr in ATTRIBUTES.values() if vr == "US"}


def elements(**values):
    """(tag, VR, value) in order, for dicom.encoded; a list of dictionaries is a sequence."""
    out = []
    for keyword, value in values.items():
        tag, vr = ATTRIBUTES[keyword]
        if vr == "SQ":
            value = [elements(**item) for item in value]
        elif vr == "US" and value == "":
            value = b""
        out.append((tag, vr, value))
    return sorted(out, key=lambda e: e[0])


def data_of(transfer=IMPLICIT, **values):
    return dicom.encoded(elements(**values), transfer)


def _header(raw, at, order, explicit):
    """(tag, VR or None, length or None for undefined, bytes of the header)"""
    group, number = struct.unpack_from(order + "HH", raw, at)
    tag = group << 16 | number
    if not explicit or group == 0xFFFE:
        vr, length, head = None, struct.unpack_from(order + "I", raw, at + 4)[0], 8
    else:
        vr = raw[at + 4:at + 6].decode("latin-1")
        if vr in dicom.LONG_VRS:
            length, head = struct.unpack_from(order + "I", raw, at + 8)[0], 12
        else:
            length, head = struct.unpack_from(order + "H", raw, at + 6)[0], 8
    return tag, vr, None if length == 0xFFFFFFFF else length, head


def _items(raw, at, end, order, explicit):
    """The items of a sequence from `at`, up to `end` (None: to its delimiter). Returns (items, where it ended)."""
    out = []
    while end is None or at < end:
        tag, _, length, head = _header(raw, at, order, explicit)
        at += head
        if tag == 0xFFFEE0DD:
            break
        assert tag == 0xFFFEE000, f"{tag:08X} where an item should be"
        one, at = _data_set(raw, at, None if length is None else at + length, order, explicit)
        out.append(one)
    return out, at


def _data_set(raw, at, end, order, explicit):
    out = {}
    while at < len(raw) if end is None else at < end:
        tag, vr, length, head = _header(raw, at, order, explicit)
        at += head
        if tag == 0xFFFEE00D:
            break
        name = KEYWORDS.get(tag, f"{tag >> 16:04x},{tag & 0xFFFF:04x}")
        if vr == "SQ" or length is None or (vr is None and tag in SEQUENCES):
            out[name], at = _items(raw, at, None if length is None else at + length, order, explicit)
            continue
        value = raw[at:at + length]
        assert len(value) == length, f"{name} reaches past its data set"
        at += length
        if tag in BINARY and len(value) == 2:
            out[name] = struct.unpack(order + "H", value)[0]
        else:
            out[name] = dicom.text(value)
    return out, at


def read(raw, transfer=IMPLICIT):
    if transfer == DEFLATED:
        import zlib
        raw, transfer = zlib.decompress(raw, -15), EXPLICIT
    return _data_set(bytes(raw), 0, None, ">" if transfer == BIG_ENDIAN else "<", transfer != IMPLICIT)[0]
