"""What a route's morph changes, changes; nothing else does, in the file, in the command, or at another destination."""

import difflib
import io
import os
import random
import re
import struct
import threading
import unittest
import warnings
import zlib

import pydicom

import dicom
from dicom import BIG_ENDIAN, CT, DEFLATED, EXPLICIT, IMPLICIT, LAST, MR, encoded, instance_of, p_data, pdv
from harness import Case, Lua, files_under, folder, node, pairs_of, route, same_data, tool, wait_until
from sender import Framing
from test_fidelity import storage_samples

MIB = 1 << 20
ENCODINGS = [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED]
PAIRS = [(CT, [transfer]) for transfer in ENCODINGS]
SET_ID = Lua('function (ds) ds.PatientID = "MORPHED-1" end')
LOOK = Lua("function (ds) local id, name = ds.PatientID, ds.PatientName end")
# Data sets that end in the middle of an element before pixel data: no tree can be made of them.
UNREADABLE = {"rtplan_truncated.dcm"}
# One says Explicit VR and has none, which DCMTK does not read; DCMTK links the items of the other anew and takes for one of theirs what
# stands behind them.
NOT_FOR_DCMTK = {"SC_rgb_jpeg.dcm", "DICOMDIR-nooffset"}

ELEMENTS = [
    (0x00080005, "CS", "ISO_IR 100"), (0x00080060, "CS", "CT"), (0x00090010, "LO", "ACME 1.1"), (0x00091001, "LO", "ONE"),
    (0x00091002, "UN", b"\1\2\3\4"), (0x00100010, "PN", "DOE^JOHN"), (0x00100020, "LO", "OLD"), (0x00280010, "US", 512),
    (0x00400275, "SQ", [[(0x00400009, "SH", "A-1"), (0x00410010, "LO", "ACME 1.1"), (0x00411001, "LO", "IN")],
                        [(0x00400009, "SH", "B-2")]]),
]
PIXELS = (0x7FE00010, "OW", bytes(range(256)) * 1000)
OLD_ID, NEW_ID = b"LO\4\0OLD ", b"LO\x0a\0MORPHED-1 "


def function(body):
    return Lua(f"function (ds, assoc) {body} end")


def part10(message):
    """A message as a file."""
    meta = encoded([(0x00020001, "OB", b"\0\1"), (0x00020002, "UI", message.command[0x0002].decode().strip("\0")),
                    (0x00020003, "UI", message.uid), (0x00020010, "UI", message.transfer)])
    return bytes(128) + b"DICM" + encoded([(0x00020000, "UL", len(meta))]) + meta + message.data


def read(message):
    return pydicom.dcmread(io.BytesIO(part10(message)), force=True)


def with_id(instance, value):
    """The very bytes that the data set has with this PatientID, found by pydicom; None where that is not simply so."""
    raw = pydicom.dcmread(instance.path, force=True)
    start_of_data = os.path.getsize(instance.path) - len(instance.data)
    if instance.transfer == DEFLATED or 0x00100020 not in raw or 0x00100000 in raw or 0x00080001 in raw:
        return None
    old = raw.get_item(0x00100020)
    if not isinstance(old, pydicom.dataelem.RawDataElement) or (old.VR or "LO") != "LO":
        return None
    order = "<" if old.is_little_endian else ">"
    at = old.value_tell - start_of_data
    value += b" " * (len(value) % 2)
    length = struct.pack("<I", len(value)) if old.is_implicit_VR else struct.pack(order + "H", len(value))
    return instance.data[:at - len(length)] + length + value + instance.data[at + old.length:]


def with_new_id(instance):
    """An Explicit VR one of ELEMENTS, as SET_ID makes it."""
    assert instance.data.count(OLD_ID) == 1
    return instance.data.replace(OLD_ID, NEW_ID)


