"""C-GET through the gateway from one archive: its C-STOREs go to the client that asked, and the client's answers go to it."""

import time

import dicom
import harness
from archives import image
from dicom import C_FIND_RQ, C_GET_RQ, C_STORE_RQ, CT, EXPLICIT, N_EVENT_REPORT_RQ
from harness import Case, Lua, node, route, services, wait_until
from peer_client import Client, getting
from peer_data import GET_OF, STUDY_ROOT_FIND, UPS_PUSH, read
from peer_service import Answer, Ask, answering, until

GET = GET_OF["STUDY"]
BIG = 60000 * 32  # columns of an image of 1.9 MB


def store_of(call, instance, **more):
    """The sub-operation for an instance."""
    context = next(i for i, (one, transfer) in call.association.contexts.items()
                   if (one, transfer) == (instance.sop_class, instance.transfer))
    return Ask(context, {0x0002: instance.sop_class, 0x0100: C_STORE_RQ, 0x0700: 0, 0x1000: instance.uid, **more}, instance.data)


def giving(*instances, pending=True, after=None, seen=None):
    """Sends these, counting what the client says; the UIDs of its answers go to `seen`."""
    def script(call):
        done = failed = 0
        for number, one in enumerate(instances):
            if call.cancelled:
                yield Answer(0xFE00, None, counts(len(instances) - number, done, failed))
                return
            response = yield store_of(call, one)
            if seen is not None:
                seen.append(dicom.text(response.fields[0x1000]))
            done, failed = done + (response.status == 0), failed + (response.status != 0)
            if pending:
                yield Answer(0xFF00, None, counts(len(instances) - number - 1, done, failed))
        if after:
            yield from after(call)
        yield Answer(0xB000 if failed else 0, None, counts(None, done, failed))
    return script


def counts(remaining, completed, failed):
    return {0x1020: remaining, 0x1021: completed, 0x1022: failed, 0x1023: 0}


