"""What is held back of an instance and is more than memory is for: it goes through a file of the spool, and nobody sees a difference."""

import io
import os
import random
import sys
import threading
import unittest

import pydicom

import dicom
from dicom import BIG_ENDIAN, CT, DEFLATED, EXPLICIT, IMPLICIT, instance_of
from harness import SANITIZED, Case, Lua, files_under, folder, free_port, lua, node, route, wait_until
from test_queue import QUICK, copy_to

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))
from media import Tmpfs, Unable

MIB = 1 << 20
PAIRS = [(CT, [transfer]) for transfer in (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED)]
DOCUMENT, PIXELS = 0x00420011, 0x7FE00010
SET_ID = Lua('function (ds) ds.PatientID = "NEW" end')
SMALL = {"header_max": "256KiB", "retry": QUICK}


def document(size, seed=1):
    return random.Random(seed).randbytes(size)


def large(size=5 * MIB, transfer=EXPLICIT, before=0, pixels=0, seed=1):
    """An encapsulated document of so many bytes; or as much in front of the patient, or pixel data behind."""
    elements = [(0x00080060, "CS", "CT"), (0x00100010, "PN", "Doe^John"), (0x00100020, "LO", "OLD"), (0x0020000D, "UI", "1.2.3"),
                (DOCUMENT, "OB", document(size, seed))]
    if before:
        elements.insert(1, (0x00091001, "OB", document(before, seed + 1)))
    if pixels:
        elements.append((PIXELS, "OW", document(pixels, seed + 2)))
    return instance_of(elements, transfer)


def read(data, transfer):
    """The data set, from its file or as it is on the wire."""
    if data[128:132] == b"DICM":
        return pydicom.dcmread(io.BytesIO(data))
    meta = dicom.element(2, 0x10, transfer.encode() + b"\0" * (len(transfer) % 2), b"UI")
    return pydicom.dcmread(io.BytesIO(bytes(128) + b"DICM" + dicom.element(2, 0, len(meta).to_bytes(4, "little"), b"UL") + meta + data))


def nameless(gateway):
    """The files without a name that the gateway has open, in its spool."""
    found, at = [], f"/proc/{gateway.process.pid}/fd"
    for fd in os.listdir(at):
        try:
            path = os.readlink(f"{at}/{fd}")
        except OSError:
            continue
        if path.startswith(gateway.folder) and path.endswith("(deleted)"):
            found.append(path)
    return found


class Gathered(Case):
    def start(self, *declarations, **settings):
        return self.gateway(*declarations, **{**SMALL, **settings})

    def check(self, data, transfer, size, identity="NEW", seed=1):
        got = read(data, transfer)
        self.assertEqual(got.PatientID, identity)
        self.assertTrue(got[DOCUMENT].value == document(size, seed), "the document is another")

    def assert_no_file_is_left(self, gateway):
        wait_until(lambda: not nameless(gateway), "the files are gone")