class RealFiles(Case):
    def setUp(self):
        warnings.simplefilter("ignore")  # pydicom's, of what is odd in its files
        self.sinks = {name: self.sink() for name in ("plain", "same", "set")}
        self.gateway_ = self.gateway(*[node(n, s) for n, s in self.sinks.items()], route("plain", to="plain"),
                                     route("same", to="same", morph=LOOK), route("set", to="set", morph=SET_ID))

    def store_all(self):
        """[(instance, message as received, as looked at, as changed)]"""
        instances, out = storage_samples(), []
        sender = self.sender(self.gateway_, pairs_of(instances))
        for one in instances:
            answer = sender.store(one)
            if os.path.basename(one.path) in UNREADABLE:
                self.assertEqual(answer.status, 0xC000, one.path)
                continue
            self.assert_stored(answer)
            out.append((one, *[s.messages[-1] for s in self.sinks.values()]))
        self.assertGreater(len(out), 60)
        self.assertEqual({len(s.messages) for s in self.sinks.values()}, {len(out)})
        return out

    def dumps(self, messages):
        """dcmdump's lines of each."""
        paths = []
        for number, message in enumerate(messages):
            paths.append(f"{self.temporary_folder()}/{number}.dcm")
            with open(paths[-1], "wb") as f:
                f.write(part10(message))
        text = tool("dcmdump", "-q", "+F", "-M", "+E", *paths, check=False).stdout
        parts = re.split(r"^# dcmdump \(\d+/\d+\): .*$", text, flags=re.MULTILINE)[1:]
        self.assertEqual(len(parts), len(messages))
        return [part.splitlines() for part in parts]

    def test_every_file_is_the_same_but_for_what_a_morph_sets(self):
        stored = self.store_all()
        exact = 0
        for one, plain, same, changed in stored:
            with self.subTest(one.path):
                self.assertTrue(same_data(one.data, plain.data), "plain")
                self.assertTrue(same_data(one.data, same.data), "a morph that changes nothing")
                expected = with_id(one, b"MORPHED-1")
                if expected is not None:
                    exact += 1
                    self.assertTrue(same_data(expected, changed.data), "a morph that sets PatientID")
        self.assertGreater(exact, 40)
        before = self.dumps([plain for _, plain, _, _ in stored])
        after = self.dumps([changed for *_, changed in stored])
        for (one, *_), b, a in zip(stored, before, after):
            if os.path.basename(one.path) in NOT_FOR_DCMTK:
                continue
            with self.subTest(one.path):
                diff = [l for l in difflib.ndiff(b, a) if l[0] in "+-" and not l.startswith("(0002", 2)]
                rest = [l for l in diff if not re.match(r"[+-] \((0010,0020|[0-9a-f]{4},0000)\)", l)]
                self.assertEqual(rest, [])
                self.assertTrue(any(l.startswith("+ (0010,0020) LO [MORPHED-1]") for l in diff), diff)

    def test_pixel_data_is_identical_to_the_last_bit(self):
        seen = 0
        for one, plain, _, changed in self.store_all():
            a, b = read(plain), read(changed)
            for tag in (0x7FE00008, 0x7FE00009, 0x7FE00010):
                if tag in a:
                    seen += 1
                    self.assertEqual(a.get_item(tag).value, b.get_item(tag).value, one.path)
            self.assertEqual(b.PatientID, "MORPHED-1", one.path)
        self.assertGreater(seen, 40)


