"""What a sender is offered follows from what its candidate destinations take."""

import time

import dicom
from dicom import (BIG_ENDIAN, CT, DEFLATED, EXPLICIT, GE_PRIVATE, IMPLICIT, JPEG, JPEG_2000, MR, PATIENT_ROOT_FIND,
                   US, VERIFICATION, make_instance)
from harness import SAMPLES, Case, declare, node, route, storescp, tool


class Contexts(Case):
    def test_the_transfer_syntax_that_the_node_takes_is_what_the_sender_is_offered(self):
        for takes in ([IMPLICIT], [EXPLICIT], [JPEG_2000, JPEG], [BIG_ENDIAN]):
            with self.subTest(takes=takes):
                gateway, sink = self.simple(transfers=takes)
                sender = self.sender(gateway, [(CT, [EXPLICIT, IMPLICIT, JPEG, JPEG_2000, BIG_ENDIAN])])
                self.assertEqual(list(sender.accepted.values()), [(CT, takes[0])])
                one = make_instance(transfer=takes[0])
                self.assert_stored(sender.store(one))
                self.assertEqual((sink.messages[0].transfer, sink.messages[0].data), (takes[0], one.data))

    def test_each_context_is_mirrored_to_the_node(self):
        gateway, sink = self.simple(transfers=[IMPLICIT, JPEG], classes=[CT, MR])
        sender = self.sender(gateway, [(CT, [EXPLICIT]), (CT, [IMPLICIT]), (MR, [JPEG]), (US, [IMPLICIT]), (MR, [EXPLICIT])])
        self.assertEqual(sender.accepted, {3: (CT, IMPLICIT), 5: (MR, JPEG)})
        self.assertEqual(set(sender.results), {1, 3, 5, 7, 9}, "every context is answered")
        for one in (make_instance(transfer=IMPLICIT), make_instance(sop_class=MR, transfer=JPEG)):
            self.assert_stored(sender.store(one))

    def test_what_was_learnt_of_a_node_holds_for_the_next_sender(self):
        gateway, sink = self.simple(transfers=[IMPLICIT], settings={"workers": 1})
        pairs = [(CT, [EXPLICIT]), (CT, [IMPLICIT])]
        for _ in range(3):
            sender = self.sender(gateway, pairs)
            self.assertEqual(sender.accepted, {3: (CT, IMPLICIT)})
            self.assert_stored(sender.store(make_instance(transfer=IMPLICIT)))
            sender.release()

    def test_a_node_that_rejects_is_a_line_and_a_count(self):
        """By the sender's title: it may take others, so it is not away (test_health), and is asked each time."""
        closed = self.sink(reject=(1, 1, 7))
        gateway = self.gateway(node("closed", closed, calling="pass"), node("b", self.sink()), route("all", to=["closed", "b"]))
        for _ in range(30):
            self.sender(gateway).release()
        (line,) = [e for e in gateway.events("node not reached for negotiation") if e["level"] == "warn"]
        self.assertEqual(line["node"], "closed")
        gateway.stop()
        (more,) = gateway.events("node not reached for more negotiations")
        self.assertEqual((more["node"], more["cause"], more["count"]), ("closed", line["cause"], closed.rejections - 1))
        self.assertGreater(more["count"], 10)
        self.assertEqual([e for e in gateway.events("association to node ended") if e["level"] == "warn"], [])

    def test_128_contexts_are_answered_and_usable(self):
        """As storescu's default request."""
        gateway, sink = self.simple()
        pairs = [(f"1.2.840.10008.5.1.4.1.1.{i}", [t]) for i in range(500, 564) for t in (EXPLICIT, IMPLICIT)]
        sender = self.sender(gateway, pairs)
        self.assertEqual(len(sender.accepted), 128)
        for context in (1, 127, 255):
            sop_class, transfer = sender.accepted[context]
            one = make_instance(sop_class=sop_class, transfer=transfer)
            self.assert_stored(sender.store(one))
            self.assertEqual(sink.messages[-1].data, one.data)

    def test_storescus_default_proposals_are_answered_as_storescp_itself_answers_them(self):
        peer = self.peer(storescp)
        gateway = self.gateway(node("a", peer), route("all", to="a"))
        answers = []
        for port in (peer.port, gateway.port):
            done = tool("storescu", "-d", "127.0.0.1", port, SAMPLES + "/CT_small.dcm")
            accept = done.stdout[done.stdout.index("BEGIN A-ASSOCIATE-AC"):done.stdout.index("END A-ASSOCIATE-AC")]
            answers.append([line for line in accept.splitlines() if "Context ID" in line or "Accepted Transfer" in line])
        self.assertEqual(len(answers[0]), 256)
        self.assertEqual(answers[1], answers[0])

    def test_the_same_class_in_several_contexts_keeps_each_its_own_syntax(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway, [(CT, [t]) for t in (JPEG, EXPLICIT, IMPLICIT, DEFLATED)])
        for transfer in (IMPLICIT, JPEG, DEFLATED, EXPLICIT):
            self.assert_stored(sender.store(make_instance(transfer=transfer)))
            self.assertEqual(sink.messages[-1].transfer, transfer)

    def test_candidates_that_differ_meet_on_what_both_take(self):
        a, b = self.sink(transfers=[JPEG, EXPLICIT, IMPLICIT]), self.sink(transfers=[IMPLICIT, EXPLICIT])
        gateway = self.gateway(node("a", a), node("b", b), route("both", to=["a", "b"]))
        sender = self.sender(gateway, [(CT, [JPEG, EXPLICIT, IMPLICIT])])
        ((_, transfer),) = sender.accepted.values()
        self.assertIn(transfer, (EXPLICIT, IMPLICIT))
        one = make_instance(transfer=transfer)
        self.assert_stored(sender.store(one))
        self.assertEqual([a.messages[0].data, b.messages[0].data], [one.data] * 2)
        self.assertEqual([a.messages[0].transfer, b.messages[0].transfer], [transfer] * 2)

    def test_a_context_that_any_candidate_takes_is_accepted(self):
        a, b = self.sink(classes=[CT]), self.sink(classes=[MR])
        gateway = self.gateway(node("a", a), node("b", b), route("ct", to="a", when={"SOPClassUID": CT}),
                               route("mr", to="b", when={"SOPClassUID": MR}))
        sender = self.sender(gateway, [(CT, [EXPLICIT]), (MR, [EXPLICIT]), (US, [EXPLICIT])])
        self.assertEqual((sender.results[1], sender.results[3]), (0, 0))
        self.assert_stored(sender.store(make_instance()))
        self.assert_stored(sender.store(make_instance(sop_class=MR)))
        if sender.results[5] == 0:  # no route takes it: refused in either of two ways
            self.assertEqual(sender.store(make_instance(sop_class=US)).status, 0x0124)
        self.assertEqual((len(a.messages), len(b.messages)), (1, 1))

    def test_a_copy_beside_a_to_has_no_say_and_copies_alone_take_everything(self):
        a, b = self.sink(transfers=[IMPLICIT], classes=[CT]), self.sink(transfers=[EXPLICIT])
        gateway = self.gateway(node("a", a), node("b", b), route("ct", to="a", copy="b", when={"SOPClassUID": [CT, US]}),
                               declare("route", "mr", {"copy": "b", "when": {"SOPClassUID": MR}}))
        sender = self.sender(gateway, [(CT, [EXPLICIT, IMPLICIT]), (US, [EXPLICIT]), (MR, [JPEG]), (MR, [JPEG_2000, IMPLICIT])])
        self.assertEqual(sender.accepted, {1: (CT, IMPLICIT), 5: (MR, JPEG), 7: (MR, JPEG_2000)})
        self.assertEqual(len(b.associations), 0, "who gets copies is not asked")

    def test_copies_alone_take_what_another_candidate_refuses(self):
        a, b = self.sink(classes=[CT]), self.sink()
        gateway = self.gateway(node("a", a), node("b", b), route("ct", to="a", when={"Modality": "CT"}),
                               declare("route", "all", {"copy": "b"}))
        self.assertEqual(self.sender(gateway, [(MR, [JPEG])]).accepted, {1: (MR, JPEG)})

    def test_an_unknown_abstract_syntax_is_storage(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway, [(GE_PRIVATE, [EXPLICIT]), ("1.2.3.4.5.6", [IMPLICIT])])
        self.assertEqual(set(sender.results.values()), {0})
        self.assert_stored(sender.store(make_instance(sop_class=GE_PRIVATE)))
        self.assertEqual(sink.messages[0].abstract, GE_PRIVATE)

    def test_known_services_other_than_storage_are_rejected_as_abstract_syntax_not_supported(self):
        gateway, sink = self.simple()
        other = [PATIENT_ROOT_FIND, "1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.1.20.1",
                 "1.2.840.10008.5.1.1.9"]
        sender = self.sender(gateway, [(CT, [EXPLICIT]), *[(uid, [IMPLICIT]) for uid in other]])
        self.assertEqual(sender.results, {1: 0, 3: 3, 5: 3, 7: 3, 9: 3, 11: 3})
        self.assert_stored(sender.store(make_instance()))

    def test_a_node_that_is_away_is_promised_only_uncompressed_syntaxes_and_is_A700(self):
        sink = self.sink()
        sink.close_listener()
        gateway, _ = self.simple(sink)
        sender = self.sender(gateway, [(CT, [EXPLICIT]), (CT, [JPEG]), (CT, [IMPLICIT])])
        self.assertEqual({t for _, t in sender.accepted.values()}, {EXPLICIT, IMPLICIT})
        answer = sender.store(make_instance())
        self.assertEqual(answer.status, 0xA700)
        self.assertIn("a", answer.comment)

    def test_our_own_identification_and_maximum_are_announced_on_both_legs(self):
        gateway, sink = self.simple(settings={"max_pdu": "64KiB"})
        sender = self.sender(gateway, class_uid="1.2.3.4", version_name="MODALITY")
        self.assert_stored(sender.store(make_instance()))
        request = sink.used()[0].request
        self.assertEqual(sender.answer.class_uid, request.class_uid)
        self.assertNotEqual(request.class_uid, "1.2.3.4")
        self.assertNotEqual(request.version_name, "MODALITY")
        self.assertEqual((sender.answer.max_length, request.max_length), (65536, 65536))

    def test_the_answer_repeats_the_titles_as_they_came(self):
        gateway, _ = self.simple()
        sender = self.sender(gateway, called=b" odd title      ", calling=b"X\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
        self.assertEqual((sender.answer.called, sender.answer.calling), (sender.request.called, sender.request.calling))


class Options(Case):
    def test_roles_are_answered_by_what_the_node_answers(self):
        """An answer is 1 only where 1 was proposed, and an absent item means the default (PS3.7 D.3.3.4)."""
        for node_says, expected in ((lambda asked: asked, [(CT, 1, 1)]), (None, [])):
            with self.subTest(expected=expected):
                gateway, sink = self.simple(roles=node_says)
                sender = self.sender(gateway, roles=[(CT, 1, 1)])
                self.assertEqual(sink.associations[0].request.roles, [(CT, 1, 1)])
                self.assertIn(sender.answer.roles, (expected, expected or [(CT, 1, 0)]))
                self.assert_stored(sender.store(make_instance()))

    def test_extended_negotiation_is_carried_to_the_node_and_its_answer_back(self):
        info = bytes([2, 0, 3, 0, 1, 0])
        gateway, sink = self.simple(extended=lambda items: items)
        sender = self.sender(gateway, extended=[(CT, info)])
        self.assertEqual(sink.associations[0].request.extended, [(CT, info)])
        self.assertEqual(sender.answer.extended, [(CT, info)])

    def test_extended_negotiation_that_the_node_does_not_answer_is_not_answered(self):
        gateway, sink = self.simple(extended=None)
        sender = self.sender(gateway, extended=[(CT, bytes(6))])
        self.assertEqual(sender.answer.extended, [])
        self.assert_stored(sender.store(make_instance()))

    def test_a_user_identity_is_passed_through_to_an_association_of_its_own(self):
        gateway, sink = self.simple(identity_answer=b"ticket", settings={"workers": 1})
        plain = self.sender(gateway)
        self.assert_stored(plain.store(make_instance()))
        plain.release()
        for user in (b"ada", b"bob"):
            sender = self.sender(gateway, identity=(2, 1, user, b"secret"))
            self.assertEqual(sender.answer.identity_answer, b"ticket")
            self.assert_stored(sender.store(make_instance()))
            sender.release()
        self.assert_stored(self.sender(gateway).store(make_instance()))
        seen = [(a.request.identity and a.request.identity[2], len(a.messages)) for a in sink.used()]
        self.assertEqual(sorted(seen, key=str), [(None, 2), (b"ada", 1), (b"bob", 1)] if len(seen) == 3 else
                         [(None, 1), (None, 1), (b"ada", 1), (b"bob", 1)])
        self.assertNotIn("secret", gateway.log())

    def test_an_identity_that_asks_for_no_answer_gets_none(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway, identity=(1, 0, b"ada", b""))
        self.assertIsNone(sender.answer.identity_answer)
        self.assertEqual(sink.associations[0].request.identity, (1, 0, b"ada", b""))

    def test_unknown_items_are_passed_over(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway, extra_items=dicom.item(0x5A, b"??") + dicom.item(0xEE, b""))
        self.assert_stored(sender.store(make_instance()))

    def test_common_extended_negotiation_is_understood(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway, [(GE_PRIVATE, [EXPLICIT])], common=[(GE_PRIVATE, "1.2.840.10008.4.2", [CT])])
        self.assert_stored(sender.store(make_instance(sop_class=GE_PRIVATE)))


class Rejections(Case):
    def assert_rejected(self, gateway, expected, **request):
        with self.assertRaises(dicom.Rejected) as caught:
            self.sender(gateway, **request)
        e = caught.exception
        self.assertEqual((e.result, e.source, e.reason), expected)

    def test_a_called_title_that_the_listener_does_not_have(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("all", to="a"), listen=[{"ae_titles": ["HILUM", "ALSO"]}])
        self.assert_rejected(gateway, (1, 1, 7), called="OTHER")
        for called in ("HILUM", "ALSO"):
            self.assert_stored(self.sender(gateway, called=called).store(make_instance()))

    def test_an_address_that_the_listener_does_not_allow(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("all", to="a"), listen=[{"allow": ["127.0.0.2/32", "10.0.0.0/8"]}])
        with self.assertRaises(dicom.Ended):
            self.sender(gateway)
        self.assert_stored(self.sender(gateway, source="127.0.0.2").store(make_instance()))

    def test_a_wrong_application_context(self):
        gateway, sink = self.simple()
        self.assert_rejected(gateway, (1, 1, 2), application="1.2.840.10008.3.1.1.2")
        self.assert_still_serves(gateway, sink)

    def test_a_protocol_version_without_bit_0(self):
        gateway, sink = self.simple()
        self.assert_rejected(gateway, (1, 2, 2), version=2)

    def test_a_protocol_version_with_more_bits_is_served(self):
        gateway, sink = self.simple()
        self.assert_stored(self.sender(gateway, version=3).store(make_instance()))

    def test_more_associations_than_max_associations_are_a_transient_local_limit(self):
        gateway, sink = self.simple(settings={"max_associations": 3})
        held = [self.sender(gateway) for _ in range(3)]
        with self.assertRaises(dicom.Rejected) as caught:
            self.sender(gateway)
        self.assertEqual((caught.exception.result, caught.exception.source), (2, 3))
        self.assertIn(caught.exception.reason, (1, 2))
        held[0].release()
        for _ in range(100):
            try:
                self.assert_stored(self.sender(gateway).store(make_instance()))
                return
            except dicom.Rejected:
                time.sleep(0.02)
        self.fail("a place that was given back is not given out")

    def test_a_place_is_free_as_soon_as_the_release_is_answered(self):
        """Whether the sender closes its old connection then or keeps it."""
        gateway, _ = self.simple(settings={"max_associations": 1})
        for _ in range(20):
            sender = self.sender(gateway)
            sender.wire.send(dicom.pdu(dicom.RELEASE_RQ, bytes(4)))
            sender.wire.expect(dicom.RELEASE_RP)


class Echo(Case):
    pairs = [(VERIFICATION, [IMPLICIT]), (CT, [EXPLICIT])]

    def test_the_gateway_answers_an_echo_itself(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway, self.pairs)
        self.assert_stored(sender.echo())
        self.assert_stored(sender.store(make_instance()))
        self.assert_stored(sender.echo())
        self.assertEqual(sink.echoes, [])
        tool("echoscu", "-aec", "HILUM", "127.0.0.1", gateway.port)
        tool("gdcmscu", "--echo", "127.0.0.1", gateway.port, check=False)

    def test_the_gateway_answers_an_echo_although_its_nodes_are_away(self):
        sink = self.sink()
        sink.close_listener()
        gateway, _ = self.simple(sink)
        self.assert_stored(self.sender(gateway, [(VERIFICATION, [IMPLICIT])]).echo())

    def test_an_echo_that_a_route_names_is_relayed(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("echoes", to="a", when={"service": "echo"}), route("all", to="a"))
        sender = self.sender(gateway, self.pairs)
        self.assert_stored(sender.echo())
        self.assertEqual(len(sink.echoes), 1)
        self.assert_stored(sender.store(make_instance()))

    def test_a_relayed_echo_to_a_node_that_is_away_fails(self):
        sink = self.sink()
        sink.close_listener()
        gateway = self.gateway(node("a", sink), route("echoes", to="a", when={"service": "echo"}))
        try:
            sender = self.sender(gateway, [(VERIFICATION, [IMPLICIT])])
            if sender.accepted:
                self.assertNotEqual(sender.echo().status, 0)
        except dicom.Ended:
            pass  # nobody to echo: the context or the association may be refused as well