class Get(Case):
    def through(self, script, *more, storage=(CT,), transfers=(EXPLICIT,), settings=None, keys=None):
        service = self.service({C_GET_RQ: script})
        gateway = self.gateway(node("a", service), route("get", ["a"], when={"service": "get"}, **(keys or {})),
                               *services("a", "ups", "find"), *more, **(settings or {}))
        return self.getter(gateway, storage, transfers), service, gateway

    def getter(self, gateway, storage=(CT,), transfers=(EXPLICIT,), classes=()):
        pairs, roles = getting(list(storage), list(transfers))
        client = Client(gateway.port, pairs + [(one, [EXPLICIT]) for one in classes], roles=roles, seconds=20 * harness.SLOW)
        self.addCleanup(client.close)
        return client

    def assert_got(self, outcome, *instances):
        self.assertEqual([one.data for one in outcome.requests], [one.data for one in instances])
        self.assertEqual([dicom.text(one.fields[0x1000]) for one in outcome.requests], [one.uid for one in instances])

    # ---- what comes

    def test_instances_of_every_size_come_byte_for_byte(self):
        images = [image("A", 1, 1, n, size=size) for n, size in enumerate((32, 512, 32 * 2048, 32 * 2049, BIG))]
        client, service, _ = self.through(giving(*images))
        outcome = client.get(GET, StudyInstanceUID="1.2")
        self.assertEqual(outcome.status, 0)
        self.assertEqual(outcome.counts, {"completed": 5, "failed": 0, "warning": 0})
        self.assertEqual(len(outcome.pending), 5)
        self.assert_got(outcome, *images)

    def test_one_association_to_the_archive_is_negotiated_and_gets(self):
        """Archives have few threads: the one on which it was asked what it takes is the one that is used."""
        client, service, _ = self.through(giving(image("A", 1, 1, 1)))
        self.assertEqual(client.get(GET, StudyInstanceUID="1.2").status, 0)
        self.assertEqual(client.get(GET, StudyInstanceUID="1.2").status, 0)
        self.assertEqual(len(service.associations), 1)

    def test_a_node_that_only_stores_a_class_has_no_say_in_what_comes_back(self):
        """The client sends CT and gets CT; who it sends to takes the SCU's role alone."""
        service, store = self.service({C_GET_RQ: giving(image("A", 1, 1, 1))}), self.sink(roles=None)
        gateway = self.gateway(node("a", service), node("b", store), *services("a", "get"), route("store", ["b"]))
        client = Client(gateway.port, getting([CT], [EXPLICIT])[0], roles=[(CT, 1, 1)], seconds=20 * harness.SLOW)
        self.addCleanup(client.close)
        self.assertEqual([tuple(one) for one in client.answer.roles], [(CT, 1, 1)])
        self.assertEqual(client.get(GET, StudyInstanceUID="1.2").counts["completed"], 1)

    def test_the_clients_answers_go_to_the_archive(self):
        images = [image("A", 1, 1, n) for n in range(4)]
        client, service, _ = self.through(giving(*images))
        answers = iter([(0, {}, None), (0xA700, {0x0902: b"full"}, None), (0xB007, {}, None), (0, {0x1000: None}, None)])
        client.on_request = lambda message: next(answers)
        outcome = client.get(GET, StudyInstanceUID="1.2")
        self.assertEqual(outcome.status, 0xB000)
        self.assertEqual(outcome.counts, {"completed": 2, "failed": 2, "warning": 0})

    def test_what_the_client_did_not_propose_is_refused_without_it(self):
        """The archive uses a class for which the client has another transfer syntax alone."""
        def script(call):
            context = next(i for i, (one, _) in call.association.contexts.items() if one == CT)
            response = yield Ask(context, {0x0002: CT, 0x0100: C_STORE_RQ, 0x0700: 0, 0x1000: b"1.2"}, b"\0" * 200000)
            yield Answer(0, None, {0x0902: b"%04X" % response.status, **counts(None, 0, 1)})
        client, _, _ = self.through(script)
        self.assertEqual(client.get(GET, StudyInstanceUID="1.2").status, 0)

    def test_a_C_STORE_that_nobody_asked_for_is_refused(self):
        said = []

        def script(call):
            context = next((i for i, (one, _) in call.association.contexts.items() if one == CT), call.context)
            response = yield Ask(context, {0x0002: CT, 0x0100: C_STORE_RQ, 0x0700: 0, 0x1000: b"1.2"}, b"\0" * 200)
            said.append(response.status)
            yield Answer(0)
        service = self.service({C_FIND_RQ: script})
        gateway = self.gateway(node("a", service), *services("a", "find"), route("st", ["a"]))
        client = self.client(gateway, [STUDY_ROOT_FIND, CT])
        self.assertEqual(client.find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY").status, 0)
        self.assertEqual(said, [0x0122])
        self.assertEqual(client.requests, [])

    # ---- cancel and loss

    def test_a_cancel_reaches_the_archive_between_two_instances(self):
        images = [image("A", 1, 1, n) for n in range(3)]

        def script(call):
            yield store_of(call, images[0])
            yield Answer(0xFF00, None, counts(2, 1, 0))
            yield from until(lambda: False, call)
            yield Answer(0xFE00, None, counts(2, 1, 0))
        client, service, _ = self.through(script)
        outcome = client.get(GET, cancel_after=1, StudyInstanceUID="1.2")
        self.assertEqual((outcome.status, outcome.counts["completed"]), (0xFE00, 1))
        self.assertEqual(len(service.cancels), 1)

    def test_an_archive_lost_between_two_instances_leaves_the_client_its_association(self):
        client, service, _ = self.through(giving(image("A", 1, 1, 1), after=lambda call: iter(["reset"])))
        outcome = client.get(GET, StudyInstanceUID="1.2")
        self.assertEqual(outcome.status, 0xA700)
        self.assertEqual(len(outcome.requests), 1)
        service.scripts[C_GET_RQ] = giving(image("A", 1, 1, 2))
        self.assertEqual(client.get(GET, StudyInstanceUID="1.2").status, 0)

    def test_an_archive_lost_in_the_middle_of_a_large_instance_ends_the_clients_association(self):
        """What has begun cannot be taken back, and must not look complete."""
        def script(call):
            context = next(i for i, (one, _) in call.association.contexts.items() if one == CT)
            fields = {0x0002: CT, 0x0100: C_STORE_RQ, 0x0700: 0, 0x1000: b"1.2", 0x0110: 7, 0x0800: 1}
            association = call.association
            pdvs = dicom.fragments(context, dicom.COMMAND, dicom.command(fields), 16000)
            pdvs += dicom.fragments(context, 0, bytes(1 << 20), 16000)[:20]
            association.wire.send(b"".join(dicom.p_data(one) for one in pdvs))
            time.sleep(0.3)
            yield "reset"
        client, _, gateway = self.through(script)
        client.ask(C_GET_RQ, GET, client._identifier(GET, {"StudyInstanceUID": "1.2"}))
        with self.assertRaises((dicom.Aborted, dicom.Closed)):
            while True:
                self.assertFalse(client.message().fields[0x0100] == C_STORE_RQ, "it looks complete")
        self.assertTrue(gateway.alive())
        self.assertEqual(len(gateway.events("node lost in the middle of an instance that the sender is being sent")), 1)

    def test_an_archive_lost_in_the_middle_of_a_small_one_has_sent_nothing(self):
        def script(call):
            context = next(i for i, (one, _) in call.association.contexts.items() if one == CT)
            fields = {0x0002: CT, 0x0100: C_STORE_RQ, 0x0700: 0, 0x1000: b"1.2", 0x0110: 7, 0x0800: 1}
            pdvs = dicom.fragments(context, dicom.COMMAND, dicom.command(fields), 16000)
            pdvs += dicom.fragments(context, 0, bytes(40000), 16000)[:-1]
            call.association.wire.send(b"".join(dicom.p_data(one) for one in pdvs))
            yield "reset"
        client, _, _ = self.through(script)
        outcome = client.get(GET, StudyInstanceUID="1.2")
        self.assertEqual((outcome.status, outcome.requests), (0xA700, []))

    def test_a_client_that_leaves_ends_the_archives_retrieval(self):
        images = [image("A", 1, 1, n, size=BIG) for n in range(3)]
        client, service, gateway = self.through(giving(*images))
        client.on_request = lambda message: None
        client.ask(C_GET_RQ, GET, client._identifier(GET, {"StudyInstanceUID": "1.2"}))
        client.message()
        client.close()
        wait_until(lambda: service.associations[-1].ended is not None, "the archive's association to end")
        self.assertTrue(gateway.alive())

    def test_a_client_that_does_not_answer_is_given_up(self):
        client, service, gateway = self.through(giving(image("A", 1, 1, 1)),
                                                settings={"timeouts": {"response": "500ms", "retrieve": "20s"}})
        client.on_request = lambda message: None
        with self.assertRaises((dicom.Aborted, dicom.Closed)):
            client.get(GET, StudyInstanceUID="1.2")
        wait_until(lambda: service.associations[-1].ended is not None, "the archive's association to end")

    def test_a_client_that_reads_slowly_pauses_the_archive(self):
        images = [image("A", 1, 1, n, size=BIG) for n in range(6)]
        client, service, gateway = self.through(giving(*images), settings={"memory": "24MiB"})
        message_id = client.ask(C_GET_RQ, GET, client._identifier(GET, {"StudyInstanceUID": "1.2"}))
        time.sleep(0.5)
        outcome = client.finish(message_id)
        self.assertEqual(outcome.counts["completed"], 6)
        self.assert_got(outcome, *images)
        self.assertLess(gateway.memory(), 96 << 20 if harness.SLOW == 1 else 1 << 40)

    def test_a_request_may_come_while_the_archive_reports_an_event(self):
        """N-EVENT-REPORT on the same association, its answer with a data set, and a query in between."""
        def report(call):
            association = call.association
            context = next(i for i, (one, _) in association.contexts.items() if one == UPS_PUSH)
            response = yield Ask(context, {0x0002: UPS_PUSH, 0x0100: N_EVENT_REPORT_RQ, 0x1000: b"1.2.3", 0x1002: 1}, b"\x08\0\x05\0CS\x02\0A ")
            call.seen = response
            yield Answer(0)
        service = self.service({dicom.N_GET_RQ: report, C_FIND_RQ: answering()})
        gateway = self.gateway(node("a", service), *services("a", "ups", "find"))
        client = self.client(gateway, [UPS_PUSH, STUDY_ROOT_FIND], [EXPLICIT])
        first = client.ask(dicom.N_GET_RQ, UPS_PUSH, f1001=b"1.2.3")
        event = client.message()
        self.assertEqual(event.fields[0x0100], N_EVENT_REPORT_RQ)
        second = client.ask(C_FIND_RQ, STUDY_ROOT_FIND, client._identifier(STUDY_ROOT_FIND, {"QueryRetrieveLevel": "STUDY"}))
        self.assertEqual(client.next().fields[0x0120], second)
        client.on_request = lambda message: (0x0107, {0x1002: 1}, b"\x08\0\x05\0CS\x02\0B ")
        client.answer_request(event)
        self.assertEqual(client.next().fields[0x0120], first)
        seen = service.asked(dicom.N_GET_RQ)[0].seen
        self.assertEqual((seen.status, seen.data), (0x0107, b"\x08\0\x05\0CS\x02\0B "))

    # ---- rules

    MORPH = Lua('function (ds, assoc) ds.PatientName = "GOT^" .. assoc.service ds.SOPInstanceUID = ds.SOPInstanceUID .. ".9" end')

    def test_morph_response_makes_what_comes(self):
        for size, settings in ((512, {}), (BIG, {}), (BIG, {"header_max": "64KiB", "memory": "24MiB"})):
            with self.subTest(size=size, settings=settings):
                images = [image("A", 1, 1, n, size=size) for n in range(3)]
                seen = []
                client, _, _ = self.through(giving(*images, seen=seen), keys={"morph_response": self.MORPH}, settings=settings)
                outcome = client.get(GET, StudyInstanceUID="1.2")
                self.assertEqual(outcome.counts["completed"], 3, outcome)
                for sent, got in zip(images, outcome.requests):
                    values = read(got.data, EXPLICIT)
                    self.assertEqual((str(values["PatientName"]), values["SOPInstanceUID"]), ("GOT^get", sent.uid + ".9"))
                    self.assertEqual(dicom.text(got.fields[0x1000]), sent.uid + ".9")
                    self.assertEqual(got.data[-size:], sent.data[-size:])
                self.assertEqual(seen, [one.uid for one in images])  # the archive's own

    def test_one_that_fails_fails_that_instance_alone(self):
        images = [image(patient, 1, 1, n) for n, patient in enumerate(("GOOD", "BAD", "GOOD"))]
        client, _, gateway = self.through(
            giving(*images), keys={"morph_response": Lua('function (ds) if ds.PatientID == "BAD-1" then error("no") end end')})
        outcome = client.get(GET, StudyInstanceUID="1.2")
        self.assertEqual((outcome.status, outcome.counts["completed"], outcome.counts["failed"]), (0xB000, 2, 1))
        self.assert_got(outcome, images[0], images[2])
        self.assertEqual(len(gateway.events("a rule failed")), 1)

    def test_one_that_changes_nothing_leaves_every_byte(self):
        images = [image("A", 1, 1, n, size=BIG) for n in range(2)]
        client, _, _ = self.through(giving(*images), keys={"morph_response": Lua("function (ds) end")})
        self.assert_got(client.get(GET, StudyInstanceUID="1.2"), *images)