class Changes(Case):
    def morphed(self, body, elements=None, transfer=EXPLICIT, framing=None, instance=None, **settings):
        """What arrives of this instance, as a message; in one route, with one morph."""
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function(body)), **settings)
        one = instance or instance_of(elements or ELEMENTS + [PIXELS], transfer)
        self.assert_stored(self.sender(gateway, PAIRS).store(one, framing))
        self.sent = one
        return sink.messages[0]

    def test_what_is_set_in_an_item_or_removed_is_so_in_every_encoding(self):
        body = """ds.RequestAttributesSequence[2].ScheduledProcedureStepID = "C-34"
                  ds.Rows = 7 ds.PatientName = nil ds.StudyDescription = "NEW" """
        for transfer in ENCODINGS:
            with self.subTest(transfer):
                expected = [e for e in ELEMENTS if e[0] not in (0x00100010, 0x00280010, 0x00400275)] + [
                    (0x00081030, "LO", "NEW"), (0x00280010, "US", 7),
                    (0x00400275, "SQ", [ELEMENTS[-1][2][0], [(0x00400009, "SH", "C-34")]]), PIXELS]
                message = self.morphed(body, transfer=transfer)
                want = instance_of(expected, transfer, uid=self.sent.uid)
                self.assertEqual(message.transfer, transfer)
                if transfer == DEFLATED:
                    inflate = dicom.zlib.decompressobj(-15)
                    got, want.data = inflate.decompress(message.data), instance_of(expected, uid=self.sent.uid).data
                    self.assertTrue(inflate.eof)
                    self.assertEqual(got, want.data)
                else:
                    self.assertEqual(message.data, want.data)

    def test_every_kind_of_value_can_be_set_and_is_read_by_pydicom(self):
        ds = read(self.morphed("""
            ds.PatientAge = "042Y" ds.SliceThickness = 2.5 ds.InstanceNumber = 12 ds.ImageType = { "DERIVED", "SECONDARY" }
            ds.ImagePositionPatient = { 1, -2.5, 1e10 } ds.FrameIncrementPointer = "0018,1063" ds["0018,9087"] = 0.1
            ds[0x00080090] = "REF^ER" ds.StudyDate = "20240229" ds.PatientComments = "a\\\\b"
            ds.ReferencedStudySequence = { { ReferencedSOPInstanceUID = "1.2.3" }, {} }
            local seq = ds.RequestAttributesSequence
            seq[1] = nil  seq[#seq + 1] = { ScheduledProcedureStepID = "NEW", RequestedProcedureID = "R" }"""))
        self.assertEqual((ds.PatientAge, float(ds.SliceThickness), int(ds.InstanceNumber)), ("042Y", 2.5, 12))
        self.assertEqual(list(ds.ImageType), ["DERIVED", "SECONDARY"])
        self.assertEqual([float(v) for v in ds.ImagePositionPatient], [1, -2.5, 1e10])
        self.assertEqual((ds.FrameIncrementPointer, ds.DiffusionBValue), (0x00181063, 0.1))
        self.assertEqual((ds.ReferringPhysicianName, ds.StudyDate, ds.PatientComments), ("REF^ER", "20240229", "a\\b"))
        self.assertEqual([len(i) for i in ds.ReferencedStudySequence], [1, 0])
        self.assertEqual([i.ScheduledProcedureStepID for i in ds.RequestAttributesSequence], ["B-2", "NEW"])
        self.assertEqual(ds.RequestAttributesSequence[1].RequestedProcedureID, "R")
        self.assertEqual(ds.PixelData, PIXELS[2])

    def test_private_blocks_are_read_written_and_removed(self):
        ds = read(self.morphed("""
            ds:private("ACME 1.1", 0x0009, 0x01, ds:private("ACME 1.1", 0x0009, 0x01) .. "+", "LO")
            ds:private("ACME 1.1", 0x0009, 0x02, nil)
            ds:private("OTHER", 0x0009, 0x10, "MINE", "LO")
            assert(ds:private("NOBODY", 0x0009, 0x10) == nil)"""))
        self.assertEqual((ds[0x00091001].value, 0x00091002 in ds), ("ONE+", False))
        self.assertEqual((ds[0x00090011].value, ds[0x00091110].value), ("OTHER", "MINE"))
        self.assertEqual(ds.RequestAttributesSequence[0][0x00411001].value, "IN")

    def test_all_that_is_private_is_removed_at_every_depth_and_behind_pixel_data(self):
        behind = [(0x7FE10010, "LO", "ACME 1.1"), (0x7FE11001, "OB", bytes(100_000)), (0xFFFCFFFC, "OB", b"\0\0")]
        for framing in (None, Framing(data=7)):
            message = self.morphed("ds:remove_private()", ELEMENTS + [(PIXELS[0], "OW", b"12" * 40)] + behind, framing=framing)
            ds = read(message)
            self.assertEqual([e.tag for e in ds.iterall() if e.tag.is_private], [])
            self.assertEqual(ds.DataSetTrailingPadding, b"\0\0")
            self.assertEqual(ds.RequestAttributesSequence[0].ScheduledProcedureStepID, "A-1")

    def test_elements_behind_pixel_data_are_removed_on_demand_and_others_stay(self):
        item, end = struct.pack("<HHI", 0xFFFE, 0xE000, 6), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        encapsulated = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + (item + b"\xff\xd8\1\2\xff\xd9") * 3 + end
        tail = encoded([(0xFFFAFFFA, "SQ", [[(0x04000105, "DT", "2024")]])])
        padding = encoded([(0xFFFCFFFC, "OB", bytes(3000))])
        for pixels in (encapsulated, encoded([PIXELS])):
            for body, left in (("ds.DataSetTrailingPadding = nil", b""), ('ds.PatientID = "X"', padding)):
                one = instance_of(ELEMENTS)
                header, one.data = one.data, one.data + pixels + tail + padding
                for framing in (None, Framing(data=10)) if len(pixels) < 1000 else (None,):
                    message = self.morphed(body, instance=one, framing=framing)
                    if body.startswith("ds.Data"):
                        self.assertEqual(message.data, header + pixels, "signatures go with any change")
                    else:
                        self.assertEqual(message.data, header.replace(OLD_ID, b"LO\2\0X ") + pixels + left)

    def test_copies_behind_pixel_data_of_what_a_rule_sets_or_removes_do_not_leave(self):
        many = "for i = 1, 100 do ds[0x00200000 + i] = nil end "
        with_other = [(0x00100010, "PN", "SECRET"), (0x00100020, "LO", "OLD"), (0x00181030, "LO", "OTHER"), (0xFFFCFFFC, "OB", bytes(8))]
        without = lambda *tags: encoded([e for e in with_other if e[0] not in tags])
        for body, left in (('ds.PatientName = nil ds.PatientID = "ANON"', without(0x00100010, 0x00100020)),
                           ("ds.PatientName = nil", without(0x00100010)),  # there is none in the header
                           ("for e in ds:elements() do if e.tag == 0x00100020 then e.value = e.value end end", without(0x00100020)),
                           (many, without(0x00100010, 0x00100020, 0x00181030)),
                           ("local id = ds.PatientID", without())):
            for transfer in (EXPLICIT, DEFLATED):
                with self.subTest(body, transfer=transfer):
                    header = encoded([(0x00080060, "CS", "CT"), (0x00100020, "LO", "OLD")])
                    plain, tail = header + encoded([PIXELS]), encoded(with_other)
                    one = instance_of([], transfer)
                    squeezer = zlib.compressobj(wbits=-15)
                    one.data = plain + tail if transfer == EXPLICIT else squeezer.compress(plain + tail) + squeezer.flush()
                    got = self.morphed(body, instance=one).data
                    got = got if transfer == EXPLICIT else zlib.decompressobj(-15).decompress(got)
                    self.assertEqual(got, plain.replace(b"LO\4\0OLD ", b"LO\4\0ANON" if "ANON" in body else b"LO\4\0OLD ") + left)

    def test_the_header_is_changed_wherever_the_data_set_is_cut(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=SET_ID))
        sender, one = self.sender(gateway), instance_of(ELEMENTS + [(PIXELS[0], "OW", b"ab" * 20), (0xFFFCFFFC, "OB", bytes(10))])
        context, expected = sender.context_for(one), with_new_id(one)
        for cut in range(1, len(one.data)):
            sender.begin(one)
            sender.wire.send(p_data(pdv(context, 0, one.data[:cut])) + p_data(pdv(context, LAST, one.data[cut:])))
            self.assert_stored(sender.response())
            self.assertEqual(sink.messages[-1].data, expected, f"cut at {cut}")
        for size in range(1, 40):
            self.assert_stored(sender.store(one, Framing(data=size, mixed=True, empty_last=True)))
            self.assertEqual(sink.messages[-1].data, expected, f"pieces of {size}")

    def test_lengths_of_groups_are_right_and_signatures_are_dropped_where_something_changes(self):
        signed = [(0x00100000, "UL", 8 * 2 + 8 + 4), (0x4FFE0001, "SQ", [[(0x04000015, "CS", "MD5")]])]
        elements = sorted(ELEMENTS + signed + [PIXELS])
        ds = read(self.morphed('ds.PatientID = "LONGER-THAN-BEFORE"', elements))
        if 0x00100000 in ds:
            self.assertEqual(ds[0x00100000].value, 8 + 8 + 8 + 18)
        self.assertNotIn(0x4FFE0001, ds)
        same = self.morphed("local id = ds.PatientID", elements)
        self.assertEqual(same.data, self.sent.data)

    def test_a_data_set_that_a_morph_cannot_read_is_refused_with_c000(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=LOOK))
        sender, bad = self.sender(gateway), instance_of(ELEMENTS)
        bad.data = bad.data[:-10]
        answer = sender.store(bad)
        self.assertEqual(answer.status, 0xC000, str(answer))
        self.assertIn("cannot be read", answer.comment)
        self.assertEqual(len(gateway.events("data set cannot be read")), 1)
        self.assert_stored(sender.store(instance_of(ELEMENTS)))
        self.assertEqual(len(sink.messages), 1)

    # A header that ends early is said to be wrong at (0000,0000) (relay/hold.c, end_header).
    def test_the_answer_for_a_data_set_that_ends_early_names_the_element(self):
        gateway = self.gateway(node("a", self.sink()), route("r", to="a", morph=LOOK))
        bad = instance_of(ELEMENTS)
        bad.data = bad.data[:-10]
        self.assertIn("(0040,0275)", self.sender(gateway).store(bad).comment)

    def test_items_that_cannot_be_read_fail_the_morph_that_looks_at_them_and_pass_where_none_does(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("look", to="a", when={"calling": "LOOK"},
                                                      morph=function("local n = #ds.RequestAttributesSequence")),
                               route("set", to="a", when={"calling": "SET"}, morph=SET_ID))
        bad = instance_of(ELEMENTS)
        at = bad.data.index(b"\xfe\xff\0\xe0")
        bad.data = bad.data[:at + 4] + struct.pack("<I", 40_000) + bad.data[at + 8:]
        self.assertEqual(self.sender(gateway, calling="LOOK").store(bad).status, 0xC110)
        self.assertIn("RequestAttributesSequence", gateway.events("a rule failed")[0]["cause"])
        self.assert_stored(self.sender(gateway, calling="SET").store(bad))
        self.assertEqual([m.data for m in sink.messages], [with_new_id(bad)])

    def test_pixel_data_flows_on_behind_a_changed_header_before_the_sender_has_finished(self):
        sink = self.sink(keep=False, max_length=MIB)
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=SET_ID), max_pdu=0)
        one = instance_of(ELEMENTS + [(0x7FE00010, "OW", bytes(64 * MIB))])
        sender = self.sender(gateway)
        context = sender.begin(one)
        sender.data(context, one.data[:60 * MIB])
        wait_until(lambda: sink.arrived() > 56 * MIB, "it flows")
        sender.data(context, one.data[60 * MIB:], last=True)
        self.assert_stored(sender.response())
        expected = with_new_id(one)
        self.assertEqual((sink.messages[0].length, sink.messages[0].crc), (len(expected), dicom.zlib.crc32(expected)))


