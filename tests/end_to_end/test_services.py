"""Queries and normalized services through the gateway to one destination: everything passes unchanged but ids and titles."""

import os
import re
import sys
import threading
import time

import dicom
import harness
import peer_table
from dicom import (BIG_ENDIAN, C_FIND_RQ, DEFLATED, EXPLICIT, IMPLICIT, N_ACTION_RQ, N_CREATE_RQ, N_DELETE_RQ,
                   N_EVENT_REPORT_RQ, N_GET_RQ, N_SET_RQ, encoded)
from harness import Case, Lua, node, route, services, wait_until
from peer_data import (AVAILABILITY, FILM_BOX, FILM_SESSION, GRAYSCALE_PRINT, MPPS, MPPS_NOTIFICATION, PATIENT_ROOT_FIND, PRINTER,
                       PRINTER_INSTANCE, PRIVATE_SERVICE, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, UPS_EVENT, UPS_PULL, UPS_PUSH,
                       UPS_WATCH, WORKLIST_FIND, data_of)
from peer_service import Answer, Ask, answering, endless, found, until

ALL = ("store", "echo", "find", "move", "get", "mpps", "ups", "print", "availability", "worklist", "other")
ANSWER = data_of(EXPLICIT, PatientID="A", StudyInstanceUID="1.2.3")
QUERY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}


class EveryType(Case):
    def test_every_type_of_message_passes_both_ways(self):
        service = self.service()
        gateway = self.gateway(node("a", service), *services("a", *ALL))
        rows = peer_table.table(gateway.port, service, seconds=20 * harness.SLOW)
        print(f"\n{peer_table.printed(rows)}\n", file=sys.stderr, flush=True)
        with open(os.path.join(harness.ROOT, "src", "dimse", "command.h")) as f:
            every = re.findall(r"DIMSE_([CN]_\w+_R(?:Q|SP)) = ", f.read())
        self.assertEqual(len(every), 23)
        self.assertEqual(peer_table.types_of(rows), {name.replace("_", "-") for name in every})


