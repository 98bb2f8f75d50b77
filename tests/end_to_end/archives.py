"""Archives from Debian with contents that tests know: Orthanc and DCMTK's dcmqrscp, a worklist (wlmscpfs), and what they move to.

    world = World([orthanc, orthanc, dcmqrscp], hosts={"DEST": port})
    world.archives[1].find("STUDY", PatientID="B*")      what this one answers when it is asked directly
    world.union("STUDY", PatientID="B*")                 what all of them answer, by study
    world.stop()

Seven patients lie on the archives so that every case is there: a patient whole on one, a study on two of them (duplicates), a study split
between two by its series, a series split by its images, and a patient whose studies are on different ones.
"""

import os
import signal

import dicom
import harness
import peer_data
from dicom import CT, EXPLICIT, IMPLICIT
from peer_client import Client, getting
from peer_data import FIND_OF, GET_OF, UNIQUE_KEY, elements
from sender import Sender

ROOT_UID = "1.2.826.0.1.3680043.10.1234.6"

# What each level asks for: requested keys beside the unique ones above it.
KEYS = {"PATIENT": ["PatientID", "PatientName", "PatientBirthDate", "PatientSex"],
        "STUDY": ["PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID",
                  "StudyDescription"],
        "SERIES": ["SeriesInstanceUID", "SeriesNumber", "Modality", "SeriesDescription"],
        "IMAGE": ["SOPInstanceUID", "SOPClassUID", "InstanceNumber"]}

# (patient, study, series, numbers of its images, archives); -1 is the last one.
PLACES = [("ADAM", 1, 1, [1, 2], [0]), ("ADAM", 1, 2, [1, 2], [0]),
          ("BETA", 2, 1, [1, 2, 3], [1]),
          ("CARL", 3, 1, [1, 2], [0, 1]),  # a study on two
          ("DORA", 4, 1, [1, 2], [0]), ("DORA", 4, 2, [1, 2, 3], [1]), ("DORA", 4, 3, [1], [-1]),  # split by its series
          ("EMIL", 5, 1, [1], [-1]), ("EMIL", 6, 1, [1, 2], [0]),  # the studies of one patient
          ("FAYE", 7, 1, [1, 2], [0]), ("FAYE", 7, 1, [3, 4], [-1]),  # split by its images
          ("GINA", 8, 1, [1, 2], [-1])]


def study_uid(study):
    return f"{ROOT_UID}.{study}"


def series_uid(study, series):
    return f"{study_uid(study)}.{series}"


