"""What is held back of an instance and is more than memory is for: it goes through a file of the spool, and nobody sees a difference."""

import io
import os
import random
import resource
import signal
import sys
import threading
import unittest

import pydicom

import dicom
from dicom import BIG_ENDIAN, CT, DEFLATED, EXPLICIT, IMPLICIT, instance_of
from harness import SANITIZED, Case, Gateway, Lua, files_under, folder, free_port, lua, node, route, wait_until
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
        if "/spool/" in path and path.endswith("(deleted)"):
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


    def stored_twice(self, **settings):
        """A node with a limit gets it morphed and as it came, where the header is past header_max when it is decided."""
        sink = self.sink()
        gateway = self.start(node("a", sink, max_associations=2), route("m", to="a", morph=SET_ID), route("p", to="a"), **settings)
        one = large(150_000, pixels=MIB)
        self.assert_stored(self.sender(gateway).store(one))
        self.assertEqual([len(m.data) for m in sink.messages], [len(one.data)] * 2)
        self.assertTrue(sorted(m.data for m in sink.messages) == sorted([one.data, one.data.replace(b"OLD ", b"NEW ")]))

    def test_what_is_let_go_while_it_is_released_goes_out_once(self):
        self.stored_twice(header_max="64KiB")
        self.stored_twice(header_max="160000", spool=False)

    def test_with_no_memory_for_headers_at_all(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), route("w", to="a", stream=False), route("m", to="a", morph=SET_ID), header_max=0)
        for size in 1000, 100_000, 3 * MIB:
            one = large(size, pixels=size)
            self.assert_stored(self.sender(gateway).store(one))
            self.assertTrue(sorted(m.data for m in sink.messages[-2:]) == sorted([one.data, one.data.replace(b"OLD ", b"NEW ")]), size)

    def test_a_window_that_is_less_than_what_is_written_at_a_time(self):
        for keys in {"stream": False}, {"morph": SET_ID}:
            sink = self.sink()
            gateway = self.start(node("a", sink), route("r", to="a", **keys), window="64KiB", header_max="1KiB")
            one = large(2 * MIB)
            sender = self.sender(gateway)
            context = sender.begin(one)
            for at in range(0, len(one.data), 17000):  # buffers that are not full
                sender.data(context, one.data[at:at + 17000], last=at + 17000 >= len(one.data))
            self.assert_stored(sender.response())
            self.assertEqual(len(sink.messages[0].data), len(one.data))

    def many(self, **keys):
        """More senders than memory has room for, each in mid-instance, and none of them past header_max."""
        sink = self.sink(keep=False)
        gateway = self.start(node("a", sink), route("r", to="a", **keys), memory="4MiB", workers=1, header_max="16MiB")
        senders, ones = [self.sender(gateway) for _ in range(40)], [large(2 * MIB, seed=n) for n in range(40)]
        contexts = [sender.begin(one) for sender, one in zip(senders, ones)]

        def send(sender, context, one):
            for at in range(0, len(one.data), 100_000):
                sender.data(context, one.data[at:at + 100_000], last=at + 100_000 >= len(one.data))
        threads = [threading.Thread(target=send, args=arguments) for arguments in zip(senders, contexts, ones)]
        for thread in threads:
            thread.start()
        answers = [sender.response().status for sender in senders]
        for thread in threads:
            thread.join()
        self.assertEqual(answers, [0] * 40)
        self.assert_no_file_is_left(gateway)

    def test_many_that_share_little_memory_go_through_the_spool(self):
        self.many(stream=False)
        self.many(morph=SET_ID)

    @unittest.skipIf(SANITIZED, "a sanitizer's memory is not the gateway's")
    def test_what_a_morph_made_counts_while_the_rest_goes_to_the_file(self):
        sink = self.sink(keep=False)
        gateway = self.start(node("a", sink), route("w", to="a", stream=False, morph=SET_ID), memory="24MiB", workers=1, header_max="5MiB")
        for number in range(24):
            one = large(4 * MIB, seed=number, pixels=12 * MIB)
            sender = self.sender(gateway)
            sender.wire.socket.settimeout(0.5)
            try:
                sender.data(sender.begin(one), one.data[:14 * MIB])
            except TimeoutError:
                pass  # it may well be made to wait
        self.assertLess(gateway.memory("RssAnon"), 64 * MIB)