class OneDestination(Case):
    def through(self, scripts, *more, settings=None, classes=(STUDY_ROOT_FIND,), service=None, **node_keys):
        """A gateway that sends everything to one service; (client, service, gateway)."""
        service = service or self.service(scripts)
        gateway = self.gateway(node("a", service, **node_keys), *services("a", *ALL), *more, **(settings or {}))
        return self.client(gateway, classes), service, gateway

    # ---- bytes

    def test_data_sets_go_both_ways_byte_for_byte_in_every_transfer_syntax(self):
        odd = [(0x00080000, "UL", 4), (0x00080052, "CS", "STUDY"), (0x00091010, "UN", b"\1\2"), (0x00100010, "PN", "M\u00fcller^\u00df"),
               (0x00100020, "LO", b"A\\B  "), (0x0020000D, "UI", b"1.2.3\0"), (0x00400100, "SQ", [[(0x00080060, "CS", "CT")], []])]
        for transfer in (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED):
            with self.subTest(transfer):
                data = encoded(odd, transfer) + (b"" if transfer != DEFLATED else b"")
                data += b"\0" * (len(data) % 2)
                service = self.service({C_FIND_RQ: found(data, data, pending=0xFF01)})
                gateway = self.gateway(node("a", service), *services("a", "find"))
                client = self.client(gateway, [STUDY_ROOT_FIND], [transfer])
                outcome = client.call(C_FIND_RQ, STUDY_ROOT_FIND, data)
                self.assertEqual(service.calls[0].data, data)
                self.assertEqual(service.calls[0].transfer, transfer)
                self.assertEqual([(one.status, one.data) for one in outcome.pending], [(0xFF01, data)] * 2)
                self.assertEqual(outcome.status, 0)

    def test_data_sets_of_many_sizes_and_framings(self):
        sizes = (0, 2, 100, 5000, 16370, 16372, 16374, 70000, 300000)
        answers = [dicom.element(8, 0x52, b"STUDY ") + dicom.element(0x20, 0x4000, bytes(size)) for size in sizes]
        client, service, gateway = self.through({C_FIND_RQ: found(*answers)})
        for size in sizes:
            client = self.client(gateway, [STUDY_ROOT_FIND], [IMPLICIT], max_length=4096 + size % 7)
            data = dicom.element(8, 0x52, b"STUDY ") + dicom.element(0x20, 0x4000, bytes(size))
            outcome = client.call(C_FIND_RQ, STUDY_ROOT_FIND, data)
            self.assertEqual([one.data for one in outcome.pending], answers)
            self.assertEqual(service.calls[-1].data, data)
            client.release()

    def test_two_thousand_pending_responses_come_in_their_order(self):
        answers = [data_of(EXPLICIT, StudyID=str(n), StudyDescription="x" * (n % 50)) for n in range(2000)]
        client, _, _ = self.through({C_FIND_RQ: found(*answers)})
        outcome = client.find(STUDY_ROOT_FIND, **QUERY)
        self.assertEqual([one.data for one in outcome.pending], answers)

    def test_titles_are_the_nodes_and_ours_or_the_senders(self):
        for calling, seen in (("own", "HILUM"), ("pass", "SENDER"), ("OTHER", "OTHER")):
            client, service, _ = self.through({C_FIND_RQ: found()}, calling=calling, ae_title="ARCHIVE")
            client.find(STUDY_ROOT_FIND, **QUERY)
            request = service.used()[0].request
            self.assertEqual((dicom.text(request.calling), dicom.text(request.called)), (seen, "ARCHIVE"))
            client.release()

    def test_every_status_goes_through_with_what_stands_beside_it(self):
        beside = {0x0901: b"\x10\0\x20\0\x08\0\x52\0", 0x0902: "because", 0x0903: 77}
        statuses = (0x0000, 0x0001, 0x0122, 0x0124, 0xA700, 0xA900, 0xB000, 0xB123, 0xC001, 0xFE00, 0x1234, 0xFFFF)
        said = iter(statuses)

        def one(call):
            yield Answer(next(said), None, beside)
        client, _, _ = self.through({C_FIND_RQ: one})
        for status in statuses:
            outcome = client.find(STUDY_ROOT_FIND, **QUERY)
            self.assertEqual(outcome.status, status)
            self.assertEqual({e: v for e, v in outcome.final.fields.items() if e in beside},
                             {0x0901: beside[0x0901], 0x0902: b"because ", 0x0903: 77})

    # ---- ids

    def test_clients_with_the_same_message_id_get_their_own_answers(self):
        def echo(call):
            for _ in range(20):
                yield Answer(0xFF00, call.data)
                time.sleep(0.002)
            yield Answer(0)
        client, service, gateway = self.through({C_FIND_RQ: echo})
        clients = [self.client(gateway, [STUDY_ROOT_FIND]) for _ in range(4)]
        asked = [data_of(EXPLICIT, PatientID=f"P{n}", **QUERY) for n in range(4)]
        ids = [one.ask(C_FIND_RQ, STUDY_ROOT_FIND, data) for one, data in zip(clients, asked)]
        self.assertEqual(ids, [1] * 4)
        for one, data in zip(clients, asked):
            outcome = one.finish(1)
            self.assertEqual([pending.data for pending in outcome.pending], [data] * 20)

    def test_several_outstanding_requests_of_one_association(self):
        """Answers stand beside each other; each has its request's id and its own data sets."""
        def echo(call):
            for _ in range(5):
                yield Answer(0xFF00, call.data)
                yield None
            yield Answer(0)
        client, service, gateway = self.through({C_FIND_RQ: echo})
        client = self.client(gateway, [STUDY_ROOT_FIND], window=(4, 1))
        asked = {client.ask(C_FIND_RQ, STUDY_ROOT_FIND, data): data
                 for data in (data_of(EXPLICIT, PatientID=f"P{n}", **QUERY) for n in range(3))}
        got, final = {one: [] for one in asked}, set()
        while len(final) < len(asked):
            response = client.next()
            got[response.fields[0x0120]].append(response.data)
            if response.status == 0:
                final.add(response.fields[0x0120])
        self.assertEqual(got, {one: [data] * 5 + [None] for one, data in asked.items()})

    # ---- C-CANCEL

    def test_a_cancel_reaches_the_node_under_its_own_id(self):
        client, service, gateway = self.through({C_FIND_RQ: endless(lambda n: ANSWER)})
        self.client(gateway, [STUDY_ROOT_FIND]).call(C_FIND_RQ, STUDY_ROOT_FIND, ANSWER, cancel_after=3)
        outcome = client.find(STUDY_ROOT_FIND, cancel_after=10, **QUERY)
        self.assertEqual(outcome.status, 0xFE00)
        self.assertGreaterEqual(len(outcome.pending), 10)
        self.assertEqual([fields[0x0120] for _, _, fields in service.cancels], [call.id for call in service.calls])

    def test_a_cancel_before_the_first_answer(self):
        def silent(call):
            yield from until(lambda: False, call)
            yield Answer(0xFE00)
        client, service, _ = self.through({C_FIND_RQ: silent})
        message_id = client.ask(C_FIND_RQ, STUDY_ROOT_FIND, ANSWER)
        client.cancel(message_id, 1)
        self.assertEqual(client.finish(message_id).status, 0xFE00)
        self.assertTrue(not service.calls or service.calls[0].cancelled)

    def test_a_cancel_that_is_late_or_of_nothing_is_passed_over(self):
        client, service, _ = self.through({C_FIND_RQ: found(ANSWER)})
        client.cancel(77, 1)
        for _ in range(3):
            outcome = client.find(STUDY_ROOT_FIND, **QUERY)
            self.assertEqual((outcome.status, len(outcome.pending)), (0, 1))
            client.cancel(outcome.final.fields[0x0120], 1)
        self.assertEqual(service.cancels, [])

    def test_a_cancel_stops_one_of_several_requests(self):
        stop = []

        def streams(call):
            while not call.cancelled and not stop:
                time.sleep(0.002)
                yield Answer(0xFF00, call.data)
            yield Answer(0xFE00 if call.cancelled else 0)
        client, service, gateway = self.through({C_FIND_RQ: streams})
        client = self.client(gateway, [STUDY_ROOT_FIND], window=(4, 1))
        first, second = (client.ask(C_FIND_RQ, STUDY_ROOT_FIND, ANSWER) for _ in range(2))
        wait_until(lambda: len(service.calls) == 2, "both are with the node")
        client.cancel(second, 1)
        ended = {}
        while len(ended) < 2:
            response = client.next()
            if response.status != 0xFF00:
                ended[response.fields[0x0120]] = response.status
                stop.append(True)
        self.assertEqual(ended, {second: 0xFE00, first: 0})
        self.assertEqual(len(service.cancels), 1)

    def test_a_sender_that_is_lost_stops_the_query(self):
        for how in ("abort", "close", "reset"):
            with self.subTest(how):
                client, service, _ = self.through({C_FIND_RQ: endless(lambda n: ANSWER)})
                client.ask(C_FIND_RQ, STUDY_ROOT_FIND, ANSWER)
                client.next()
                getattr(client, how)()
                wait_until(lambda: service.calls[0].cancelled or service.used()[0].ended, "the node knows", 10)

    # ---- what goes wrong there

    def failed(self, client, *says, status=0xA700, pending=0):
        outcome = client.find(STUDY_ROOT_FIND, **QUERY)
        self.assertEqual((outcome.status, len(outcome.pending)), (status, pending), str(outcome))
        for words in says:
            self.assertIn(words, outcome.comment)
        return outcome

    def test_a_node_that_never_answers_is_A700_and_its_association_is_not_used_again(self):
        client, service, _ = self.through({C_FIND_RQ: found(gate=type("Never", (), {"is_set": lambda s: False})())},
                                          settings={"timeouts": {"response": "400ms"}})
        self.failed(client, "a")
        wait_until(lambda: service.used()[0].ended == "abort", "the association is aborted")
        service.scripts = {C_FIND_RQ: found(ANSWER)}
        self.assertEqual(client.find(STUDY_ROOT_FIND, **QUERY).status, 0)

    def test_a_node_that_falls_silent_between_two_answers_is_A700_after_what_has_come(self):
        def falls_silent(call):
            for _ in range(3):
                yield Answer(0xFF00, ANSWER)
            yield "never"
        client, _, _ = self.through({C_FIND_RQ: falls_silent}, settings={"timeouts": {"response": "400ms"}})
        self.failed(client, "a", pending=3)

    def test_a_slow_node_has_the_time_from_answer_to_answer(self):
        def slow(call):
            for _ in range(5):
                time.sleep(0.25 * harness.SLOW)
                yield Answer(0xFF00, ANSWER)
            yield Answer(0)
        client, _, _ = self.through({C_FIND_RQ: slow}, settings={"timeouts": {"response": f"{600 * harness.SLOW:.0f}ms"}})
        self.failed(client, status=0, pending=5)

    def test_a_node_that_is_lost_in_the_middle_is_A700_after_what_has_come(self):
        for how in ("abort", "close", "reset"):
            with self.subTest(how):
                def lost(call):
                    yield Answer(0xFF00, ANSWER)
                    yield Answer(0xFF00, ANSWER)
                    while not client.seen:  # a reset takes what is under way with it
                        yield None
                    yield how
                client, _, _ = self.through({C_FIND_RQ: lost})
                client.seen = False
                message_id = client.ask(C_FIND_RQ, STUDY_ROOT_FIND, ANSWER)
                self.assertEqual([client.next().status for _ in range(2)], [0xFF00] * 2)
                client.seen = True
                self.assertEqual(client.finish(message_id).status, 0xA700)

    def test_a_node_that_is_away_rejects_or_lacks_the_class(self):
        away = self.service()
        away.close_listener()
        client, _, _ = self.through({}, service=away)
        self.failed(client, "a")
        client, _, _ = self.through({}, service=self.service(reject=(1, 1, 7)))
        self.failed(client, "a")
        service = self.service(classes=[STUDY_ROOT_MOVE])
        gateway = self.gateway(node("a", service), *services("a", "find"))
        client = self.client(gateway, [STUDY_ROOT_FIND])
        if client.accepted:
            self.failed(client, "a", status=0x0122)

    def test_a_node_that_answers_something_else_is_no_success(self):
        cases = ({0x0100: 0x8020 ^ 1}, {0x0120: 4711}, {0x0100: 0x8030})
        for fields in cases:
            with self.subTest(fields):
                client, _, _ = self.through({C_FIND_RQ: answering(0, **{f"f{e:04x}": v for e, v in fields.items()})},
                                            settings={"timeouts": {"response": "500ms"}})
                self.failed(client)

    def test_an_identifier_that_is_too_long_is_refused_and_the_association_goes_on(self):
        client, service, _ = self.through({C_FIND_RQ: found(ANSWER)}, settings={"header_max": "64KiB"})
        outcome = client.call(C_FIND_RQ, STUDY_ROOT_FIND, data_of(EXPLICIT, QueryRetrieveLevel="STUDY") + dicom.element(
            0x20, 0x4000, b" " * 65000, b"LT") * 2)
        self.assertEqual((outcome.status, service.calls), (0xA700, []))
        self.failed(client, status=0, pending=1)

    def test_a_client_that_does_not_read_pauses_the_node_and_memory_is_bounded(self):
        big = data_of(EXPLICIT, ImageComments="x" * 10000)
        sent = []

        def stream(call):
            for _ in range(6000):  # 60 MB
                yield Answer(0xFF00, big)
                sent.append(None)
            yield Answer(0)
        client, _, gateway = self.through({C_FIND_RQ: stream}, settings={"memory": "32MiB", "workers": 1})
        message_id = client.ask(C_FIND_RQ, STUDY_ROOT_FIND, ANSWER)

        def stands():
            before = len(sent)
            time.sleep(0.2)
            return len(sent) == before
        wait_until(stands, "the node is paused")
        self.assertLess(len(sent), 3000)
        if not harness.SANITIZED:
            self.assertLess(gateway.memory(), 96 << 20)
        outcome = client.finish(message_id)
        self.assertEqual((outcome.status, len(outcome.pending)), (0, 6000))
        self.assertEqual({one.data for one in outcome.pending}, {big})