class Identity(Case):
    """Who an instance is: command, data set, file and answer."""

    RENAME = function("ds.SOPInstanceUID = uid.map(ds.SOPInstanceUID)")

    def test_a_renamed_instance_has_its_new_name_everywhere_and_the_sender_hears_the_old_one(self):
        sink, plain = self.sink(), self.sink()
        gateway = self.gateway(node("a", sink), node("p", plain), folder("disk", "$FOLDER/out/{SOPInstanceUID}.dcm"),
                               route("r", to=["a", "disk"], morph=self.RENAME), route("p", to="p"), uid_key="secret")
        sender = self.sender(gateway)
        for name in ("1.2.3", "1.2.34"):
            one = instance_of(ELEMENTS + [PIXELS], uid=name)
            answer = sender.store(one)
            self.assert_stored(answer)
            self.assertEqual(answer.fields[0x1000], sender.store_command(one)[0x1000].encode() + b"\0" * (len(name) % 2))
            new = sink.messages[-1].uid
            self.assertNotEqual(new, name)
            self.assertEqual(read(sink.messages[-1]).SOPInstanceUID, new)
            file = pydicom.dcmread(f"{gateway.folder}/out/{new}.dcm")
            self.assertEqual((file.SOPInstanceUID, file.file_meta.MediaStorageSOPInstanceUID), (new, new))
            self.assertEqual((plain.messages[-1].uid, plain.messages[-1].data), (name, one.data))
        self.assertEqual(len(files_under(gateway.folder + "/out")), 2)

    def test_a_uid_that_a_morph_leaves_alone_stays_in_the_command_as_it_came(self):
        self.keeps(b"1.2.3 ")
        self.keeps(b"1.2.3\0")

    # A change of any other attribute puts the data set's UID into the command (relay/edition.c, take_uid).
    def test_a_uid_that_a_morph_leaves_alone_stays_in_the_command_where_the_data_set_has_another(self):
        self.keeps(b"1.2.9\0")

    def keeps(self, uid):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=SET_ID))
        one = instance_of(ELEMENTS, uid="1.2.3")
        one.uid = uid
        self.assert_stored(self.sender(gateway).store(one))
        self.assertEqual(bytes(sink.messages[0].command[0x1000]), uid)


    # The context of the old class is used for the new one, without asking the node (PS3.7 9.1.1, PS3.8 7.1.1.13).
    def test_an_instance_of_another_class_leaves_on_a_context_of_that_class_or_not_at_all(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function(f'ds.SOPClassUID = "{MR}"')))
        self.sender(gateway).store(instance_of(ELEMENTS))
        self.assertEqual([m.abstract for m in sink.messages if dicom.text(bytes(m.command[0x0002])) != m.abstract], [])



