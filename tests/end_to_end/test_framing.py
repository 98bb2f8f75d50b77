"""One framing for every case: however a message is cut on its way in, it goes out whole and cut for its destination."""

import time
import zlib

import dicom
from dicom import make_instance
from harness import SANITIZED, Case, node, route, wait_until
from sender import Framing

MASKED = {"HILUM_IO_FEATURES": "6.1"}

# Maximum lengths that destinations announce, and who does so.
MAXIMA = {
    "dcmtk": 16384, "dcm4che": 16378, "pynetdicom": 16382, "ctp": 16352, "dicomrs": 32762, "fodicom": 262144,
    "big": 1 << 20, "unlimited": 0, "odd": 16381, "oddbig": 100001, "small": 128, "silent": None,
}

# How senders cut their messages: what it is, payload bytes, framing.
CUTS = [
    ("PDUs of 16 KiB", 300_000, Framing(pdu=16384)),
    ("PDUs of 128 KiB", 300_000, Framing(pdu=131072)),
    ("PDUs as big as is allowed", 3_000_000, Framing()),
    ("an odd maximum", 100_000, Framing(pdu=4099)),
    ("many PDVs in a PDU", 300_000, Framing(pdu=65536, data=1000)),
    ("PDVs of odd sizes", 100_000, Framing(pdu=16384, data=999)),
    ("PDVs of one byte, many in a PDU", 20_000, Framing(pdu=16384, data=1)),
    ("PDVs of one byte, each in a PDU", 5_000, Framing(pdu=8, data=1)),
    ("command and data in one PDU", 1_000, Framing(pdu=16384, mixed=True)),
    ("command and many data PDVs in one PDU", 30_000, Framing(pdu=65536, data=500, mixed=True)),
    ("an empty last PDV", 50_000, Framing(pdu=16384, empty_last=True)),
    ("an empty last PDV after one that fits", 500, Framing(pdu=16384, empty_last=True)),
    ("a split command", 1_000, Framing(pdu=16384, command=10)),
    ("a command of one-byte PDVs", 1_000, Framing(pdu=16384, command=1)),
    ("each byte in a segment of its own", 20_000, Framing(segment=1)),
    ("segments that never end where a PDU does", 100_000, Framing(pdu=4096, segment=1009)),
]


class Cuts(Case):
    def test_every_cut_reaches_every_destination_whole_and_within_its_maximum(self):
        """The sinks judge the sizes of what they get; every framing goes to every maximum."""
        sinks = {name: self.sink(max_length=maximum) for name, maximum in MAXIMA.items()}
        gateway = self.gateway(*[node(name, sink) for name, sink in sinks.items()],
                               *[route(name, to=name, when={"called": name.upper()}) for name in sinks])
        for name, sink in sinks.items():
            sender = self.sender(gateway, called=name.upper(), max_length=4096)
            for what, size, framing in CUTS:
                with self.subTest(cut=what, destination=name):
                    instance = make_instance(size)
                    self.assert_stored(sender.store(instance, framing))
                    self.assertEqual(sink.messages[-1].data, instance.data)
            sender.release()

    def test_bursts_of_a_whole_window_pass_on_a_reused_association(self):
        """All of the window may be kept for a second try by the time that the association is found."""
        gateway, sink = self.simple(max_length=262144)
        sender = self.sender(gateway, max_length=4096)
        for _ in range(20):
            instance = make_instance(3_000_000)
            self.assert_stored(sender.store(instance, Framing(pdu=1 << 20)))
            self.assertEqual(sink.messages[-1].data, instance.data)
        self.assertEqual(len(sink.associations), 1)

    def test_big_fragments_are_used_where_the_destination_takes_them(self):
        gateway, sink = self.simple(max_length=1 << 20)
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance(4 << 20), Framing(pdu=16384)))
        self.assertGreater(max(sink.messages[0].frames), 16384)

    def test_a_byte_a_segment_makes_progress_and_pins_no_memory(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway)
        instance = make_instance(40_000)
        context = sender.begin(instance)
        before = gateway.memory("VmRSS")
        for at in range(0, len(instance.data), 4000):
            raw = dicom.p_data(dicom.pdv(context, 2 if at + 4000 >= len(instance.data) else 0, instance.data[at:at + 4000]))
            for i in range(len(raw)):
                sender.wire.send(raw[i:i + 1])
        self.assert_stored(sender.response())
        self.assertEqual(sink.messages[0].data, instance.data)
        if not SANITIZED:
            self.assertLess(gateway.memory() - before, 8 << 20)