class Odd(Case):
    """What a peer should not do, or hardly ever does."""

    through = OneDestination.through

    def test_a_query_without_an_identifier_is_the_nodes_to_judge(self):
        def judges(call):
            yield Answer(0xA900 if call.data is None else 0)
        client, service, _ = self.through({C_FIND_RQ: judges})
        self.assertEqual(client.call(C_FIND_RQ, STUDY_ROOT_FIND).status, 0xA900)
        self.assertEqual(client.call(C_FIND_RQ, STUDY_ROOT_FIND, ANSWER).status, 0)

    def test_an_empty_data_set_is_one(self):
        """A data set is announced and has no byte, in the only PDV it has."""
        client, service, _ = self.through({C_FIND_RQ: found(ANSWER)})
        self.assertEqual(client.call(C_FIND_RQ, STUDY_ROOT_FIND, b"").status, 0)

    def test_a_last_response_with_a_data_set_keeps_it(self):
        def more(call):
            yield Answer(0xB000, ANSWER)
        client, _, _ = self.through({C_FIND_RQ: more})
        final = client.find(STUDY_ROOT_FIND, **QUERY).final
        self.assertEqual((final.status, final.data), (0xB000, ANSWER))

    def test_a_pending_response_without_a_data_set(self):
        def empty(call):
            yield Answer(0xFF00)
            yield Answer(0xFF00, ANSWER)
            yield Answer(0)
        client, _, _ = self.through({C_FIND_RQ: empty})
        outcome = client.find(STUDY_ROOT_FIND, **QUERY)
        self.assertEqual([one.data for one in outcome.pending], [None, ANSWER])

    def test_a_response_of_megabytes(self):
        big = data_of(EXPLICIT, PatientID="X") + dicom.element(0x20, 0x4000, b"x" * 60000, b"LT") + dicom.element(
            0x29, 0x1010, bytes(range(256)) * 20000, b"OB")
        client, _, _ = self.through({N_GET_RQ: answering(0, big)}, classes=[UPS_PULL])
        self.assertEqual(client.call(N_GET_RQ, UPS_PULL, f1001="1.2.3").final.data, big)

    def test_a_response_that_exceeds_header_max_is_a_failure_and_the_gateway_goes_on(self):
        client, service, gateway = self.through({C_FIND_RQ: found(ANSWER, dicom.element(0x29, 0x1010, bytes(300000), b"OB"))},
                                                settings={"header_max": "64KiB", "memory": "16MiB"})
        outcome = client.find(STUDY_ROOT_FIND, **QUERY)
        self.assertEqual((outcome.status & 0xF000, len(outcome.pending)), (0xA000, 1), str(outcome))
        service.scripts = {C_FIND_RQ: found(ANSWER)}
        self.assertEqual(client.find(STUDY_ROOT_FIND, **QUERY).status, 0)

    def test_requests_that_want_more_memory_than_there_is_do_not_wait_for_ever(self):
        """Each holds a part of what the others need. One alone finds room in any case: a buffer is a quarter full at least."""
        service = self.service({N_SET_RQ: answering(0)})
        gateway = self.gateway(node("a", service), *services("a", "mpps"), workers=1, memory="4MiB", timeouts={"lag": "500ms"})
        clients = [self.client(gateway, [MPPS], [EXPLICIT], seconds=30) for _ in range(8)]
        data = encoded([(0x00420011, "OB", bytes(800 << 10))])
        fields = {0x0003: MPPS, 0x0100: N_SET_RQ, 0x0110: 1, 0x0800: 1, 0x1001: b"1.2.9"}
        for one in clients:
            pdus = one.pdus(one.context_of(MPPS), fields, data)
            threading.Thread(target=one.wire.send, args=(b"".join(pdus),), daemon=True).start()
        statuses = sorted(one.next().status for one in clients)
        self.assertEqual(statuses[0], 0, statuses)
        self.assertLessEqual(set(statuses), {0, 0x0213})
        again = self.client(gateway, [MPPS], [EXPLICIT])
        self.assertEqual(again.call(N_SET_RQ, MPPS, data, f1001="1.2.9").status, 0)

    def test_an_image_that_nobody_asked_for_is_refused(self):
        """A node sends C-STORE on the association on which it is asked for something else."""
        said = []

        def sends(call):
            context = next(number for number, (one, _) in call.association.contexts.items() if one == dicom.CT)
            response = yield Ask(context, {0x0002: dicom.CT, 0x0100: dicom.C_STORE_RQ, 0x0700: 0, 0x1000: "1.2.3"}, ANSWER)
            said.append(response.status)
            yield Answer(0)
        _, service, gateway = self.through({C_FIND_RQ: sends})
        client = self.client(gateway, [STUDY_ROOT_FIND, dicom.CT], roles=[(dicom.CT, 1, 1)])
        self.assertEqual(client.find(STUDY_ROOT_FIND, **QUERY).status, 0)
        self.assertEqual((client.requests, said[0] != 0), ([], True))

    def test_an_event_for_a_sender_that_is_gone_is_refused(self):
        client, service, gateway = self.through({N_ACTION_RQ: answering(0)}, classes=[UPS_WATCH, UPS_EVENT],
                                                settings={"workers": 1})
        self.assertEqual(client.call(N_ACTION_RQ, UPS_WATCH, ANSWER, f1001="1.2.3", f1008=3).status, 0)
        (association,) = service.used()
        client.release()
        contexts = {one: number for number, (one, _) in association.contexts.items()}
        answer = []
        if association.ended is None:
            association.own.append((Ask(contexts[UPS_EVENT], {0x0002: UPS_EVENT, 0x0100: N_EVENT_REPORT_RQ, 0x1000: "1.2.3", 0x1002: 1},
                                        ANSWER), answer))
        wait_until(lambda: answer or association.ended, "it is refused, or the association is over")
        self.assertTrue(not answer or answer[0].status != 0)
        again = self.client(gateway, [UPS_WATCH])
        self.assertEqual(again.call(N_ACTION_RQ, UPS_WATCH, ANSWER, f1001="1.2.3", f1008=3).status, 0)

    def test_a_sender_that_does_not_answer_an_event_is_given_up_in_time(self):
        said = []

        def asks(call):
            contexts = {one: number for number, (one, _) in call.association.contexts.items()}
            response = yield Ask(contexts[UPS_EVENT], {0x0002: UPS_EVENT, 0x0100: N_EVENT_REPORT_RQ, 0x1000: "1.2.3", 0x1002: 1}, ANSWER)
            said.append(response.status)
            yield Answer(0)
        client, service, _ = self.through({N_ACTION_RQ: asks}, classes=[UPS_WATCH, UPS_EVENT], settings={"timeouts": {"response": "500ms"}})
        client.on_request = lambda message: None
        client.ask(N_ACTION_RQ, UPS_WATCH, ANSWER, f1001="1.2.3", f1008=3)
        try:
            client.next()
        except dicom.Ended:
            pass
        wait_until(lambda: said or service.used()[0].ended, "the node hears of it")
        self.assertTrue(not said or said[0] != 0)

    def test_an_answer_that_nobody_asked_for_ends_the_senders_association_only(self):
        client, service, gateway = self.through({C_FIND_RQ: found(ANSWER)})
        client.send(1, {0x0002: STUDY_ROOT_FIND, 0x0100: 0x8020, 0x0120: 99, 0x0800: dicom.NO_DATA_SET, 0x0900: 0})
        client.ask(C_FIND_RQ, STUDY_ROOT_FIND, ANSWER)
        try:
            client.next()
        except dicom.Ended:
            pass
        other = self.client(gateway, [STUDY_ROOT_FIND])
        self.assertEqual(other.find(STUDY_ROOT_FIND, **QUERY).status, 0)