class Delivered(Gathered):
    def test_a_folders_name_behind_more_than_memory_has(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), folder("f", "$FOLDER/out/{PatientID}/{SOPInstanceUID}.dcm"),
                             copy_to("a", "a", when=lua({"calling": "PLAIN"})), copy_to("c", "f", when=lua({"calling": "COPY"})),
                             memory="4MiB", workers=1, header_max="16MiB")
        sender, ones = self.sender(gateway, calling="COPY"), [large(100_000, before=6 * MIB, seed=n) for n in range(2)]
        for one in ones:
            self.assert_stored(sender.store(one))
        self.assert_stored(self.sender(gateway, calling="PLAIN").store(dicom.make_instance(MIB)))
        wait_until(lambda: sink.messages, "another node's copy arrives", 20)
        for one in ones:
            path = f"{gateway.folder}/out/OLD/{one.uid}.dcm"
            wait_until(lambda: os.path.exists(path), "it is filed", 20)
            with open(path, "rb") as file:
                self.assertTrue(file.read().endswith(one.data))


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


    def filled_up(self, left, **rule):
        """What decides it finds room on the disk, what comes with it none; all of that comes in one go. The answer, and what arrived of it."""
        with Tmpfs("128m") as disk:
            sink = self.sink()
            gateway = Gateway(node("a", sink), route("r", to="a", **rule), spool={"path": disk.path + "/spool", "reserve": 0},
                              header_max="1MiB", workers=1)
            try:
                sender, one = self.sender(gateway), large(1000, before=4 * MIB, pixels=4 * MIB)
                context = sender.begin(one)
                sender.data(context, one.data[:2 * MIB])
                wait_until(lambda: nameless(gateway), "it is gathered in a file")
                with open(disk.path + "/filler", "wb") as file:
                    free = os.statvfs(disk.path)
                    os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 2 * MIB - left)
                gateway.signal(signal.SIGSTOP)
                rest = threading.Thread(target=lambda: sender.data(context, one.data[2 * MIB:], last=True))
                rest.start()
                rest.join(0.3)
                gateway.signal(signal.SIGCONT)
                rest.join()
                answer = sender.response()
            finally:
                self.assertEqual(gateway.stop(), [])
                gateway.remove()
        return answer, [m.data == one.data for m in sink.messages]

    def test_a_disk_that_fills_up_in_the_middle_leaves_no_hole(self):
        for rule in {"when": {"PatientID": "OLD"}}, {"when": Lua('function (ds) return ds.PatientID == "OLD" end')}:
            for left in 0, 150 << 10, 300 << 10, 600 << 10, 900 << 10:
                try:
                    answer, arrived = self.filled_up(left, **rule)
                except Unable as why:
                    self.skipTest(str(why))
                if answer.status:
                    self.assertEqual((answer.status, answer.comment, arrived), (0xA700, "queue: full", []))
                else:
                    self.assertEqual(arrived, [True])

    def test_a_limit_on_the_size_of_files_is_no_end(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, hard))
        try:
            gateway = self.start(node("a", self.sink()), route("w", to="a", morph=SET_ID), log={"level": "error", "format": "json"})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sender = self.sender(gateway)
        self.assert_stored(sender.store(large(3 * MIB)), 0xA700)
        self.assert_stored(sender.store(large(6 * MIB)), 0xA700)
        self.assert_stored(sender.store(large(1000)))


class Ends(Gathered):
    def test_a_gateway_that_is_told_to_end_ends_in_the_middle_of_it(self):
        for keys in {"morph": SET_ID}, {"stream": False}:
            gateway = self.start(node("a", self.sink()), route("r", to="a", **keys), timeouts={"drain": "100ms"})
            sender, one = self.sender(gateway), large()
            sender.data(sender.begin(one), one.data[:4 * MIB])
            wait_until(lambda: nameless(gateway), "it is gathered in a file")
            self.assertEqual(gateway.stop(), [])