class CutsMasked(Cuts):
    suffix = " (with the features of kernel 6.1)"
    environment = MASKED


class CutThrough(Case):
    def test_payload_leaves_while_the_sender_pauses_past_64_KiB(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway)
        instance = make_instance(400_000)
        context = sender.begin(instance)
        sender.data(context, instance.data[:200_000])
        wait_until(lambda: sink.arrived() >= 64 << 10, "the sink sees payload of an unfinished instance")
        self.assertEqual(sink.messages, [])
        sender.data(context, instance.data[200_000:], last=True)
        self.assert_stored(sender.response())
        self.assertEqual(sink.messages[0].data, instance.data)

    def assert_nothing_leaves_early(self, size, **keys):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("all", to="a", **keys))
        sender = self.sender(gateway)
        instance = make_instance(size)
        context = sender.begin(instance)
        sender.data(context, instance.data[:-1000])
        time.sleep(0.3)  # what must not happen can only be given time
        self.assertEqual(sink.arrived(), 0)
        self.assertFalse(any(a.raw_command or a.current for a in sink.associations))
        sender.data(context, instance.data[-1000:], last=True)
        self.assert_stored(sender.response())
        self.assertEqual(sink.messages[0].data, instance.data)

    def test_below_64_KiB_nothing_leaves_before_the_last_fragment(self):
        self.assert_nothing_leaves_early(60_000)

    def test_without_stream_nothing_leaves_before_the_last_fragment(self):
        self.assert_nothing_leaves_early(2_000_000, stream=False)

    def test_without_stream_more_than_header_max_is_out_of_resources_without_a_spool(self):
        for comment, settings in (("a: larger than header_max, cannot be held whole", {"spool": False}),
                                  ("a: larger than header_max, cannot be held whole", {"header_spool_max": "1MiB"}),
                                  ("a: larger than header_spool_max, cannot be held whole", {"header_spool_max": "2MiB"})):
            sink = self.sink()
            gateway = self.gateway(node("a", sink), route("all", to="a", stream=False), header_max="1MiB", **settings)
            sender = self.sender(gateway)
            answer = sender.store(make_instance(3 << 20))
            self.assertEqual((answer.status, answer.comment), (0xA700, comment))
            self.assertEqual(sink.messages, [])
            self.assert_still_serves(gateway, sink)


class Memory(Case):
    seconds = 120

    def test_two_GiB_pass_while_memory_stays_below_64_MiB(self):
        total = (256 << 20) if SANITIZED else (2 << 30) + 2
        gateway, sink = self.simple(keep=False, max_length=1 << 20)
        sender = self.sender(gateway, seconds=60)
        instance = make_instance(2)
        context = sender.begin(instance)
        size = (sender.answer.max_length or 1 << 20) - 6 & ~1
        block = make_instance(size).data[:size]
        crc = sent = 0
        while sent < total:
            payload = block[:total - sent] if total - sent < size else block
            payload = sent.to_bytes(8, "big")[:len(payload)] + payload[8:]  # no two blocks are equal
            crc, sent = zlib.crc32(payload, crc), sent + len(payload)
            sender.wire.send(dicom.p_data(dicom.pdv(context, 2 if sent == total else 0, payload)))
        self.assert_stored(sender.response())
        self.assertEqual((sink.messages[0].length, sink.messages[0].crc), (total, crc))
        if not SANITIZED:
            self.assertLess(gateway.memory(), 64 << 20)

    def test_a_slow_destination_slows_its_sender_and_not_the_memory(self):
        sink = self.sink(keep=False, receive_buffer=65536)
        gateway, _ = self.simple(sink, settings={"window": "1MiB"})
        sender = self.sender(gateway)
        context = sender.begin(make_instance(2))
        sink.pause()
        sender.wire.socket.settimeout(2)
        sent = 0
        try:
            while sent < 256 << 20:
                sender.data(context, bytes(1 << 20))
                sent += 1 << 20
        except TimeoutError:
            pass
        self.assertLess(sent, 64 << 20, "nothing held the sender back")
        if not SANITIZED:
            self.assertLess(gateway.memory(), 64 << 20)
        sink.resume()


class MemoryMasked(Memory):
    suffix = " (with the features of kernel 6.1)"
    environment = MASKED