class Review(Case):
    """What a review of the code found."""

    def test_a_broken_stream_behind_a_chain_that_has_failed_already_is_one_failure(self):
        gateway = self.gateway(node("a", self.sink()), route("r", "a", stream=False, morph=SET_ID), header_max="128KiB",
                               workers=1)
        noise = random.Random(1).randbytes(200000)
        for size in range(60000, 200000, 8000):
            one = instance_of([(0x00100020, "LO", "OLD"), (0x7FE00010, "OW", noise[:size])], DEFLATED)
            one.data = bytes(one.data) + b"\xff" * 100
            with self.subTest(size=size):
                self.assertIn(self.sender(gateway, ((CT, [DEFLATED]),)).store(one).status, (0xA700, 0xC000))
        self.assertTrue(gateway.alive())

    def test_two_morphs_in_different_character_sets_write_what_they_say(self):
        sink = self.sink()
        gateway = self.gateway(
            node("a", sink), route("m1", "a", morph=function('ds.SpecificCharacterSet = "ISO_IR 192" ds.PatientName = "\u00c4"')),
            route("m2", "a", morph=function('ds.SpecificCharacterSet = "ISO_IR 101" ds.PatientName = "\u00c4"')))
        sender = self.sender(gateway, ((CT, [EXPLICIT]),))
        for _ in range(3):
            self.assert_stored(sender.store(instance_of(ELEMENTS + [PIXELS])))
        for message in sink.messages:
            found = read(message)
            self.assertEqual(str(found.PatientName), "\u00c4", found.SpecificCharacterSet)
        self.assertEqual(len(sink.messages), 6)

    def test_a_node_with_a_limit_of_one_gets_two_morphs_one_after_the_other(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink, max_associations=1), route("m1", "a", morph=function('ds.PatientID = "ONE"')),
                               route("m2", "a", morph=function('ds.PatientID = "TWO"')), timeouts={"response": "20s"})
        one = instance_of(ELEMENTS + [(0x7FE00010, "OW", bytes(8 * MIB))])
        self.assert_stored(self.sender(gateway, ((CT, [EXPLICIT]),)).store(one))
        self.assertEqual(sorted(read(m).PatientID for m in sink.messages), ["ONE", "TWO"])

    def twice(self, limit, **settings):
        """A node that gets each instance as it came and morphed; header_max is far less than what is sent. Returns the answer and the sink."""
        sink = self.sink(max_length=1 << 18)
        gateway = self.gateway(node("a", sink, max_associations=limit), route("raw", "a"),
                               route("m", "a", morph=function('ds.PatientID = "NEW"')), header_max="1MiB", timeouts={"response": "20s"}, **settings)
        one = instance_of(ELEMENTS + [(0x7FE00010, "OW", bytes(8 * MIB))])
        return self.sender(gateway, ((CT, [EXPLICIT]),)).store(one), sink

    def test_a_node_with_room_for_both_gets_a_large_instance_twice_at_a_time(self):
        for limit in (2, 4):
            answer, sink = self.twice(limit)
            self.assert_stored(answer)
            self.assertEqual(sorted((read(m).PatientID, len(read(m).PixelData)) for m in sink.messages),
                             [("NEW", 8 * MIB), ("OLD", 8 * MIB)])

    def test_a_node_with_room_for_one_gets_a_large_instance_twice_one_after_the_other(self):
        answer, sink = self.twice(1)
        self.assert_stored(answer)
        self.assertEqual(sorted((read(m).PatientID, len(read(m).PixelData)) for m in sink.messages),
                         [("NEW", 8 * MIB), ("OLD", 8 * MIB)])

    def test_a_node_with_room_for_one_cannot_get_a_large_instance_twice_without_a_spool(self):
        answer, sink = self.twice(1, spool=False)
        self.assertEqual((answer.status, answer.comment), (0xA700, "a: larger than header_max, cannot be held whole"))
        self.assertEqual([read(m).PatientID for m in sink.messages], ["OLD"])

    def test_many_senders_of_what_a_node_gets_twice_do_not_lock_each_other(self):
        """Each has a place at the node and wants a second, but for what can be held, which waits without one."""
        sink = self.sink(keep=False, max_length=1 << 18)
        gateway = self.gateway(node("a", sink, max_associations=4), route("raw", "a"), route("m", "a", morph=function('ds.PatientID = "NEW"')),
                               workers=1, window="256KiB", timeouts={"response": "20s"})
        senders = [self.sender(gateway, ((CT, [EXPLICIT]),)) for _ in range(8)]
        one = instance_of(ELEMENTS + [(0x7FE00010, "OW", bytes(4 * MIB))])
        half = len(one.data) // 2
        contexts = [sender.begin(one) for sender in senders]
        for part, last in ((one.data[:half], False), (one.data[half:], True)):
            threads = [threading.Thread(target=s.data, args=(c, part), kwargs={"last": last}) for s, c in zip(senders, contexts)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for sender in senders:
            self.assert_stored(sender.response())
        self.assertEqual(len(sink.messages), 16)

    def test_a_character_set_that_cannot_hold_the_text_changes_nothing(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", "a", morph=function(
            'assert(not pcall(function() ds.SpecificCharacterSet = "ISO_IR 100" end)) '
            'assert(not pcall(function() ds.SpecificCharacterSet = nil end)) ds.PatientID = "X"')))
        one = instance_of([(0x00080005, "CS", "ISO_IR 192"), (0x00081030, "LO", "\u00e4".encode()),
                           (0x00100010, "PN", "\u5c71\u7530".encode()), PIXELS])
        self.assert_stored(self.sender(gateway, ((CT, [EXPLICIT]),)).store(one))
        found = read(sink.messages[-1])
        self.assertEqual((found.SpecificCharacterSet, found.StudyDescription, str(found.PatientName), found.PatientID),
                         ("ISO_IR 192", "\u00e4", "\u5c71\u7530", "X"))

    def test_an_instance_cannot_be_given_two_names(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", "a", morph=function("ds.SOPInstanceUID = { '1.2.3', '1.2.4' }")))
        one = instance_of([(0x00080018, "UI", "1.2.3.4"), (0x00100020, "LO", "OLD"), PIXELS])
        self.assertEqual(self.sender(gateway, ((CT, [EXPLICIT]),)).store(one).status, 0xC110)
        self.assertEqual(sink.messages, [])

    def test_a_trace_passes_over_what_no_data_set_may_have(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", "a", trace=True, morph=function(
            'ds:remove_private() ds["0002,0010"] = nil ds.PatientID = "NEW"')))
        one = instance_of([(0x00020010, "UI", EXPLICIT), (0x00030010, "LO", "ACME"), (0x00100020, "LO", "OLD"), PIXELS])
        self.assert_stored(self.sender(gateway, ((CT, [EXPLICIT]),)).store(one))
        found = read(sink.messages[-1])
        before, = found.OriginalAttributesSequence[0].ModifiedAttributesSequence
        self.assertEqual((found.PatientID, [(e.keyword, e.value) for e in before]), ("NEW", [("PatientID", "OLD")]))

    def test_a_character_set_is_not_removed_from_text_that_needs_it_by_its_element_either(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", "a", morph=function(
            'for e in ds:elements() do if e.keyword == "SpecificCharacterSet" then e.value = nil end end')))
        one = instance_of([(0x00080005, "CS", "ISO_IR 192"), (0x00100010, "PN", "\u5c71\u7530".encode()), PIXELS])
        self.assertEqual(self.sender(gateway, ((CT, [EXPLICIT]),)).store(one).status, 0xC110)
        self.assertEqual(sink.messages, [])

    def test_what_stands_behind_pixel_data_out_of_order_does_not_survive_a_walk(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", "a", morph=function(
            'for item, tag in ds:walk { [0x00100020] = true } do item[tag] = nil end')))
        plain = instance_of([(0x00080060, "CS", "CT"), (0x00100020, "LO", "OLD"), PIXELS])
        plain.data = bytes(plain.data) + encoded([(0x00100020, "LO", "AGAIN")])
        self.assert_stored(self.sender(gateway, ((CT, [EXPLICIT]),)).store(plain))
        self.assertNotIn(b"AGAIN", sink.messages[-1].data)
        self.assertNotIn(b"OLD", sink.messages[-1].data)