class Negotiated(Case):
    def test_extended_negotiation_is_what_all_can(self):
        """PS3.4 C.5: relational, date-time, fuzzy names, time zone. An item that one does not answer is not answered."""
        cases = (([b"\1\1\1\0"], b"\1\1\1\0"), ([b"\1\0\1\0"], b"\1\0\1\0"), ([b"\1\0\1\0", b"\1\1\0\0"], b"\1\0\0\0"),
                 ([b"\1\1\1\1", None], None))
        for number, (says, expected) in enumerate(cases):
            with self.subTest(says):
                peers = [self.service({C_FIND_RQ: found()}, extended=lambda asked, one=one: [(uid, one) for uid, _ in asked if one])
                         for one in says]
                names = [f"n{number}{i}" for i in range(len(peers))]
                gateway = self.gateway(*(node(name, peer) for name, peer in zip(names, peers)), *services(names, "find"))
                client = self.client(gateway, [STUDY_ROOT_FIND], extended=[(STUDY_ROOT_FIND, b"\1\1\1\1")])
                self.assertEqual(client.answer.extended, [(STUDY_ROOT_FIND, expected)] if expected else [])
                self.assertEqual(client.find(STUDY_ROOT_FIND, **QUERY).status, 0)
                for peer in peers:
                    self.assertEqual(peer.used()[0].request.extended, [(STUDY_ROOT_FIND, b"\1\1\1\1")])

    def test_a_client_that_asks_for_nothing_is_asked_for_nothing(self):
        service = self.service({C_FIND_RQ: found()})
        gateway = self.gateway(node("a", service), *services("a", "find"))
        self.client(gateway, [STUDY_ROOT_FIND]).find(STUDY_ROOT_FIND, **QUERY)
        self.assertEqual((service.used()[0].request.extended, service.used()[0].request.roles), ([], []))

    def test_the_transfer_syntax_of_queries_is_one_that_the_node_takes(self):
        service = self.service({C_FIND_RQ: found()}, transfers=[IMPLICIT])
        gateway = self.gateway(node("a", service), *services("a", "find"))
        client = self.client(gateway, [STUDY_ROOT_FIND], [EXPLICIT, IMPLICIT])
        self.assertEqual(list(client.accepted.values()), [(STUDY_ROOT_FIND, IMPLICIT)])
        self.assertEqual(client.find(STUDY_ROOT_FIND, **QUERY).status, 0)

    def test_services_that_no_route_names_are_rejected_at_the_association(self):
        service = self.service()
        gateway = self.gateway(node("a", service), *services("a", "find", "mpps"))
        client = self.client(gateway, [STUDY_ROOT_FIND, WORKLIST_FIND, MPPS, UPS_PUSH, STUDY_ROOT_MOVE, GRAYSCALE_PRINT])
        self.assertEqual({uid for uid, _ in client.accepted.values()}, {STUDY_ROOT_FIND, MPPS})
        self.assertEqual({result for result in client.results.values() if result}, {3})