def image(patient, study, series, number, transfer=EXPLICIT, size=512):
    """A small CT image that archives accept and index."""
    uid = f"{series_uid(study, series)}.{number}"
    of_it = elements(StudyDate=f"202501{study:02}", StudyTime=f"{study:02}1500", AccessionNumber=f"ACC{study}", Modality="CT",
                     ReferringPhysicianName="REFER^R", StudyDescription=f"Study {study} of {patient}",
                     SeriesDescription=f"Series {series}", PatientName=f"{patient}^TEST", PatientID=f"{patient}-1",
                     PatientBirthDate="19700101", PatientSex="O", StudyInstanceUID=study_uid(study),
                     SeriesInstanceUID=series_uid(study, series), StudyID=f"S{study}", SeriesNumber=str(series),
                     InstanceNumber=str(number), Rows=16, Columns=size // 32)
    pixels = bytes((study * 7 + series * 3 + number + i) % 251 for i in range(size))
    more = [(0x00280002, "US", 1), (0x00280004, "CS", "MONOCHROME2"), (0x00280100, "US", 16), (0x00280101, "US", 16),
            (0x00280102, "US", 15), (0x00280103, "US", 0), (0x7FE00010, "OW", pixels)]
    return dicom.instance_of(of_it + more, transfer, CT, uid)


def distribution(count):
    """[the instances of each archive]"""
    out = [[] for _ in range(count)]
    for patient, study, series, numbers, archives in PLACES:
        for at in archives:
            out[min(at, count - 1)] += [image(patient, study, series, number) for number in numbers]
    return out


def store(port, instances, called="ANY-SCP"):
    """C-STORE of all of them, on one association."""
    with Sender(port, harness.pairs_of(instances), called=called, seconds=20 * harness.SLOW) as sender:
        for one in instances:
            answer = sender.store(one)
            assert answer.status == 0, f"{one.uid}: {answer}"


def identifier(level, root="STUDY", **keys):
    """A query's keys: those that this level asks for, without a value unless one is given."""
    asked = KEYS[level] + (KEYS["PATIENT"][2:] if level == "STUDY" and root == "STUDY" else [])
    return {"QueryRetrieveLevel": level, **{key: "" for key in asked}, **keys}


def comparable(answer):
    """An answer without what says where it came from, and in what alphabet."""
    own = ("RetrieveAETitle", "SpecificCharacterSet", "InstanceAvailability", "QueryRetrieveLevel")
    return {key: value for key, value in answer.items() if key not in own}


def find(port, level, root="STUDY", called="ANY-SCP", transfers=(EXPLICIT, IMPLICIT), **keys):
    """Asks whoever listens there; the Outcome."""
    with Client(port, [(FIND_OF[root], list(transfers))], called=called, seconds=20 * harness.SLOW) as client:
        return client.find(FIND_OF[root], **identifier(level, root, **keys))


def get(port, root="STUDY", called="ANY-SCP", **keys):
    """Gets from whoever listens there; the Outcome, whose requests are the C-STOREs."""
    pairs, roles = getting([CT], [EXPLICIT], root)
    with Client(port, pairs, roles=roles, called=called, seconds=20 * harness.SLOW) as client:
        return client.get(GET_OF[root], **keys)


class Archive:
    """One of them, running."""

    def __init__(self, peer, title, kind):
        self.peer, self.title, self.kind, self.port = peer, title, kind, peer.port
        self.instances = []

    def fill(self, instances):
        store(self.port, instances, self.title)
        self.instances = list(instances)

    def find(self, level, root="STUDY", **keys):
        """Its own answers when it is asked directly."""
        outcome = find(self.port, level, root, self.title, **keys)
        assert outcome.status == 0, f"{self.title}: {outcome}"
        return outcome.answers

    def get(self, root="STUDY", **keys):
        return get(self.port, root, self.title, **keys)

    def signal(self, number):
        """To its process and to those that it has forked, one an association."""
        pid = self.peer.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            children = [int(one) for one in f.read().split()]
        for one in [pid, *children]:
            os.kill(one, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.peer.process.wait()

    def freeze(self):
        """It stands still: connections are made, and nothing is said on them any more."""
        self.signal(signal.SIGSTOP)

        def stands():
            with open(f"/proc/{self.peer.process.pid}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "T"
        harness.wait_until(stands, f"{self.title} stands still")

    def thaw(self):
        self.signal(signal.SIGCONT)

    def stop(self):
        if self.peer.process.poll() is None:
            self.kill()
        self.peer.stop()


def orthanc(title, hosts=None, **settings):
    """hosts: where it can move to, and who may ask it for storage commitment, {title: port}."""
    modalities = {name: {"AET": name, "Host": "127.0.0.1", "Port": port, "AllowStorageCommitment": True}
                  for name, port in (hosts or {}).items()}
    peer = harness.Orthanc(title, environment=harness.QUICK, DicomAlwaysAllowFind=True, DicomAlwaysAllowMove=True,
                           DicomAlwaysAllowGet=True, DicomAlwaysAllowEcho=True, DicomModalities=modalities,
                           DicomThreadsCount=20, **settings)
    return Archive(peer, title, "orthanc")


def dcmqrscp(title, hosts=None):
    return Archive(harness.dcmqrscp(title, environment=harness.QUICK, hosts=hosts), title, "dcmqrscp")


class World:
    """Archives with contents. Titles are ARCHIVE1 and so on, in the order of `starters`."""

    def __init__(self, starters, hosts=None):
        self.archives, self.hosts = [], hosts or {}
        try:
            for number, starter in enumerate(starters):
                self.archives.append(starter(f"ARCHIVE{number + 1}", self.hosts))
            for archive, instances in zip(self.archives, distribution(len(starters))):
                archive.fill(instances)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        for archive in self.archives:
            archive.stop()

    @property
    def instances(self):
        """{UID: instance} of all, each once."""
        return {one.uid: one for archive in self.archives for one in archive.instances}

    def holders(self, uid):
        return [a for a in self.archives if uid in [one.uid for one in a.instances]]

    def nodes(self, **keys):
        """Their declarations, named archive1 and so on."""
        return [harness.node(a.title.lower(), a, **keys) for a in self.archives]

    @property
    def names(self):
        return [a.title.lower() for a in self.archives]

    def union(self, level, root="STUDY", **keys):
        """{unique key: the answers of those that have it} of all archives, each asked directly."""
        out = {}
        for archive in self.archives:
            for answer in archive.find(level, root, **keys):
                out.setdefault(answer[UNIQUE_KEY[level]], []).append(comparable(answer))
        return out


# ---- a worklist

STEPS = [("ADAM", "CT"), ("BETA", "MR"), ("CARL", "CT"), ("DORA", "US"), ("EMIL", "MR")]  # studies 1 and so on
WORKLIST = STEPS[:4]  # what a worklist has unless it is told


def worklist_dump(patient, modality):
    """A worklist file as text, for dump2dcm."""
    number = [name for name, _ in STEPS].index(patient) + 1
    return "\n".join([
        f"(0008,0050) SH ACC{number}", f"(0010,0010) PN {patient}^TEST", f"(0010,0020) LO {patient}-1",
        "(0010,0030) DA 19700101", "(0010,0040) CS O", f"(0020,000d) UI {study_uid(number)}", "(0032,1060) LO HEAD",
        "(0040,0100) SQ", "(fffe,e000) na", f"(0008,0060) CS {modality}", "(0040,0001) AE SCANNER", "(0040,0002) DA 20250101",
        "(0040,0003) TM 101500", "(0040,0006) PN PERFORM^P", "(0040,0007) LO HEAD", f"(0040,0009) SH STEP{number}", "(fffe,e00d) na", "(fffe,e0dd) na",
        f"(0040,1001) SH RP{number}", ""])


def worklist(title="WORKLIST", patients=tuple(name for name, _ in WORKLIST)):
    """DCMTK's worklist server with the steps of these patients."""
    program, dump2dcm = harness.need("wlmscpfs"), harness.need("dump2dcm")

    def command(peer):
        folder = os.path.join(peer.received, title)
        os.mkdir(folder)
        open(os.path.join(folder, "lockfile"), "w").close()
        for patient, modality in STEPS:
            if patient not in patients:
                continue
            text = os.path.join(peer.folder, patient + ".dump")
            with open(text, "w") as f:
                f.write(worklist_dump(patient, modality))
            harness.tool(dump2dcm, "-g", text, os.path.join(folder, patient + ".wl"))
        return [program, "-dfp", peer.received, "-dhl", str(peer.port)]
    return harness.Peer("wlmscpfs", command, harness.QUICK)


def worklist_keys(**step):
    """A worklist query: `step` are keys of the scheduled procedure step."""
    asked = {"Modality": "", "ScheduledStationAETitle": "", "ScheduledProcedureStepStartDate": "",
             "ScheduledProcedureStepStartTime": "", "ScheduledProcedureStepID": "", **step}
    return {"AccessionNumber": "", "PatientName": "", "PatientID": "", "PatientBirthDate": "", "StudyInstanceUID": "",
            "RequestedProcedureID": "", "RequestedProcedureDescription": "", "ScheduledProcedureStepSequence": [asked]}


def ask_worklist(port, called="WORKLIST", patient=None, **step):
    with Client(port, [(peer_data.WORKLIST_FIND, [EXPLICIT, IMPLICIT])], called=called, seconds=20 * harness.SLOW) as client:
        keys = worklist_keys(**step)
        if patient:
            keys["PatientName"] = patient
        return client.find(peer_data.WORKLIST_FIND, **keys)
