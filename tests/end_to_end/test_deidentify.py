"""The basic profile on every real file that is here, judged by pydicom and dicom3tools, not by our own code; new names."""

import collections
import concurrent.futures
import io
import os
import re
import tempfile
import unittest
import warnings

import pydicom

import dicom
from dicom import CT, EXPLICIT, encoded
from harness import ROOT, SANITIZED, Case, Lua, files_under, folder, node, route, tool
from test_fidelity import storage_samples
from test_morph import UNREADABLE, part10

PROFILE = Lua('require "deidentify" {}')
PIXELS = 0x7FE00008
# The table itself removes these from objects whose definition demands them, or leaves a DICOMDIR without its content.
DEMANDED_NEVERTHELESS = re.compile("ResponsiblePerson|ResponsibleOrganization|PresentationCreation(Date|Time)|DirectoryRecord|"
                                   "FileSetID|OffsetOf")


def files():
    """Instances that can be read to their pixel data; directories of media are none."""
    return [one for one in storage_samples() if one.meta.get(0x0002) and one.meta.get(0x0010) and
            os.path.basename(one.path) not in UNREADABLE and not os.path.basename(one.path).startswith("DICOMDIR")]


def actions():
    """{tag: action of the basic profile} of the committed table."""
    with open(os.path.join(ROOT, "rules", "deidentify_table.lua")) as f:
        rows = re.findall(r'\[0x([0-9A-F]{8})\] = \{ "\w*", "([^"]+)"', f.read())
    return {int(tag, 16): action for tag, action in rows}


def elements(data_set, depth=0):
    """All before pixel data, at every depth."""
    for element in data_set:
        if depth == 0 and element.tag >= PIXELS:
            return
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item, depth + 1)


def is_empty(element):
    return len(element.value) == 0 if element.VR == "SQ" else element.value in ("", None, [], b"")


def values(element):
    several = isinstance(element.value, (list, pydicom.multival.MultiValue))
    return [str(v) for v in element.value] if several else [str(element.value)]


class Names(Case):
    def test_an_instance_without_a_uid_is_called_by_a_new_one_everywhere(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), folder("disk", "$FOLDER/out/{SOPInstanceUID}.dcm"),
                               route("r", ["a", "disk"], morph=PROFILE), uid_key="test")
        sender, names = self.sender(gateway, [(CT, [EXPLICIT])]), set()
        for given in (None, ("UI", b""), ("DA", "20240228"), ("UI", "1.2.3\\4.5"), ("UI", "1.2.777.5")):
            with self.subTest(given):
                rest = [] if given is None else [(0x00080018, *given)]
                one = dicom.Instance(CT, "1.2.777.5", EXPLICIT,
                                     encoded([(0x00080016, "UI", CT), *rest, (0x00100010, "PN", "DOE^JANE")]))
                answer = sender.store(one)
                self.assert_stored(answer)
                self.assertEqual(dicom.text(answer.fields[0x1000]), "1.2.777.5")  # the sender knows no other
                message = sink.messages[-1]
                names.add(message.uid)
                paths = files_under(gateway.folder + "/out")
                self.assertEqual([os.path.basename(path) for path in paths], [message.uid + ".dcm"])
                self.assertEqual(dicom.text(message.command[0x1000]), message.uid)
                read = pydicom.dcmread(paths[0])
                self.assertEqual((read.file_meta.MediaStorageSOPInstanceUID, read.SOPInstanceUID), (message.uid,) * 2)
                with open(paths[0], "rb") as f:
                    self.assertNotIn(b"1.2.777.5", f.read())
        self.assertEqual(len(names), 1)
        self.assertRegex(names.pop(), r"^2\.25\.")


class Profile(Case):
    """Every sample once through a gateway that de-identifies."""

    seconds = 120

    def judged(self, table, before, after, uids):
        """What is wrong with one data set; UIDs are noted by what became of them."""
        old = collections.defaultdict(set)
        for element in elements(before):
            if element.VR != "SQ":
                old[int(element.tag)].add(repr(element.value))
        for element in elements(after):
            action = table.get(int(element.tag))
            if element.tag.is_private or element.tag.group == 4 or element.tag.group & 0xFF00 in (0x5000, 0x6000):
                yield f"{element.tag} is still there"
            elif action == "X":
                yield f"{element.keyword} is still there"
            elif action in ("Z", "X/Z") and element.VR != "SQ" and not is_empty(element):
                yield f"{element.keyword} still has a value"
            elif action == "U":
                for uid in filter(None, values(element)):
                    if not uid.startswith(("2.25.", "1.2.840.10008.")):
                        yield f"{element.keyword} is still {uid}"
            elif action and "D" in action and element.VR != "SQ" and not is_empty(element):
                value = repr(element.value)
                if value in old[int(element.tag)] and "ANONYMOUS" not in value and "19000101" not in value:
                    yield f"{element.keyword} is still {value}"
        for keyword in ("PatientIdentityRemoved", "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified"):
            if keyword not in after:
                yield f"{keyword} is missing"
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            if before.get(keyword) and after.get(keyword):
                uids[str(before[keyword].value)].add(str(after[keyword].value))

    def test_nothing_that_the_table_takes_survives_at_any_depth(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", "a", morph=PROFILE), uid_key="test")
        table, uids, count = actions(), collections.defaultdict(set), 0
        self.assertGreater(len(table), 600)
        for one in files():
            with self.subTest(file=os.path.basename(one.path)), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.assert_stored(self.sender(gateway, ((one.sop_class, [one.transfer]),)).store(one))
                before = pydicom.dcmread(one.path, force=True)
                after = pydicom.dcmread(io.BytesIO(part10(sink.messages[-1])), force=True)
                self.assertEqual(list(self.judged(table, before, after, uids)), [])
                count += 1
        self.assertGreater(count, 50)
        self.assertEqual({old: new for old, new in uids.items() if len(new) > 1}, {}, "one UID became several")

    @unittest.skipIf(SANITIZED, "it is the same bytes")
    def test_dciodvfy_finds_no_new_error(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", "a", morph=PROFILE), uid_key="test")
        pairs, folder = [], tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for i, one in enumerate(one for one in files() if len(one.data) < 300_000):
            self.assert_stored(self.sender(gateway, ((one.sop_class, [one.transfer]),)).store(one))
            path = os.path.join(folder.name, f"{i}.dcm")
            with open(path, "wb") as f:
                f.write(part10(sink.messages[-1]))
            pairs.append((one.path, path))
        self.assertGreater(len(pairs), 50)
        with concurrent.futures.ThreadPoolExecutor(2) as both:
            for (path, _), new in zip(pairs, both.map(self.new_errors, pairs)):
                with self.subTest(file=os.path.basename(path)):
                    self.assertEqual(new, [])

    def new_errors(self, pair):
        old, new = map(self.errors, pair)
        return [e for e in (new - old) if not DEMANDED_NEVERTHELESS.search(e)]

    def errors(self, path):
        said = tool("dciodvfy", path, check=False).stdout.splitlines()
        # The meta information is made by this test.
        return collections.Counter(re.sub(r"<[0-9.]+>", "<UID>", line) for line in said
                                   if line.startswith("Error") and "FileMeta" not in line)