class Facts(Case):
    """What routes of services are decided by."""

    def setUp(self):
        self.services = {name: self.service({C_FIND_RQ: found(data_of(EXPLICIT, PatientID=name))}) for name in "abc"}
        self.nodes = [node(name, one) for name, one in self.services.items()]

    def asks(self, client, sop_class=STUDY_ROOT_FIND, **keys):
        """Which of them has answered; or the status."""
        outcome = client.find(sop_class, **{"QueryRetrieveLevel": "STUDY", "PatientID": "", **keys})
        return outcome.answers[0]["PatientID"] if outcome.pending else f"{outcome.status:04X}"

    def test_by_service(self):
        gateway = self.gateway(*self.nodes, *services("a", "find"), *services("b", "worklist"), *services("c", "ups"))
        client = self.client(gateway, [STUDY_ROOT_FIND, PATIENT_ROOT_FIND, WORKLIST_FIND, UPS_PULL])
        answers = [self.asks(client, one) for one in (STUDY_ROOT_FIND, PATIENT_ROOT_FIND, WORKLIST_FIND, UPS_PULL)]
        self.assertEqual(answers, ["a", "a", "b", "c"])

    def test_by_level(self):
        gateway = self.gateway(*self.nodes, route("1", "a", when={"service": "find", "level": "study"}),
                               route("2", "b", when={"service": "find", "level": ["series", "IMAGE"]}))
        client = self.client(gateway, [PATIENT_ROOT_FIND])
        answers = [self.asks(client, PATIENT_ROOT_FIND, QueryRetrieveLevel=one) for one in ("STUDY", "SERIES", "IMAGE", "PATIENT")]
        self.assertEqual(answers, ["a", "b", "b", "0124"])

    def test_by_keys_of_the_identifier(self):
        gateway = self.gateway(*self.nodes, route("1", "a", when={"service": "find", "PatientID": "A*"}),
                               route("2", "b", when={"service": "find", "PatientID": ["B1", "B2"]}, final=True),
                               route("3", "c", when={"service": "find", "PatientName": {"no": ""}, "PatientID": {"no": "A*"}}))
        client = self.client(gateway, [STUDY_ROOT_FIND])
        asked = [{"PatientID": "A77"}, {"PatientID": "B2"}, {"PatientID": "B2", "PatientName": "X"}, {"PatientName": "X"}, {},
                 {"PatientID": "B3"}]
        self.assertEqual([self.asks(client, **keys) for keys in asked], ["a", "b", "b", "c", "0124", "0124"])

    def test_by_calling_and_called_title(self):
        gateway = self.gateway(*self.nodes, route("1", "a", when={"service": "find", "calling": "CT*"}),
                               route("2", "b", when={"service": "find", "called": "ALL"}))
        titles = (("CT1", "HILUM", "a"), ("MR1", "ALL", "b"), ("MR1", "HILUM", "0124"))
        for calling, called, expected in titles:
            client = self.client(gateway, [STUDY_ROOT_FIND], calling=calling, called=called)
            answer = self.asks(client) if client.accepted else "0124"
            self.assertEqual(answer, expected)

    def test_by_a_function(self):
        when = Lua('function (ds, assoc) return ds.PatientID == "A1" and assoc.calling == "SENDER" end')
        beside = Lua('{ service = "find", level = "study", function (ds) return ds.PatientID == "B1" end }')
        gateway = self.gateway(*self.nodes, route("1", "b", when=beside),
                               route("2", "a", when=Lua(f'{{ service = "find", {when} }}')))
        client = self.client(gateway, [STUDY_ROOT_FIND])
        self.assertEqual([self.asks(client, PatientID=one) for one in ("A1", "B1", "C1")], ["a", "b", "0124"])

    def test_a_rule_is_told_the_service(self):
        service = self.service({N_CREATE_RQ: answering(0), C_FIND_RQ: found()})
        told = Lua('function (ds, assoc) ds.PatientID = assoc.service end')
        for how in ("fail", "queue"):
            gateway = self.gateway(node("s", service), route("1", "s", when={"service": "mpps"}, morph=told, on_failure=how),
                                   route("2", "s", when={"service": "find"}, morph=told))
            client = self.client(gateway, [STUDY_ROOT_FIND, MPPS])
            outcome = client.call(N_CREATE_RQ, MPPS, data_of(EXPLICIT, PatientID="A"), f1000=dicom.new_uid())
            self.assertEqual((outcome.status, service.calls[-1].values["PatientID"]), (0, "mpps"))
            client.find(STUDY_ROOT_FIND, PatientID="A", **QUERY)
            self.assertEqual(service.calls[-1].values["PatientID"], "find")
            client.release()

    def test_what_no_route_takes_is_0124_and_logged(self):
        gateway = self.gateway(*self.nodes, route("1", "a", when={"service": "find", "PatientID": "A*"}),
                               route("2", "a", when={"service": "mpps", "PatientID": "A*"}))
        client = self.client(gateway, [STUDY_ROOT_FIND, MPPS])
        outcome = client.find(STUDY_ROOT_FIND, PatientID="B", **QUERY)
        self.assertEqual((outcome.status, outcome.pending), (0x0124, []))
        self.assertTrue(outcome.comment)
        outcome = client.call(N_CREATE_RQ, MPPS, data_of(EXPLICIT, PatientID="B"), f1000="1.2.3")
        self.assertEqual(outcome.status, 0x0124)
        self.assertEqual([e["status"] for e in gateway.events() if e.get("status") == "0124"], ["0124"] * 2)
        self.assertEqual(self.asks(client, PatientID="A"), "a")

    def test_a_rule_that_fails_is_C110_of_a_query_and_0110_of_a_normalized_service(self):
        morph = Lua('function (ds) if ds.PatientID == "BAD" then error "no" end end')
        gateway = self.gateway(*self.nodes, *services("a", "find", "mpps", morph=morph))
        client = self.client(gateway, [STUDY_ROOT_FIND, MPPS])
        self.assertEqual(self.asks(client, PatientID="BAD"), "C110")
        outcome = client.call(N_CREATE_RQ, MPPS, data_of(EXPLICIT, PatientID="BAD"), f1000="1.2.3")
        self.assertEqual(outcome.status, 0x0110)
        self.assertEqual(self.asks(client, PatientID="A"), "a")
        self.assertEqual(len(self.services["a"].calls), 1)

    def test_morphs_change_the_request_and_every_response(self):
        morph = Lua('function (ds) ds.PatientID = ds.PatientID:gsub("^S7%-", "") end')
        back = Lua('function (ds, assoc) ds.PatientID = "S7-" .. ds.PatientID end')
        def repeat(call):
            yield Answer(0xFF00, call.data)
            yield Answer(0xFF01, call.data)
            yield Answer(0)
        self.services["a"].scripts = {C_FIND_RQ: repeat}
        gateway = self.gateway(*self.nodes, *services("a", "find", morph=morph, morph_response=back))
        for transfer in (EXPLICIT, IMPLICIT, DEFLATED):
            client = self.client(gateway, [STUDY_ROOT_FIND], [transfer])
            outcome = client.find(STUDY_ROOT_FIND, PatientID="S7-123", **QUERY)
            self.assertEqual(self.services["a"].calls[-1].values["PatientID"], "123")
            self.assertEqual([one["PatientID"] for one in outcome.answers], ["S7-123"] * 2)
            client.release()


