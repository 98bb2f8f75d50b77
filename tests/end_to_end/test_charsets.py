"""Text in Lua is UTF-8 whatever a file says and means: read as pydicom reads it, written back as it was, or all in ISO_IR 192."""

import os
import warnings

import pydicom

import dicom
from dicom import BIG_ENDIAN, CT, DEFLATED, EXPLICIT, IMPLICIT, instance_of
from harness import SAMPLES, Case, Lua, files_under, node, pairs_of, route, same_data, tool
from test_morph import part10, read

CHARSETS = os.path.join(os.path.dirname(SAMPLES), "charset_files")
TEXTS = {"PN", "LO", "SH", "ST", "LT", "UC", "UT"}
VRS = "{ " + ", ".join(f"{vr} = true" for vr in sorted(TEXTS)) + " }"
# Goes over all text at all depths: `act` is done to each element e whose value v is text.
WALK = """local texts = %s
local function walk(ds)
  for e in ds:elements() do
    if e.vr == "SQ" then
      for i = 1, #e.value do walk(e.value[i]) end
    elseif texts[e.vr] then
      local v = e.value
      %s
    end
  end
end
"""
PRINT = WALK % (VRS, 'print(("%08X "):format(e.tag) .. (type(v) == "table" and table.concat(v, "\\\\") or v))')
WRITE_BACK = WALK % (VRS, "e.value = v")
NAME = "Müller^Ζωή=山田^太郎=김^희중"


def morph(body, before=""):
    return Lua(f"{before}function (ds) {body} end")


def plain(value):
    """A text as Lua has it: pydicom leaves empty groups of a name at its end away, some files do not."""
    values = [str(v) for v in value] if isinstance(value, pydicom.multival.MultiValue) else [str(value or "")]
    return "\\".join(v.rstrip(" =") for v in values)


def texts_of(ds):
    """Not what is private: pydicom knows VRs of some that the file does not say."""
    return [(int(e.tag), plain(e.value)) for e in ds.iterall() if e.VR in TEXTS and not e.tag.is_private]


class Files(Case):
    def setUp(self):
        warnings.simplefilter("ignore")
        self.instances = [dicom.read_file(path) for path in files_under(CHARSETS) if path.endswith(".dcm")]
        self.assertGreater(len(self.instances), 15)

    def store_all(self, body, walk=""):
        """What arrives of each file through this morph."""
        sink = self.sink()
        gateway = self.gateway(Lua(walk), node("a", sink), route("r", to="a", morph=morph(body)), workers=1)
        sender = self.sender(gateway, pairs_of(self.instances))
        for one in self.instances:
            self.assert_stored(sender.store(one))
            yield one, sink.messages[-1], gateway

    def test_all_text_is_read_as_pydicom_reads_it(self):
        count = 0
        for one, message, gateway in self.store_all("walk(ds)", PRINT):
            printed = [e["text"].encode("latin-1").decode() for e in gateway.events("a rule prints")][count:]
            count += len(printed)  # the log's characters stand for bytes
            with self.subTest(one.path):
                got = [(int(t[:8], 16), "\\".join(v.rstrip(" =") for v in t[9:].split("\\"))) for t in printed]
                self.assertEqual([t for t in got if not t[0] & 0x10000], texts_of(pydicom.dcmread(one.path)))
                self.assertTrue(same_data(one.data, message.data))

    def test_text_that_is_written_back_is_the_same_byte_for_byte(self):
        for one, message, _ in self.store_all("walk(ds)", WRITE_BACK):
            with self.subTest(one.path):
                self.assertEqual(message.data, one.data)

    def test_a_name_in_the_script_of_the_file_leaves_its_character_set_as_it_is(self):
        for one, message, _ in self.store_all('if ds.PatientName then ds.PatientName = "X" .. ds.PatientName end'):
            with self.subTest(one.path):
                before, after = pydicom.dcmread(one.path), read(message)
                self.assertEqual(after.SpecificCharacterSet, before.SpecificCharacterSet)
                if "PatientName" in before:
                    before.PatientName = "X" + str(before.PatientName)
                self.assertEqual(texts_of(after), texts_of(before))

    def test_a_name_in_other_scripts_makes_all_of_the_instance_utf_8_for_pydicom_and_dcmtk(self):
        for number, (one, message, _) in enumerate(self.store_all(f'ds.PatientName = "{NAME}"')):
            with self.subTest(one.path):
                before, after = pydicom.dcmread(one.path), read(message)
                holds_all = before.SpecificCharacterSet in ("ISO_IR 192", "GB18030")
                self.assertEqual(after.SpecificCharacterSet, before.SpecificCharacterSet if holds_all else "ISO_IR 192")
                self.assertEqual(str(after.PatientName), NAME)
                rest = [[t for t in texts_of(ds) if t[0] != 0x00100010] for ds in (before, after)]
                self.assertEqual(*rest)
                sets = [plain(e.value) for e in after.iterall() if e.tag == 0x00080005]
                self.assertTrue(holds_all or set(sets) == {"ISO_IR 192"}, sets)
                if len(set(sets)) > 1:  # an item of a set of its own, which DCMTK does not convert in the original either
                    continue
                path = f"{self.temporary_folder()}/{number}.dcm"
                with open(path, "wb") as f:
                    f.write(part10(message))
                dumped = tool("dcmdump", "-q", "+U8", "+P", "0010,0010", path).stdout
                self.assertIn(f"[{NAME}]", dumped)


