"""What real devices do (the numbers are those of docs/testing.md), each in both roles where it makes sense."""

import socket
import time

import dicom
from dicom import CT, EXPLICIT, IMPLICIT, JPEG, MR, US, make_instance
from harness import SLOW, Case, node, route, wait_until
from sender import Framing


class Quirks(Case):
    def round_trip(self, gateway, sink, framing=None, size=40_000, **request):
        sender = self.sender(gateway, **request)
        one = make_instance(size)
        answer = sender.store(one, framing)
        self.assert_stored(answer)
        self.assertEqual(sink.messages[-1].data, one.data)
        return sender, answer

    # 1: maximum lengths

    def test_1_nodes_announce_every_maximum_length(self):
        for maximum in (16384, 16378, 16382, 16352, 32762, 32768, 262144, 0, 16383, 7777, None):
            with self.subTest(maximum):
                gateway, sink = self.simple(max_length=maximum)
                self.round_trip(gateway, sink, size=400_000)

    def test_1_senders_announce_every_maximum_length_and_answers_keep_to_it(self):
        gateway, sink = self.simple(answer=(0xB000, "x" * 60))
        for maximum in (16384, 16378, 16382, 16352, 32762, 262144, 0, 16383, 64, 33, 8, None):
            with self.subTest(maximum):
                sender = self.sender(gateway, max_length=maximum)
                one = make_instance()
                sender.send(sender.context_for(one), sender.store_command(one), one.data)
                collected, done = b"", False
                while not done:
                    _, body = sender.wire.expect(dicom.P_DATA)
                    self.assertTrue(not maximum or len(body) <= maximum, f"{len(body)} bytes")
                    for _, control, fragment in dicom.pdvs_of(body):
                        self.assertEqual(len(fragment) % 2, 0)
                        collected, done = collected + fragment, bool(control & 2)
                self.assertEqual(dicom.parse_command(collected)[0x0900], 0xB000)

    # 2: PDVs that share PDUs, empty last PDVs, split command sets

    def test_2_senders_mix_and_split_as_they_like(self):
        gateway, sink = self.simple()
        for framing in (Framing(mixed=True), Framing(mixed=True, data=100), Framing(empty_last=True),
                        Framing(command=7), Framing(command=20, mixed=True, empty_last=True)):
            with self.subTest(framing):
                self.round_trip(gateway, sink, framing)

    def test_2_nodes_split_their_responses(self):
        for size in (2, 10, 50):
            with self.subTest(size):
                gateway, sink = self.simple(response_fragment=size)
                self.round_trip(gateway, sink)

    # 3: any data set type but 0101 means that a data set follows

    def test_3_senders_say_any_data_set_type_but_0101(self):
        gateway, sink = self.simple()
        for kind in (0x0000, 0x0001, 0x0102, 0xFEFE, 0xFFFF):
            with self.subTest(f"{kind:04X}"):
                sender, one = self.sender(gateway), make_instance()
                self.assert_stored(sender.store(one, f0800=kind))
                self.assertEqual(sink.messages[-1].data, one.data)

    # 4: UIDs are echoed as they came; some peers demand the optional fields

    def test_4_the_response_repeats_class_and_instance_exactly_as_sent(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway)
        for uid in (b"1.2.3\0", b"1.2.3 ", b"1.2.34", b"1.2.3\0\0\0", b" 1.2.3"):
            with self.subTest(uid):
                one = make_instance()
                answer = sender.store(one, f1000=uid, f0002=CT.encode() + b"\0")
                self.assert_stored(answer)
                self.assertEqual((answer.fields[0x1000], answer.fields[0x0002]), (uid, CT.encode() + b"\0"))
                self.assertEqual(sink.messages[-1].command[0x1000].strip(b" \0"), uid.strip(b" \0"))

    def test_4_nodes_leave_the_optional_fields_out_and_the_sender_gets_them_all_the_same(self):
        gateway, sink = self.simple(omit=(0x0002, 0x1000))
        _, answer = self.round_trip(gateway, sink)
        self.assertTrue({0x0000, 0x0002, 0x0100, 0x0120, 0x0800, 0x0900, 0x1000} <= set(answer.fields))

    # 5: UIDs and titles out of shape

    def test_5_senders_write_uids_and_titles_in_their_own_ways(self):
        gateway, sink = self.simple()
        for uid in (b"1.2.003.4", b"1.2.3\0", b"1.2.3.", b"2.25." + b"9" * 62, b"01.2", b"A.B"):
            with self.subTest(uid):
                self.assert_stored(self.sender(gateway).store(make_instance(), f1000=uid))
        for calling in (b" " * 16, bytes(16), b"ct1\0" + bytes(12), b"0123456789ABCDEF", b"\xc4\xd6" + b" " * 14):
            with self.subTest(calling):
                self.round_trip(gateway, sink, calling=calling)

    def test_5_abstract_and_transfer_syntaxes_with_trailing_bytes_are_known(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway, [(CT + "\0", [EXPLICIT + "\0", IMPLICIT + " "])])
        self.assertEqual(list(sender.results.values()), [0])

    # 6: rejected contexts without a transfer syntax, results in any order

    def test_6_nodes_reject_contexts_without_a_transfer_syntax_and_answer_in_any_order(self):
        pairs = [(CT, [EXPLICIT]), (MR, [EXPLICIT]), (US, [JPEG]), (CT, [IMPLICIT])]
        for rejected in (None, "", IMPLICIT):
            for order in (list, lambda c: c[::-1], lambda c: c[2:] + c[:2]):
                with self.subTest(rejected=rejected):
                    gateway, sink = self.simple(classes=[CT], rejected_transfer=rejected, context_order=order)
                    sender = self.sender(gateway, pairs)
                    self.assertEqual(set(sender.accepted), {1, 7})
                    for transfer in (IMPLICIT, EXPLICIT):
                        self.assert_stored(sender.store(make_instance(transfer=transfer)))
                        self.assertEqual(sink.messages[-1].transfer, transfer)

    # 7: one accepted transfer syntax a context; at most 128 contexts

    def test_7_a_node_that_always_takes_implicit_is_asked_so_that_the_original_passes_too(self):
        """Contexts for later senders hold one transfer syntax each, so that none hides another."""
        gateway, sink = self.simple(transfers=[IMPLICIT, EXPLICIT, JPEG], settings={"workers": 1})
        sender = self.sender(gateway, [(CT, [JPEG]), (CT, [EXPLICIT]), (CT, [IMPLICIT])])
        for transfer in (JPEG, EXPLICIT, IMPLICIT):
            one = make_instance(transfer=transfer)
            self.assert_stored(sender.store(one))
            self.assertEqual((sink.messages[-1].transfer, sink.messages[-1].data), (transfer, one.data))

    # 8: item 53 only where it is used

    def test_8_the_asynchronous_window_is_left_out_unless_the_sender_asks_for_it(self):
        gateway, sink = self.simple(drop_on_window=True)
        self.round_trip(gateway, sink)
        self.assertTrue(sink.associations)
        self.assertTrue(all(a.request.window is None for a in sink.associations))

    def test_8_a_node_that_drops_the_connection_over_a_window_is_asked_again_without(self):
        gateway, sink = self.simple(drop_on_window=True)
        self.round_trip(gateway, sink, window=(8, 1))

    def test_8_a_sender_whose_window_is_0_0_gets_an_answer_within_the_standard(self):
        gateway, sink = self.simple()
        sender, _ = self.round_trip(gateway, sink, window=(0, 0))

    # 11: statuses

    def test_11_warnings_are_passed_on_and_a_duplicate_is_success(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway)
        for status, seen in ((0xB000, 0xB000), (0xB006, 0xB006), (0xB007, 0xB007), (0x0001, 0x0001), (0x0107, 0x0107),
                             (0x0116, 0x0116), (0x0111, 0), (0xA700, 0xA700), (0xA7FF, 0xA7FF), (0xA900, 0xA900),
                             (0xC000, 0xC000), (0xCFFF, 0xCFFF), (0x0122, 0x0122), (0x0124, 0x0124), (0x0117, 0x0117)):
            with self.subTest(f"{status:04X}"):
                sink.answer = status
                self.assertEqual(sender.store(make_instance()).status, seen)

    def test_11_a_pending_status_is_no_final_answer(self):
        for status in (0xFF00, 0xFF01, 0xFE00):
            with self.subTest(f"{status:04X}"):
                gateway, sink = self.simple(answer=status)
                answer = self.sender(gateway).store(make_instance())
                self.assertEqual(answer.status, 0xA700)
                self.assertIn("not final", answer.comment)

    # 13: how modalities use associations

    def test_13_senders_close_without_release(self):
        gateway, sink = self.simple()
        for how in ("close", "reset", "abort"):
            sender, _ = self.round_trip(gateway, sink)
            getattr(sender, how)()
        wait_until(lambda: all(a.ended in (None, "release") for a in sink.associations), "the node sees nothing of it")
        self.assert_still_serves(gateway, sink)

    def test_13_one_association_an_image_and_one_held_open_beside(self):
        gateway, sink = self.simple()
        held, _ = self.round_trip(gateway, sink)
        for _ in range(20):
            sender, _ = self.round_trip(gateway, sink, size=500)
            sender.release()
        self.assert_stored(held.store(make_instance()))

    def test_13_an_association_without_any_message_is_released(self):
        gateway, sink = self.simple()
        self.sender(gateway).release()
        self.sender(gateway, [(dicom.VERIFICATION, [IMPLICIT])]).release()

    # 14: limits of servers

    def test_14_a_node_limited_to_two_associations_serves_six_senders(self):
        sink = self.sink(max_associations=2)
        gateway = self.gateway(node("a", sink), route("all", to="a"), timeouts={"response": "20s"})
        for _ in range(6):
            sender, _ = self.round_trip(gateway, sink)
            sender.release()
        self.assertEqual(len(sink.messages), 6)

    # 15: Nagle's algorithm and delayed acknowledgements

    def test_15_nodes_that_leave_nagle_on_do_not_cost_40_ms_an_instance(self):
        gateway, sink = self.simple(nagle=True)
        self.assert_quick(self.sender(gateway))

    def test_15_senders_that_leave_nagle_on_do_not_cost_40_ms_an_instance(self):
        gateway, sink = self.simple()
        self.assert_quick(self.sender(gateway, nodelay=False))

    def assert_quick(self, sender):
        """As DCMTK writes: the header of a PDU and its body in writes of their own."""
        self.assert_stored(sender.store(make_instance(8192)))
        start = time.monotonic()
        for _ in range(50):
            one = make_instance(8192)
            for raw in sender.pdus(sender.context_for(one), sender.store_command(one), one.data):
                sender.wire.send(raw[:6])
                sender.wire.send(raw[6:])
            self.assert_stored(sender.response())
        self.assertLess((time.monotonic() - start) / 50, 0.025 * SLOW)

    # 16: who else knocks at the port

    def test_16_probes_and_scanners_get_nothing_and_disturb_nobody(self):
        gateway, sink = self.simple(settings={"timeouts": {"association": "1s"}})
        for raw in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\x03\x00\x00\x13\x0e\xe0", b"*IDN?\n"):
            with socket.create_connection(("127.0.0.1", gateway.port), 10 * SLOW) as probe:
                probe.sendall(raw)
                self.assertIn(probe.recv(1), (b"", b"\x07"))
        for _ in range(50):
            socket.create_connection(("127.0.0.1", gateway.port), 5).close()
        self.assert_still_serves(gateway, sink)

    # 17: releases

    def test_17_a_release_collision_with_a_node_ends_well(self):
        gateway, sink = self.simple(on_release="collide", settings={"timeouts": {"linger": "100ms"}})
        sender, _ = self.round_trip(gateway, sink)
        sender.release()
        wait_until(lambda: sink.collisions == 1, "the collision is over")
        self.round_trip(gateway, sink)

    def test_17_nodes_abort_close_or_say_nothing_instead_of_answering_a_release(self):
        for how in ("abort", "close", "ignore"):
            with self.subTest(how):
                gateway, sink = self.simple(on_release=how, settings={"timeouts": {"linger": "100ms"}})
                sender, _ = self.round_trip(gateway, sink)
                sender.release()
                wait_until(lambda: sink.used()[0].ended == "release", "the gateway asks for release")
                self.round_trip(gateway, sink)

    def test_17_senders_abort_instead_of_releasing_after_the_last_response(self):
        gateway, sink = self.simple()
        sender, _ = self.round_trip(gateway, sink)
        sender.abort()
        self.assert_still_serves(gateway, sink)
        self.assertEqual([a.ended for a in sink.used() if a.ended == "abort"], [])

    def test_17_a_node_that_asks_for_release_is_answered_and_replaced(self):
        gateway, sink = self.simple(release_after=2)
        sender = self.sender(gateway)
        for _ in range(5):
            self.assert_stored(sender.store(make_instance()))

    # 23-25, 27, 28

    def test_23_the_same_instance_from_two_senders_at_once_is_delivered_twice(self):
        gateway, sink = self.simple(delay=0.1)
        one = make_instance(100_000)
        senders = [self.sender(gateway) for _ in range(2)]
        for sender in senders:
            sender.send(sender.context_for(one), sender.store_command(one), one.data)
        for sender in senders:
            self.assert_stored(sender.response())
        self.assertEqual([m.data for m in sink.messages], [one.data] * 2)

    def test_24_a_PDU_of_command_and_several_data_PDVs_is_never_passed_on(self):
        """The sinks judge it; here the sender provokes it."""
        gateway, sink = self.simple(max_length=1 << 20)
        self.round_trip(gateway, sink, Framing(mixed=True, data=300), size=10_000)

    def test_25_odd_fragments_are_taken_and_made_even(self):
        gateway, sink = self.simple()
        for size in (1, 3, 999, 4095):
            self.round_trip(gateway, sink, Framing(data=size), size=5000)

    def test_27_senders_leave_the_maximum_length_and_the_version_name_out(self):
        gateway, sink = self.simple(max_length=None, version_name="")
        self.round_trip(gateway, sink, max_length=None, version_name="")

    def test_28_an_instance_whose_uid_differs_from_the_commands_passes_unread(self):
        gateway, sink = self.simple()
        sender, one = self.sender(gateway), make_instance()
        self.assert_stored(sender.store(one, f1000="1.2.3.4"))
        self.assertEqual((sink.uids, sink.messages[0].data), (["1.2.3.4"], one.data))
