"""Routes that depend on what the data set says: found in whatever encoding and however cut, decided before anything leaves."""

import fcntl
import os
import struct
import termios
import unittest
import zlib

import dicom
from dicom import BIG_ENDIAN, CT, DEFLATED, EXPLICIT, IMPLICIT, LAST, VERIFICATION, instance_of, p_data, pdv
from harness import SANITIZED, Case, Lua, files_under, folder, node, route, same_data, wait_until
from sender import Framing

MIB = 1 << 20
ENCODINGS = [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED]
PAIRS = [(CT, [transfer]) for transfer in ENCODINGS] + [(VERIFICATION, [IMPLICIT])]
REQUEST = "RequestAttributesSequence"
ELEMENTS = [
    (0x00080005, "CS", "ISO_IR 100"), (0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"), (0x00080060, "CS", "CT"),
    (0x0008103E, "LO", "A HEAD".encode()), (0x00091001, "LO", "SITE 7"), (0x00090010, "LO", "ACME"),
    (0x00100010, "PN", "M\xfcller^J".encode("latin-1")), (0x00100020, "LO", "0512"), (0x00101010, "AS", b""),
    (0x00180050, "DS", "2.50"), (0x00280010, "US", 512),
    (0x00400275, "SQ", [[(0x00400009, "SH", "A-1")], [(0x00400009, "SH", "B-2")]]), (0x7FE00010, "OW", bytes(400)),
]


def ct(*more, without=(), transfer=EXPLICIT):
    return instance_of([e for e in ELEMENTS if e[0] not in without] + list(more), transfer)


def big(tag, size):
    return (tag, "OB", bytes(size))


# What a route asks for, and whether it holds for ELEMENTS, in every encoding.
CONDITIONS = [
    ({"Modality": "CT"}, True),
    ({"Modality": "MR"}, False),
    ({"Modality": "C?"}, True),
    ({"Modality": "ct"}, False),
    ({"Modality": ["MR", "CT"]}, True),
    ({"Modality": {"no": "CT"}}, False),
    ({"Modality": {"no": ["MR", "US"]}}, True),
    ({"ImageType": "AXIAL"}, True),
    ({"ImageType": "ORIGINAL*AXIAL"}, False),
    ({"Rows": 512}, True),
    ({"Rows": "512"}, True),
    ({"Rows": [1, 2, 511]}, False),
    ({"SliceThickness": 2.5}, True),
    ({"SliceThickness": "2.5"}, False),
    ({"PatientID": 512}, True),
    ({"PatientID": "512"}, False),
    ({"StationName": ""}, True),
    ({"PatientAge": ""}, True),
    ({"StationName": "*"}, False),
    ({"StationName": {"no": "CT1"}}, True),
    ({"Modality": {"no": ""}}, True),
    ({'["0008,103E"]': "*HEAD*"}, True),
    ({"[0x00080060]": "CT"}, True),
    ({f'["{REQUEST}[1].ScheduledProcedureStepID"]': "A*"}, True),
    ({f'["{REQUEST}[2].ScheduledProcedureStepID"]': "A*"}, False),
    ({f'["{REQUEST}[3].ScheduledProcedureStepID"]': ""}, True),
    ({"PatientName": "M?ller^*"}, True),
    ({"Modality": "CT", "Rows": 512}, True),
    ({"Modality": "CT", "Rows": 256}, False),
    ({"calling": "SENDER", "Modality": "CT"}, True),
    ({"calling": "OTHER", "Modality": "CT"}, False),
]


class Conditions(Case):
    def test_attributes_are_found_in_every_encoding(self):
        """All conditions at once, each with a node of its own; a plain route beside them sees that nothing is lost or doubled."""
        sinks = [self.sink() for _ in CONDITIONS]
        plain = self.sink()
        gateway = self.gateway(*[node(f"n{i}", s) for i, s in enumerate(sinks)], node("plain", plain),
                               *[route(f"r{i}", to=f"n{i}", when=when) for i, (when, _) in enumerate(CONDITIONS)],
                               route("plain", to="plain"))
        sender = self.sender(gateway, PAIRS)
        for number, transfer in enumerate(ENCODINGS):
            one = ct(transfer=transfer)
            self.assert_stored(sender.store(one))
            self.assertTrue(same_data(one.data, plain.messages[number].data))
            for (when, holds), sink in zip(CONDITIONS, sinks):
                with self.subTest(transfer=transfer, when=when):
                    self.assertEqual([m.uid for m in sink.messages].count(one.uid), int(holds))

    def test_a_sequence_that_came_as_un_is_looked_into_by_tables_as_by_functions(self):
        table, function = self.sink(), self.sink()
        key = f'["{REQUEST}[2].ScheduledProcedureStepID"]'
        gateway = self.gateway(
            node("a", table), node("b", function), route("a", to="a", when={key: "B-2"}),
            route("b", to="b", when=Lua(f"function (ds) return ds.{REQUEST}[2].ScheduledProcedureStepID == 'B-2' end")))
        sender = self.sender(gateway, PAIRS)
        items = ELEMENTS[-2][2]
        inside = b"".join(dicom.element(0xFFFE, 0xE000, dicom.encoded(one, IMPLICIT)) for one in items)
        for transfer in (EXPLICIT, BIG_ENDIAN, DEFLATED):
            one = instance_of(ELEMENTS[:-2] + [(0x00400275, "UN", inside), ELEMENTS[-1]], transfer)
            self.assert_stored(sender.store(one))
            self.assertEqual((table.uids[-1:], function.uids[-1:]), ([one.uid], [one.uid]))

    def test_an_un_that_holds_no_items_of_implicit_vr_refuses_nothing(self):
        table, plain = self.sink(), self.sink()
        name = f"{REQUEST}[1].ScheduledProcedureStepID"
        gateway = self.gateway(
            node("a", table), node("b", plain), folder("disk", "$FOLDER/out/{%s}/{SOPInstanceUID}.dcm" % name),
            route("a", to="a", when={f'["{name}"]': "A-1"}), route("b", to="b"), route("d", to="disk"))
        sender = self.sender(gateway, PAIRS)
        explicit = dicom.element(0xFFFE, 0xE000, dicom.encoded([(0x00400009, "SH", "A-1")], EXPLICIT))
        for transfer in (EXPLICIT, DEFLATED):
            for inside in (explicit, b"none", b"garbage!" * 3):
                with self.subTest(transfer=transfer, inside=inside):
                    one = instance_of(ELEMENTS[:-2] + [(0x00400275, "UN", inside), ELEMENTS[-1]], transfer)
                    self.assert_stored(sender.store(one))
                    self.assertEqual((table.uids, plain.uids[-1:]), ([], [one.uid]))
        self.assertEqual(len(files_under(gateway.folder + "/out")), 6)

    def test_an_attribute_is_found_wherever_the_data_set_is_cut(self):
        a, b = self.sink(), self.sink()
        gateway = self.gateway(node("a", a), node("b", b), route("a", to="a", when={"PatientID": "0512"}, final=True),
                               route("b", to="b"))
        sender = self.sender(gateway, PAIRS)
        for transfer in ENCODINGS:
            one = ct(transfer=transfer, without={0x7FE00010})
            context = sender.context_for(one)
            for cut in range(1, len(one.data)):
                sender.begin(one)
                sender.wire.send(p_data(pdv(context, 0, one.data[:cut])) + p_data(pdv(context, LAST, one.data[cut:])))
                self.assert_stored(sender.response())
                self.assertTrue(same_data(one.data, a.messages[-1].data), f"cut at {cut}")
            self.assert_stored(sender.store(one, Framing(data=1)))
            self.assertTrue(same_data(one.data, a.messages[-1].data))
        self.assertEqual(b.messages, [])

    def test_a_final_route_by_an_attribute_ends_the_others_for_what_it_takes(self):
        a, b = self.sink(), self.sink()
        gateway = self.gateway(node("a", a), node("b", b), route("a", to="a", when={"Modality": "CT"}, final=True),
                               route("b", to="b"))
        sender = self.sender(gateway)
        mine, other = ct(), ct((0x00080060, "CS", "MR"), without={0x00080060})
        for one in (mine, other):
            self.assert_stored(sender.store(one))
        self.assertEqual((a.uids, b.uids), ([mine.uid], [other.uid]))

    def test_an_instance_that_no_attribute_lets_through_is_refused_with_0124(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("a", to="a", when={"Modality": "MR"}))
        sender = self.sender(gateway)
        self.assertEqual(sender.store(ct()).status, 0x0124)
        self.assertEqual(sink.messages, [])


class Held(Case):
    """While it is not known where an instance goes."""

    def by_patient(self, **settings):
        a, b = self.sink(), self.sink()
        gateway = self.gateway(node("a", a), node("b", b), route("a", to="a", when={"PatientID": "0512"}),
                               route("b", to="b"), workers=1, **settings)
        return gateway, a, b

    def settle(self, gateway, sender):
        """All that was sent has been looked at: the system has it no more, and its worker has answered somebody since."""
        wait_until(lambda: struct.unpack("i", fcntl.ioctl(sender.wire.socket, termios.TIOCOUTQ, b"1234"))[0] == 0,
                   "the gateway takes what was sent")
        for _ in range(2):
            self.sender(gateway, [(VERIFICATION, [IMPLICIT])]).echo()

    def test_nothing_leaves_before_it_is_decided_not_even_by_a_plain_route(self):
        gateway, a, b = self.by_patient()
        sender, one = self.sender(gateway), ct(big(0x00091002, 2 * MIB), (0x00090011, "LO", "ACME"))
        context = sender.begin(one)
        at = one.data.index(b"0512") - 12
        sender.data(context, one.data[:at])
        self.settle(gateway, sender)
        self.assertEqual([s.current or s.raw_command or s.messages for s in a.associations + b.associations], [[], []])
        sender.data(context, one.data[at:], last=True)
        self.assert_stored(sender.response())
        self.assertEqual([m.data for m in a.messages + b.messages], [one.data] * 2)

    def test_an_attribute_behind_2_mib_is_found_however_it_is_encoded(self):
        gateway, a, b = self.by_patient()
        sender = self.sender(gateway, PAIRS)
        for transfer in ENCODINGS:
            one = ct(big(0x00091002, 2 * MIB), transfer=transfer)
            self.assert_stored(sender.store(one))
            for sink in (a, b):
                self.assertTrue(same_data(one.data, sink.messages[-1].data), transfer)

    def test_what_lies_beyond_header_max_is_refused_with_a700_and_logged(self):
        for settings in {"spool": False}, {"header_spool_max": "1MiB"}, {"header_spool_max": 0}:
            self.beyond(1, "header_max", header_max="1MiB", **settings)

    def test_what_lies_beyond_header_spool_max_is_refused_with_a700_and_logged(self):
        self.beyond(3, "header_spool_max", header_max="1MiB", header_spool_max="3MiB")

    def beyond(self, mib, name, **settings):
        gateway, a, b = self.by_patient(**settings)
        sender = self.sender(gateway)
        answer = sender.store(ct(big(0x00091002, (mib + 1) * MIB)))
        self.assertEqual(answer.status, 0xA700, str(answer))
        self.assertEqual(answer.comment, "what routes ask for lies beyond " + name)
        self.assertEqual([e["cause"] for e in gateway.events("too large to be held")], [answer.comment])
        self.assertEqual(a.messages + b.messages, [])
        self.assert_stored(sender.store(ct()))

    def test_what_is_decided_may_be_larger_than_header_max(self):
        gateway, a, b = self.by_patient(header_max="64KiB")
        one = ct(big(0x00191002, 2 * MIB))
        self.assert_stored(self.sender(gateway).store(one))
        self.assertEqual([m.data for m in a.messages + b.messages], [one.data] * 2)

    def test_a_data_set_that_cannot_be_read_is_refused_with_c000_and_the_association_lives_on(self):
        gateway, a, b = self.by_patient()
        sender, good = self.sender(gateway), ct()
        ends_early = good.data[:good.data.index(b"0512") - 10]
        no_item = good.data[:18] + b"\x08\0\x10\x11SQ\0\0\xff\xff\xff\xff" + good.data[18:]
        for raw in (ends_early, no_item):
            bad = ct()
            bad.data = raw
            answer = sender.store(bad)
            self.assertEqual(answer.status, 0xC000, str(answer))
            self.assertIn("cannot be read", answer.comment)
            self.assert_stored(sender.store(good))
        self.assertEqual(len(gateway.events("data set cannot be read")), 2)
        self.assertEqual((a.uids, b.uids), ([good.uid] * 2,) * 2)

    def test_a_sender_lost_while_it_is_held_leaves_nothing_anywhere(self):
        gateway, a, b = self.by_patient()
        for end in ("reset", "close", "abort"):
            sender, one = self.sender(gateway), ct(big(0x00091002, 2 * MIB))
            sender.data(sender.begin(one), one.data[:MIB])
            self.settle(gateway, sender)
            getattr(sender, end)()
        good = ct()
        self.assert_stored(self.sender(gateway).store(good))
        self.assertEqual((a.uids, b.uids), ([good.uid],) * 2)


class Flow(Case):
    """Once it is decided."""

    def flowing(self, one, keys, size, **settings):
        """The first `size` bytes are there before the rest is sent. Returns the gateway."""
        sink = self.sink(keep=False, max_length=MIB)
        gateway = self.gateway(node("a", sink), node("b", 9), route("a", to="a", when={"Modality": "CT"}, **keys),
                               route("b", to="b", when={"Modality": "MR"}), max_pdu=0, **settings)
        sender = self.sender(gateway)
        context = sender.begin(one)
        for at in range(0, size, MIB):
            sender.data(context, one.data[at:at + MIB])
        wait_until(lambda: sink.arrived() > size - 4 * MIB, "it flows on before the sender has finished")
        sender.data(context, one.data[size:], last=True)
        self.assert_stored(sender.response())
        self.assertEqual(sink.messages[0].length, len(one.data))
        self.assertEqual(sink.messages[0].crc, dicom.zlib.crc32(one.data))
        return gateway

    def test_64_mib_of_pixels_flow_on_before_the_sender_has_finished(self):
        one = ct((0x7FE00010, "OW", bytes(64 * MIB)), without={0x7FE00010})
        gateway = self.flowing(one, {"zero_copy": False}, 63 * MIB)
        self.assertNotIn('"payload passes by"', gateway.log())

    def test_what_is_decided_passes_from_socket_to_socket(self):
        one = ct((0x7FE00010, "OW", bytes(64 * MIB)), without={0x7FE00010})
        gateway = self.flowing(one, {"zero_copy": True}, 63 * MIB, replay_max="0")
        self.assertIn('"payload passes by"', gateway.log())

    @unittest.skipIf(SANITIZED, "a sanitizer's memory is not the gateway's")
    def test_300_mb_without_pixel_data_are_routed_in_bounded_memory(self):
        """As of an RT structure set: contours without end."""
        contour = dicom.encoded([(0x30060050, "DS", "-123.456\\789.012\\3.5 " * 2000)])
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(contour)) + contour
        one = ct(without={0x7FE00010})
        items = item * (300_000_000 // len(item))
        one.data += struct.pack("<HH2sHI", 0x3006, 0x0039, b"SQ", 0, len(items)) + items
        self.assertGreater(len(one.data), 299_000_000)
        gateway = self.flowing(one, {}, 280 * MIB)
        self.assertLess(gateway.memory(), 64 * MIB)

    def by_status(self, *more):
        """Routes that ask for a tag behind everything else: of instances that are something else all that is known from their Modality on."""
        plans = {"Modality": "RTPLAN", "ApprovalStatus": "APPROVED"}
        return [
            [route("plans", to="b", when=plans), route("all", to="a"), *more],
            [route("cts", to="a", when={"Modality": "CT"}, final=True), route("approved", to="b", when={"ApprovalStatus": "APPROVED"}), *more],
            [route("plans", to="b", when=plans, morph=Lua('function (ds) ds.PatientID = "X" end')),
             route("cts", to="a", when={"Modality": "CT"}), *more],
            [route("no plan", to="b", when={"PatientSex": "O", "ApprovalStatus": {"no": "APPROVED"}}), route("all", to="a"), *more],
        ]

    def test_it_is_decided_as_soon_as_what_is_known_decides_it(self):
        """20 MiB follow, behind them what other routes ask for: they neither hold it nor refuse it, readable or not."""
        one = ct(big(0x00291002, 20 * MIB), (0x300E0002, "CS", "UNAPPROVED"), without={0x7FE00010})
        cut = ct(big(0x00291002, 20 * MIB), without={0x7FE00010})
        cut.data += struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
        for routes in self.by_status():
            sink, other = self.sink(keep=False), self.sink()
            gateway = self.gateway(node("a", sink), node("b", other), *routes)
            for instance in (one, cut):
                before, sender = sink.arrived(), self.sender(gateway)
                context = sender.begin(instance)
                sender.data(context, instance.data[:MIB])
                wait_until(lambda: sink.arrived() > before + MIB // 2, "it flows on at once")
                sender.data(context, instance.data[MIB:], last=True)
                self.assert_stored(sender.response())
                self.assertEqual(sink.messages[-1].crc, dicom.zlib.crc32(instance.data))
            self.assertEqual(other.messages, [])

    def test_what_decides_it_may_have_to_be_waited_for_all_the_same(self):
        """Plans do depend on what lies behind, and so does a folder that is named by it."""
        plan = ct((0x00080060, "CS", "RTPLAN"), big(0x00291002, 200_000), (0x300E0002, "CS", "APPROVED"), without={0x00080060, 0x7FE00010})
        a, b = self.sink(), self.sink()
        gateway = self.gateway(node("a", a), node("b", b), folder("f", "$FOLDER/out/{Modality}-{ApprovalStatus}/{SOPInstanceUID}.dcm"),
                               *self.by_status(route("kept", to="f", when={"Modality": "RTPLAN"}))[0])
        self.assert_stored(self.sender(gateway).store(plan))
        self.assertEqual(([m.data == plan.data for m in a.messages], [m.data == plan.data for m in b.messages]), ([True], [True]))
        self.assertEqual(files_under(os.path.join(gateway.folder, "out")),
                         [os.path.join(gateway.folder, "out", "RTPLAN-APPROVED", f"{plan.uid}.dcm")])

    def frames(self, size):
        """Per-frame functional groups, all of undefined length."""
        frame = (struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) +
                 dicom.encoded([(0x00209111, "SQ", [[(0x00209056, "SH", "1"), (0x00209057, "UL", 7)]]),
                                (0x00289132, "SQ", [[(0x00281050, "DS", "40"), (0x00281051, "DS", "400")]])]) +
                 struct.pack("<HHI", 0xFFFE, 0xE00D, 0))
        one = ct(without={0x7FE00010})
        one.data += (struct.pack("<HH2sHI", 0x5200, 0x9230, b"SQ", 0, 0xFFFFFFFF) + frame * (size // len(frame)) +
                     struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) + dicom.encoded([(0x7FE00010, "OW", bytes(400))]))
        return one

    @unittest.skipIf(SANITIZED, "a sanitizer's memory is not the gateway's")
    def test_200_mb_of_functional_groups_are_routed_in_bounded_memory(self):
        gateway = self.flowing(self.frames(200_000_000), {}, 180 * MIB)
        self.assertLess(gateway.memory(), 64 * MIB)

    def test_a_morph_of_200_mb_of_functional_groups_is_refused_in_bounded_memory(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=Lua('function (ds) ds.PatientID = "X" end')),
                               max_pdu=0, memory="64MiB")
        sender = self.sender(gateway)
        answer = sender.store(self.frames(200_000_000))
        self.assertEqual(answer.status, 0xA700)
        self.assertEqual(answer.comment, "the data set takes more memory than it may")  # cut into millions of elements
        if not SANITIZED:
            self.assertLess(gateway.memory("RssAnon"), 128 * MIB)
        self.assert_stored(sender.store(ct()))

    def test_a_few_bytes_that_inflate_without_end_are_refused_at_header_max(self):
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        data = packer.compress(struct.pack("<HH2sHI", 0x0008, 0x0300, b"OB", 0, 256 * MIB))
        data += b"".join(packer.compress(bytes(16 * MIB)) for _ in range(16))
        one = ct(transfer=DEFLATED)
        one.data = data + packer.compress(dicom.encoded([(0x00100020, "LO", "OLD")])) + packer.flush()
        gateway = self.gateway(node("a", self.sink()), route("r", to="a", when={"PatientID": "OLD"}), header_max="1MiB")
        sender = self.sender(gateway, PAIRS)
        self.assertEqual(sender.store(one).status, 0xA700)
        self.assertEqual(len(gateway.events("too large to be held")), 1)
        self.assertEqual(sender.store(ct()).status, 0x0124)

    def test_tables_never_enter_lua(self):
        """The functions of another route are there, and are not called."""
        for calling, calls in (("ELSEWHERE", 0), ("SENDER", 2)):
            sink = self.sink()
            gateway = self.gateway(node("a", sink), route("a", to="a", when={"Modality": "CT", "Rows": 512}),
                                   route("b", to="a", when={"calling": calling}, morph=Lua("function (ds) end")))
            sender = self.sender(gateway)
            for _ in range(2):
                self.assert_stored(sender.store(ct()))
            sender.release()
            gateway.stop()
            self.assertEqual([e["calls"] for e in gateway.events("rules closed")], [calls])