class Editions(Case):
    """What several routes make of one message."""

    def test_two_morphs_to_one_node_are_two_instances_and_the_plain_one_is_a_third(self):
        sink = self.sink()
        one = instance_of(ELEMENTS + [PIXELS])
        gateway = self.gateway(node("a", sink), route("1", to="a", morph=function('ds.PatientID = "ONE"')),
                               route("2", to="a", morph=function('assert(ds.PatientID == "OLD") ds.PatientID = "TWO"')),
                               route("3", to="a"), route("4", to="a"))
        self.assert_stored(self.sender(gateway).store(one))
        got = sorted(read(m).PatientID for m in sink.messages)
        self.assertEqual(got, ["OLD", "ONE", "TWO"])
        self.assertIn(one.data, [m.data for m in sink.messages])

    def test_plain_and_morphed_copies_leave_side_by_side(self):
        sinks = [self.sink() for _ in range(4)]
        gateway = self.gateway(*[node(f"n{i}", s) for i, s in enumerate(sinks)], route("plain", to=["n0", "n1"]),
                               route("1", to="n2", morph=function('ds.PatientID = "2"')),
                               route("2", to="n3", morph=function("ds.PatientID = nil"), stream=False))
        one = instance_of(ELEMENTS + [(0x7FE00010, "OW", bytes(3 * MIB))])
        sender = self.sender(gateway)
        for _ in range(3):
            self.assert_stored(sender.store(one))
        expected = [one.data] * 2 + [one.data.replace(OLD_ID, b"LO\2\x002 "),
                                     one.data.replace(b"\x10\0\x20\0LO\4\0OLD ", b"")]
        for sink, data in zip(sinks, expected):
            self.assertEqual([m.data == data for m in sink.messages], [True] * 3)

    def test_one_morph_runs_once_for_all_three_destinations_of_its_route(self):
        sinks = [self.sink(max_length=m) for m in (0, 16384, 4096)]
        gateway = self.gateway(*[node(f"n{i}", s) for i, s in enumerate(sinks)],
                               route("r", to=["n0", "n1", "n2"],
                                     morph=function('print("runs") ds.SOPInstanceUID = uid.new() ds.PatientID = "X"')))
        self.assert_stored(self.sender(gateway).store(instance_of(ELEMENTS + [PIXELS])))
        self.assertEqual(len(gateway.events("a rule prints")), 1)
        self.assertEqual(len({m.data for s in sinks for m in s.messages}), 1)
        self.assertEqual(len({m.uid for s in sinks for m in s.messages}), 1)
        self.assertEqual([len(s.messages) for s in sinks], [1, 1, 1])
        self.assertEqual(read(sinks[0].messages[0]).PatientID, "X")

    def test_a_folder_is_named_by_what_each_morph_has_made(self):
        gateway = self.gateway(folder("disk", "$FOLDER/out/{PatientID}/{SOPInstanceUID}.dcm"),
                               route("1", to="disk", morph=function('ds.PatientID = "ONE"')),
                               route("2", to="disk", morph=SET_ID), route("3", to="disk"))
        one = instance_of(ELEMENTS + [PIXELS])
        self.assert_stored(self.sender(gateway).store(one))
        got = {f.split("/")[-2]: dicom.read_file(f).data for f in files_under(gateway.folder + "/out")}
        self.assertEqual(got, {"ONE": one.data.replace(OLD_ID, b"LO\4\0ONE "), "MORPHED-1": with_new_id(one), "OLD": one.data})

    def test_a_second_try_sends_the_same_and_runs_no_morph_again(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function('print("runs") ds.PatientID = "MORPHED-1"')))
        sender, one = self.sender(gateway), instance_of(ELEMENTS + [(0x7FE00010, "OW", bytes(300_000))])
        self.assert_stored(sender.store(one))
        sink.at_answer = lambda message: "close" if len(sink.messages) == 2 else None
        self.assert_stored(sender.store(one))
        self.assertEqual([m.data == with_new_id(one) for m in sink.messages], [True] * 3)
        self.assertEqual(len(gateway.events("a rule prints")), 2)

    def test_requests_without_waiting_for_answers_are_each_held_and_changed_alone(self):
        a, b = self.sink(), self.sink()
        gateway = self.gateway(node("a", a), node("b", b), route("1", to="a", morph=SET_ID),
                               route("2", to="b", when={"PatientID": "OLD"}))
        sender, all_of_them = self.sender(gateway), [instance_of(ELEMENTS + [PIXELS]) for _ in range(12)]
        for one in all_of_them:
            sender.send(sender.context_for(one), sender.store_command(one), one.data)
        for one in all_of_them:
            self.assert_stored(sender.response())
        self.assertEqual({m.uid: m.data for m in a.messages}, {one.uid: with_new_id(one) for one in all_of_them})
        self.assertEqual({m.uid: m.data for m in b.messages}, {one.uid: one.data for one in all_of_them})

    def test_what_passes_from_socket_to_socket_is_not_mixed_up_with_what_is_changed(self):
        for morph, passes in ((SET_ID, False), (LOOK, True)):  # without a change there is nothing to put in front
            sinks = [self.sink(max_length=MIB) for _ in range(3)]
            gateway = self.gateway(*[node(f"n{i}", s) for i, s in enumerate(sinks)], route("1", to=["n0", "n1"], morph=morph),
                                   route("2", to="n2"), zero_copy=True, replay_max="0", max_pdu=0)
            sender = self.sender(gateway)
            for number in range(3):
                one = instance_of(ELEMENTS + [(0x7FE00010, "OW", random.randbytes(9 * MIB)), (0xFFFCFFFC, "OB", bytes(10))])
                self.assert_stored(sender.store(one, Framing(pdu=MIB + number)))
                for sink, data in zip(sinks, [one.data if passes else with_new_id(one)] * 2 + [one.data]):
                    self.assertTrue(sink.messages[-1].data == data, str(morph))
            if passes:
                self.assertIn('"payload passes by"', gateway.log())