class Headers(Gathered):
    def test_a_morph_of_a_large_header_leaves_all_else_as_it_was(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), folder("f", "$FOLDER/out/{SOPInstanceUID}.dcm"), route("r", to=["a", "f"], morph=SET_ID))
        sender = self.sender(gateway, PAIRS)
        for transfer in EXPLICIT, IMPLICIT, BIG_ENDIAN:
            for pixels in 0, 3 * MIB:
                one = large(transfer=transfer, pixels=pixels)
                self.assert_stored(sender.store(one))
                expected = one.data.replace(b"OLD ", b"NEW ")
                self.assertTrue(sink.messages[-1].data == expected, f"{transfer} with {pixels} bytes of pixel data")
                with open(f"{gateway.folder}/out/{one.uid}.dcm", "rb") as file:
                    self.assertTrue(file.read().endswith(expected))
        self.assert_no_file_is_left(gateway)

    def test_attributes_behind_what_is_large_are_found(self):
        a, b = self.sink(), self.sink()
        gateway = self.start(node("a", a), node("b", b), route("old", to="a", when={"PatientID": "OLD"}),
                             route("new", to="b", when={"PatientID": "NEW"}))
        one = large(before=4 * MIB)
        self.assert_stored(self.sender(gateway).store(one))
        self.assertEqual([m.data == one.data for m in a.messages], [True])
        self.assertEqual(b.messages, [])
        self.assert_no_file_is_left(gateway)

    def test_functions_see_all_of_it_and_several_morphs_do_not_meet(self):
        sinks = [self.sink() for _ in range(3)]
        gateway = self.start(*(node(f"n{i}", sink) for i, sink in enumerate(sinks)),
                             *(route(f"r{i}", to=f"n{i}", when=Lua('function (ds) return #ds.EncapsulatedDocument > 5000000 end'),
                                     morph=Lua(f'function (ds) ds.PatientID = "ID{i}" end'), trace=i == 2) for i in range(3)))
        self.assert_stored(self.sender(gateway).store(large(before=MIB)))
        for i, sink in enumerate(sinks):
            self.check(sink.messages[0].data, EXPLICIT, 5 * MIB, f"ID{i}")
        self.assertEqual(read(sinks[2].messages[0].data, EXPLICIT).OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientID, "OLD")
        self.assert_no_file_is_left(gateway)

    def test_a_rule_may_replace_what_is_large(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), route("r", to="a", morph=Lua('function (ds) ds.EncapsulatedDocument = "short" end')))
        self.assert_stored(self.sender(gateway).store(large()))
        self.assertEqual(read(sink.messages[0].data, EXPLICIT).EncapsulatedDocument, b"short\0")

    def test_a_rule_that_fails_over_it_is_told_and_leaves_nothing(self):
        gateway = self.start(node("a", self.sink()), route("r", to="a", morph=Lua('function (ds) error("no") end')))
        sender = self.sender(gateway)
        self.assert_stored(sender.store(large()), 0xC110)
        self.assert_stored(sender.store(large(pixels=2 * MIB)), 0xC110)
        self.assert_no_file_is_left(gateway)

    def test_a_large_header_that_breaks_is_refused(self):
        gateway = self.start(node("a", self.sink()), route("r", to="a", morph=SET_ID))
        one = large()
        one.data = one.data[:-1000]
        sender = self.sender(gateway)
        self.assert_stored(sender.store(one), 0xC000)
        self.assert_stored(sender.store(large()))
        self.assert_no_file_is_left(gateway)

    def test_a_sender_that_is_lost_leaves_nothing(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), route("r", to="a", morph=SET_ID))
        for size in 1 * MIB, 3 * MIB, 5 * MIB:
            sender, one = self.sender(gateway), large()
            sender.data(sender.begin(one), one.data[:size])
            sender.close()
        self.assert_no_file_is_left(gateway)
        self.assert_stored(self.sender(gateway).store(large()))
        self.assertEqual(len(sink.messages), 1)

    def test_a_deflated_header_is_bounded_by_header_max(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), route("r", to="a", morph=SET_ID))
        sender = self.sender(gateway, PAIRS)
        answer = sender.store(large(transfer=DEFLATED))
        self.assertEqual(answer.status, 0xA700)
        self.assertIn("header_max", answer.comment)
        self.assert_stored(sender.store(large(100_000, transfer=DEFLATED, pixels=3 * MIB)))


class Queued(Gathered):
    def test_it_is_queued_and_delivered_when_its_node_is_back(self):
        port = free_port()
        gateway = self.start(node("a", port), node("b", self.sink()), copy_to("c", "b", morph=SET_ID),
                             route("r", to="a", morph=SET_ID, on_failure="queue"))
        one = large(pixels=2 * MIB)
        self.assert_stored(self.sender(gateway).store(one))
        self.assert_no_file_is_left(gateway)
        sink = self.sink(port=port)
        wait_until(lambda: sink.messages, "it arrives", 20)
        self.assertTrue(sink.messages[0].data == one.data.replace(b"OLD ", b"NEW "))

    def test_a_folder_is_named_by_what_stands_behind_it(self):
        """As it came and morphed, deflated too; delivery looks for the name again."""
        gateway = self.start(folder("f", "$FOLDER/out/{PatientID}/{SOPInstanceUID}.dcm"), copy_to("as", "f", when=lua({"calling": "AS"})),
                             copy_to("morphed", "f", morph=SET_ID, when=lua({"calling": "MORPHED"})))
        sent = []
        for calling, identity in ("AS", "OLD"), ("MORPHED", "NEW"):
            sender = self.sender(gateway, PAIRS, calling=calling)
            for transfer in EXPLICIT, IMPLICIT, DEFLATED:
                size = 100_000 if transfer == DEFLATED else 2 * MIB
                one = large(size, transfer, before=0 if transfer == DEFLATED else 2 * MIB)
                self.assert_stored(sender.store(one))
                sent.append((f"{gateway.folder}/out/{identity}/{one.uid}.dcm", transfer, size, identity))
        wait_until(lambda: len(files_under(gateway.folder + "/out")) == len(sent), "all are filed", 20)
        for path, transfer, size, identity in sent:
            with open(path, "rb") as file:
                self.check(file.read(), transfer, size, identity)
        self.assert_no_file_is_left(gateway)

    def test_a_node_that_dies_in_the_middle_of_it_is_taken_over_from(self):
        sink = self.sink(at_bytes=(3 * MIB, "reset"))
        gateway = self.start(node("a", sink), route("r", to="a", morph=SET_ID, on_failure="queue"))
        self.assert_stored(self.sender(gateway).store(large()))
        sink.at_bytes = None
        wait_until(lambda: sink.messages, "it arrives", 20)
        self.check(sink.messages[0].data, EXPLICIT, 5 * MIB)