class Made(Case):
    def changed(self, elements, body, transfer=EXPLICIT):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=morph(body)))
        one = instance_of(elements, transfer)
        self.assert_stored(self.sender(gateway, [(CT, [t]) for t in (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)]).store(one))
        return sink.messages[0]

    def test_text_in_items_and_private_text_become_utf_8_too_in_every_encoding(self):
        elements = [(0x00080005, "CS", "ISO_IR 100"), (0x00100010, "PN", "J\xe9r\xf4me".encode("latin-1")),
                    (0x00290010, "LO", "ACME"), (0x00291001, "LO", "\xe9t\xe9 ".encode("latin-1")),
                    (0x00400275, "SQ", [[(0x00321060, "LO", "t\xeate".encode("latin-1"))]]),
                    (0x7FE00010, "OW", bytes(range(256)))]
        for transfer in (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED):
            with self.subTest(transfer):
                ds = read(self.changed(elements, 'ds.StudyDescription = "Голова"', transfer))
                self.assertEqual((ds.SpecificCharacterSet, ds.StudyDescription), ("ISO_IR 192", "Голова"))
                self.assertEqual((ds.PatientName, ds.RequestAttributesSequence[0].RequestedProcedureDescription),
                                 ("Jérôme", "tête"))
                self.assertEqual(ds.PixelData, bytes(range(256)))
                if transfer != IMPLICIT:  # there nobody knows that it is text
                    self.assertEqual(ds[0x00291001].value.rstrip(), "été")

    def test_ascii_in_a_file_without_a_character_set_needs_none(self):
        ds = read(self.changed([(0x00100010, "PN", "DOE^JOHN")], 'ds.PatientName = "ROE^JANE"'))
        self.assertNotIn("SpecificCharacterSet", ds)
        self.assertEqual(ds.PatientName, "ROE^JANE")

    def test_other_text_in_a_file_without_a_character_set_adds_one(self):
        ds = read(self.changed([(0x00100010, "PN", "DOE^JOHN")], 'ds.PatientName = "Ærø^Åse"'))
        self.assertEqual((ds.SpecificCharacterSet, ds.PatientName), ("ISO_IR 192", "Ærø^Åse"))

    def test_a_rule_can_recode_a_file_by_naming_another_character_set(self):
        elements = [(0x00080005, "CS", "ISO_IR 100"), (0x00100010, "PN", "J\xe9r\xf4me".encode("latin-1"))]
        ds = read(self.changed(elements, 'ds.SpecificCharacterSet = "ISO_IR 192"'))
        self.assertEqual((ds.SpecificCharacterSet, ds.PatientName), ("ISO_IR 192", "Jérôme"))
        self.assertEqual(ds.PatientName.original_string.rstrip(), "Jérôme".encode())

    def test_text_that_was_wrong_before_stays_as_it_is_where_nobody_changes_it(self):
        """ISO_IR 100 is said, and UTF-8 is in it."""
        elements = [(0x00080005, "CS", "ISO_IR 100"), (0x00081030, "LO", "Schädel "), (0x00100020, "LO", "OLD")]
        message = self.changed(elements, 'ds.PatientID = "NEW"')
        self.assertEqual(message.data, instance_of(elements[:2] + [(0x00100020, "LO", "NEW")], uid=message.uid).data)