class Normalized(Case):
    """Conversations as devices have them."""

    def through(self, scripts, *names, classes, **request):
        service = self.service(scripts)
        gateway = self.gateway(node("a", service), *services("a", *names))
        return self.client(gateway, classes, **request), service

    def test_a_performed_procedure_step(self):
        steps = {}

        def create(call):
            uid = dicom.text(call.command[0x1000])
            known = uid in steps
            steps.setdefault(uid, [call.values])
            yield Answer(0x0111 if known else 0)

        def change(call):
            steps[dicom.text(call.command[0x1001])].append(call.values)
            yield Answer(0)

        def look(call):
            yield Answer(0, data_of(call.transfer, **steps[dicom.text(call.command[0x1001])][-1]))
        client, _ = self.through({N_CREATE_RQ: create, N_SET_RQ: change, N_GET_RQ: look}, "mpps", classes=[MPPS])
        begun = {"PatientID": "A", "PerformedProcedureStepStatus": "IN PROGRESS",
                 "ScheduledStepAttributesSequence": [{"StudyInstanceUID": "1.2.3"}]}
        done = {"PerformedProcedureStepStatus": "COMPLETED", "PerformedSeriesSequence": [{"SeriesInstanceUID": "1.2.3.4"}]}
        self.assertEqual(client.call(N_CREATE_RQ, MPPS, data_of(EXPLICIT, **begun), f1000="1.2.9").status, 0)
        self.assertEqual(client.call(N_SET_RQ, MPPS, data_of(EXPLICIT, **done), f1001="1.2.9").status, 0)
        self.assertEqual(client.call(N_GET_RQ, MPPS, f1001="1.2.9").final.values, done)
        self.assertEqual(client.call(N_CREATE_RQ, MPPS, data_of(EXPLICIT, **begun), f1000="1.2.9").status, 0x0111)
        self.assertEqual(steps, {"1.2.9": [begun, done]})

    def test_a_film_is_printed_on_one_association(self):
        """What is made in one request is named in the next, so all of it goes on one association of ours (PS3.4 H)."""
        made = []

        def create(call):
            uid = f"1.2.{len(made) + 1}"
            made.append((uid, call.association))
            yield Answer(0, data_of(EXPLICIT, NumberOfCopies="1"), {0x1000: uid})

        def known(call):
            uid = dicom.text(call.command[0x1001])
            yield Answer(0 if (uid, call.association) in made else 0x0112)
        client, service = self.through({N_CREATE_RQ: create, N_SET_RQ: known, N_ACTION_RQ: known, N_DELETE_RQ: known,
                                        N_GET_RQ: answering(0, data_of(EXPLICIT, PrinterStatus="NORMAL"))},
                                       "print", classes=[GRAYSCALE_PRINT])
        printer = client.call(N_GET_RQ, PRINTER, abstract=GRAYSCALE_PRINT, f1001=PRINTER_INSTANCE)
        self.assertEqual(printer.final.values, {"PrinterStatus": "NORMAL"})
        session = client.call(N_CREATE_RQ, FILM_SESSION, data_of(EXPLICIT, NumberOfCopies="1"), abstract=GRAYSCALE_PRINT)
        box = client.call(N_CREATE_RQ, FILM_BOX, data_of(EXPLICIT, NumberOfCopies="2"), abstract=GRAYSCALE_PRINT)
        uids = [one.final.text(0x1000) for one in (session, box)]
        self.assertEqual(uids, [uid for uid, _ in made])
        for field, data in ((N_SET_RQ, data_of(EXPLICIT, NumberOfCopies="3")), (N_ACTION_RQ, None), (N_DELETE_RQ, None)):
            more = {"f1008": 1} if field == N_ACTION_RQ else {}
            outcome = client.call(field, FILM_BOX, data, abstract=GRAYSCALE_PRINT, f1001=uids[1], **more)
            self.assertEqual(outcome.status, 0, f"{field:04X} {outcome}")
        self.assertEqual(len(service.used()), 1)

    def test_a_unified_procedure_step_with_events_on_the_same_association(self):
        def act(call):
            yield Answer(0)
        client, service = self.through({N_CREATE_RQ: answering(0), N_ACTION_RQ: act, N_SET_RQ: answering(0),
                                        N_GET_RQ: answering(0, data_of(EXPLICIT, ProcedureStepState="SCHEDULED"))},
                                       "ups", classes=[UPS_PUSH, UPS_WATCH, UPS_EVENT, UPS_PULL])
        self.assertEqual(client.call(N_CREATE_RQ, UPS_PUSH, data_of(EXPLICIT, ProcedureStepState="SCHEDULED"), f1000="1.2.3").status, 0)
        self.assertEqual(client.call(N_ACTION_RQ, UPS_WATCH, data_of(EXPLICIT, PatientID="X"), f1001="1.2.3", f1008=3).status, 0)
        self.assertEqual(client.call(N_GET_RQ, UPS_PULL, f1001="1.2.3").final.values, {"ProcedureStepState": "SCHEDULED"})
        # An event between two requests, when nothing is outstanding. It goes to whom the association was opened for.
        association = service.used()[-1]
        event, answer = data_of(EXPLICIT, ProcedureStepState="IN PROGRESS"), []
        client.on_request = lambda message: (0, {0x1002: 1}, None)
        contexts = {abstract: number for number, (abstract, _) in association.contexts.items()}
        self.assertIn(UPS_EVENT, contexts, "the association has the context that the sender has")
        association.own.append((Ask(contexts[UPS_EVENT], {0x0002: UPS_EVENT, 0x0100: N_EVENT_REPORT_RQ, 0x1000: "1.2.3", 0x1002: 1},
                                    event), answer))
        came = client.await_request()
        self.assertEqual((came.data, came.fields[0x1002], came.text(0x1000)), (event, 1, "1.2.3"))
        wait_until(lambda: answer, "the answer is with the node")
        self.assertEqual((answer[0].status, answer[0].fields[0x1002]), (0, 1))

    def test_an_event_report_on_an_association_of_the_nodes_own(self):
        """The SCP calls, in the SCP's role (PS3.7 D.3.3.4), and is answered by the node that it is for."""
        receiver = self.service({N_EVENT_REPORT_RQ: answering(0, f1002=1)})
        gateway = self.gateway(node("device", receiver), *services("device", "mpps"))
        caller = self.client(gateway, [MPPS_NOTIFICATION], roles=[(MPPS_NOTIFICATION, 0, 1)])
        self.assertEqual(caller.answer.roles, [(MPPS_NOTIFICATION, 0, 1)])
        outcome = caller.call(N_EVENT_REPORT_RQ, MPPS_NOTIFICATION, f1000="1.2.3", f1002=1)
        self.assertEqual((outcome.status, receiver.calls[0].command[0x1002]), (0, 1))
        self.assertEqual(receiver.used()[0].request.roles, [(MPPS_NOTIFICATION, 0, 1)])

    def test_an_instance_availability_notification(self):
        client, service = self.through({N_CREATE_RQ: answering(0)}, "availability", classes=[AVAILABILITY])
        said = data_of(EXPLICIT, StudyInstanceUID="1.2.3", ReferencedSeriesSequence=[{"SeriesInstanceUID": "1.2.3.4"}])
        self.assertEqual(client.call(N_CREATE_RQ, AVAILABILITY, said, f1000="1.2.5").status, 0)
        self.assertEqual(service.calls[0].data, said)

    def test_a_class_that_nobody_knows_is_other(self):
        client, service = self.through({N_GET_RQ: answering(0, data_of(EXPLICIT, PatientID="X"))}, "other",
                                       classes=[PRIVATE_SERVICE])
        self.assertEqual(client.call(N_GET_RQ, PRIVATE_SERVICE, f1001="1.2").final.values, {"PatientID": "X"})

    def test_responses_without_optional_uids_have_those_of_the_request(self):
        """PS3.7 10.1: some peers demand them (mistake 13)."""
        def bare(call):
            yield Answer(0, None, {0x0002: None, 0x1000: None})
        client, _ = self.through({N_SET_RQ: bare}, "mpps", classes=[MPPS])
        final = client.call(N_SET_RQ, MPPS, data_of(EXPLICIT, PatientID="X"), f1001="1.2.3").final
        self.assertEqual((final.text(0x0002), final.text(0x1000)), (MPPS, "1.2.3"))

    def test_a_node_that_is_away_is_a_matter_of_resources(self):
        client, service = self.through({}, "ups", classes=[UPS_PUSH])
        service.close_listener()
        for association in service.associations:
            association.close()
        outcome = client.call(N_CREATE_RQ, UPS_PUSH, data_of(EXPLICIT, PatientID="X"), f1000="1.2.3")
        self.assertEqual(outcome.status, 0x0213)
        self.assertIn("a", outcome.comment)

    def test_a_service_goes_to_all_destinations_of_its_routes_and_the_worst_answer_counts(self):
        good, warns, bad = (self.service({N_CREATE_RQ: answering(status)}) for status in (0, 0x0116, 0x0110))
        gateway = self.gateway(node("good", good), node("warns", warns), node("bad", bad),
                               route("1", ["good", "warns"], when={"service": "mpps"}),
                               route("2", "bad", when={"service": "mpps", "PatientID": "BAD"}))
        client = self.client(gateway, [MPPS])
        for patient, status, of_bad in (("OK", 0x0116, 0), ("BAD", 0x0110, 1)):
            outcome = client.call(N_CREATE_RQ, MPPS, data_of(EXPLICIT, PatientID=patient), f1000="1.2.3")
            self.assertEqual((outcome.status, len(bad.calls)), (status, of_bad))
        self.assertEqual((len(good.calls), len(warns.calls)), (2, 2))