class Whole(Gathered):
    def test_without_stream_nothing_leaves_before_all_of_it_is_here(self):
        sinks = [self.sink() for _ in range(3)]
        gateway = self.start(*(node(f"n{i}", sink) for i, sink in enumerate(sinks)), route("w", to=["n0", "n1"], stream=False),
                             route("s", to="n2"))
        sender, one = self.sender(gateway), dicom.make_instance(8 * MIB)
        context = sender.begin(one)
        sender.data(context, one.data[:-1000])
        wait_until(lambda: nameless(gateway), "it is gathered in a file")
        self.assertEqual([bool(a.current) for sink in sinks[:2] for a in sink.associations], [False] * sum(len(s.associations) for s in sinks[:2]))
        sender.data(context, one.data[-1000:], last=True)
        self.assert_stored(sender.response())
        for sink in sinks:
            self.assertTrue([m.data == one.data for m in sink.messages] == [True])
        self.assert_no_file_is_left(gateway)

    def test_with_a_morph_what_was_held_is_held_on(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), route("w", to="a", stream=False, morph=SET_ID))
        one = large(pixels=6 * MIB)
        self.assert_stored(self.sender(gateway).store(one))
        self.assertTrue(sink.messages[0].data == one.data.replace(b"OLD ", b"NEW "))
        self.assert_no_file_is_left(gateway)

    @unittest.skipIf(SANITIZED, "a sanitizer's memory is not the gateway's")
    def test_memory_is_flat_for_many_at_once(self):
        sink = self.sink(keep=False)
        gateway = self.start(node("a", sink), route("w", to="a", stream=False, when={"calling": "WHOLE"}), route("m", to="a", morph=SET_ID),
                             memory="24MiB", workers=1)
        failures = []

        def run(number):
            one = large(24 * MIB, seed=number)
            answer = self.sender(gateway, calling="WHOLE" if number % 2 else "MORPH", seconds=60).store(one)
            if answer.status:
                failures.append(str(answer))
        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        most = 0
        while any(thread.is_alive() for thread in threads):
            most = max(most, gateway.memory("RssAnon"))
            threads[0].join(0.02)
            for thread in threads:
                thread.join(0.01)
        self.assertEqual(failures, [])
        self.assertLess(most, 64 * MIB)
        self.assert_no_file_is_left(gateway)


class Room(Gathered):
    def test_a_full_spool_refuses_what_memory_does_not_hold_and_recovers(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), route("m", to="a", morph=SET_ID, when={"calling": "MORPH"}), route("w", to="a", stream=False, when={"calling": "WHOLE"}),
                             spool={"path": "$FOLDER/spool", "max_bytes": "32MiB"})
        for calling in "MORPH", "WHOLE":
            sender = self.sender(gateway, calling=calling)
            for _ in range(3):
                answer = sender.store(large(40 * MIB))
                self.assertEqual((answer.status, answer.comment.split(": ", 1)[-1]), (0xA700, "queue: full" if calling == "WHOLE" else "full"))
                self.assert_stored(sender.store(large(2 * MIB)))
        self.assertEqual(len(sink.messages), 6)
        self.assert_no_file_is_left(gateway)

    def test_a_full_disk_refuses_it_and_what_is_small_goes_on(self):
        try:
            disk = self.enterContext(Tmpfs("48m"))
        except Unable as why:
            self.skipTest(str(why))
        sink = self.sink()
        gateway = self.start(node("a", sink), route("m", to="a", morph=SET_ID), spool={"path": disk.path + "/spool", "reserve": 0})
        sender = self.sender(gateway)
        for _ in range(2):
            answer = sender.store(large(60 * MIB))
            self.assertEqual((answer.status, answer.comment), (0xA700, "queue: full"))
            self.assert_stored(sender.store(large(3 * MIB)))
        self.assertEqual(len(sink.messages), 2)


class Ends(Gathered):
    def test_a_gateway_that_is_told_to_end_ends_in_the_middle_of_it(self):
        for keys in {"morph": SET_ID}, {"stream": False}:
            gateway = self.start(node("a", self.sink()), route("r", to="a", **keys), timeouts={"drain": "100ms"})
            sender, one = self.sender(gateway), large()
            sender.data(sender.begin(one), one.data[:4 * MIB])
            wait_until(lambda: nameless(gateway), "it is gathered in a file")
            self.assertEqual(gateway.stop(), [])
