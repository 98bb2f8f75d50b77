"""C-MOVE destinations: titles that an archive knows otherwise, and moves through us, whose instances go to whom the client named."""

import signal
import threading

import archives
import dicom
from archives import image, series_uid, study_uid
from dicom import C_MOVE_RQ, CT, EXPLICIT, IMPLICIT
from harness import Case, Lua, SLOW, free_port, node, pairs_of, route, same_data, storescp, tool, wait_until
from peer_client import Client
from peer_data import STUDY_ROOT_MOVE, read
from peer_service import Answer, Service, answering, until
from sender import Sender

THROUGH_US = {"as": {"move": "through us"}}
STUDY = [image("ADAM", 1, 1, number) for number in (1, 2, 3)]


def counts(completed=0, failed=0, warned=0, remaining=None):
    fields = {0x1021: completed, 0x1022: failed, 0x1023: warned}
    return fields if remaining is None else {0x1020: remaining, **fields}


def originator_of(call):
    """What an archive says of a C-MOVE when it stores: who asked it, and by which message."""
    return {"f1030": dicom.text(call.association.request.calling), "f1031": call.id}


def moving(port, instances, originator=originator_of, pairs=None, before=None, after=None, calling="PACS"):
    """A C-MOVE's script: stores these to us, one after the other. What we answered is in `answers` of the script."""
    def script(call):
        done = {0: 0, 1: 0}
        if before:
            yield from until(before, call)
        with Sender(port, pairs or pairs_of(instances), calling=calling, called=dicom.text(call.command[0x0600]),
                    seconds=20 * SLOW) as sender:
            script.accepted = sender.accepted
            for number, one in enumerate(instances):
                answer = sender.store(one, **originator(call))
                script.answers.append(answer)
                done[answer.status != 0] += 1
                yield Answer(0xFF00, fields=counts(done[0], done[1], remaining=len(instances) - number - 1))
        if after:
            yield from until(after, call)
        yield Answer(0xB000 if done[1] else 0, fields=counts(done[0], done[1]))
    script.answers = []
    return script


def nothing(call):
    """An archive that leaves out the originator."""
    return {}


class Moves(Case):
    def service(self, scripts=None, **settings):
        service = Service(scripts, **settings)
        self.addCleanup(self._stop_sink, service)
        return service

    def client(self, gateway, title="CLIENT"):
        client = Client(gateway.port, [(STUDY_ROOT_MOVE, [EXPLICIT, IMPLICIT])], calling=title, seconds=20 * SLOW)
        self.addCleanup(client.close)
        return client

    def scene(self, script, *declarations, retrieve=None, archive=None, **more):
        """A scripted archive PACS, and our VIEW and SHELF. `script` is made from the gateway's port."""
        port = free_port()
        self.script = script(port)
        self.archive = self.service({C_MOVE_RQ: self.script}, ae_title="PACS")
        self.view, self.shelf = self.sink(), self.sink()
        return self.gateway(node("pacs", self.archive, **(THROUGH_US if archive is None else archive)), node("view", self.view),
                            node("shelf", self.shelf), *declarations,
                            route("retrieve", "pacs", when={"service": "move"}, **(retrieve or {})), port=port, **more)

    def move(self, gateway, destination="VIEW", client=None, **keys):
        keys = keys or {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid(1)}
        return (client or self.client(gateway)).move(STUDY_ROOT_MOVE, destination, **keys)

    def assert_moved(self, outcome, completed=3, failed=0, status=0):
        self.assertEqual((outcome.status, outcome.final.fields.get(0x1021), outcome.final.fields.get(0x1022)),
                         (status, completed, failed), str(outcome))

    def assert_has(self, sink, instances):
        self.assertEqual(sorted(sink.uids), sorted(one.uid for one in instances))
        sent = {one.uid: one.data for one in instances}
        for message in sink.messages:
            self.assertTrue(same_data(sent[message.uid], message.data), f"{message.uid} has changed")


class Titles(Moves):
    def scene(self, **archive):
        return super().scene(lambda port: answering(0, **{f"f{e:04x}": v for e, v in counts(3).items()}), archive=archive)

    def asked(self):
        return [dicom.text(call.command[0x0600]) for call in self.archive.asked(C_MOVE_RQ)]

    def test_without_a_table_the_title_goes_on_as_it_is(self):
        gateway = self.scene()
        self.assert_moved(self.move(gateway, "WHOEVER"))
        self.assertEqual(self.asked(), ["WHOEVER"])

    def test_a_table_says_by_which_title_the_archive_knows_a_destination(self):
        table = Lua('{ VIEW = "VIEW_THERE", ["RAD*"] = "RADIOLOGY", ["*"] = "through us" }')
        gateway = self.scene(**{"as": {"move": table}})
        client = self.client(gateway)
        for title in ("VIEW", "RAD3", "SHELF"):
            self.assert_moved(self.move(gateway, title, client))
        self.assertEqual(self.asked(), ["VIEW_THERE", "RADIOLOGY", "HILUM"])

    def test_through_us_the_archive_is_told_the_title_that_it_knows_us_by(self):
        gateway = self.scene(calling="GATE", **THROUGH_US)
        self.assert_moved(self.move(gateway))
        self.assertEqual(self.asked(), ["GATE"])
        self.assertEqual(dicom.text(self.archive.associations[-1].request.calling), "GATE")

    def test_a_destination_that_is_no_node_of_ours_is_refused(self):
        gateway = self.scene(**THROUGH_US)
        outcome = self.move(gateway, "NOWHERE")
        self.assertEqual((outcome.status, outcome.comment), (0xA801, "pacs: no node of ours has the title NOWHERE"))
        self.assertEqual(self.asked(), [])

    def test_what_would_come_back_to_the_archive_goes_where_the_route_says_so(self):
        gateway = Moves.scene(self, lambda port: moving(port, STUDY[:1]), retrieve={"back_to_sender": True})
        self.assert_moved(self.move(gateway, "PACS"), 1)
        self.assertEqual([m.uid for m in self.archive.messages if m.command[0x0100] == dicom.C_STORE_RQ], [STUDY[0].uid])

    def test_what_would_come_back_to_the_archive_is_refused(self):
        gateway = self.scene(**THROUGH_US)
        outcome = self.move(gateway, "PACS")
        self.assertEqual((outcome.status, outcome.comment), (0xA801, "pacs: PACS: it would come back to where it is"))
        self.assertEqual(self.asked(), [])


class ThroughUs(Moves):
    def test_instances_go_to_the_destination_with_the_client_as_originator(self):
        gateway = self.scene(lambda port: moving(port, STUDY))
        client = self.client(gateway)
        client.next_id = 77
        outcome = self.move(gateway, client=client)
        self.assert_moved(outcome)
        self.assertEqual(len(outcome.pending), 3)
        self.assert_has(self.view, STUDY)
        self.assertEqual(self.shelf.messages, [])
        for message in self.view.messages:
            self.assertEqual((dicom.text(message.command[0x1030]), message.command[0x1031]), ("CLIENT", 77))
        ours = self.archive.asked(C_MOVE_RQ)[0]
        self.assertNotEqual(ours.id, 77)
        self.assertEqual([e["message_id"] for e in gateway.events("C-MOVE through us is over")], [ours.id])

    def test_they_never_go_by_the_routes_for_storage(self):
        gateway = self.scene(lambda port: moving(port, STUDY),
                             'route "all" { to = { "shelf" }, copy = { "view" } }')
        self.assert_moved(self.move(gateway))
        self.assert_has(self.view, STUDY)
        self.assertEqual(self.shelf.messages, [])
        other = image("BETA", 2, 1, 1)
        archives.store(gateway.port, [other])  # by everybody else they are stored as ever
        self.assert_has(self.shelf, [other])

    def test_what_names_an_originator_that_is_no_move_of_ours_goes_by_the_routes_for_storage(self):
        gateway = self.scene(lambda port: moving(port, STUDY[:1]), route("all", "shelf"))
        self.assert_moved(self.move(gateway), 1)
        ours = self.archive.asked(C_MOVE_RQ)[0].id
        with Sender(gateway.port, pairs_of(STUDY), calling="PACS", seconds=20 * SLOW) as sender:
            self.assert_stored(sender.store(STUDY[1], f1030="HILUM", f1031=ours - 1))
            self.assert_stored(sender.store(STUDY[2], f1030="SOMEBODY", f1031=ours))
        with Sender(gateway.port, pairs_of(STUDY), calling="ANOTHER", seconds=20 * SLOW) as sender:
            self.assert_stored(sender.store(STUDY[0], f1030="HILUM", f1031=ours))
        self.assert_has(self.shelf, STUDY)
        self.assert_has(self.view, STUDY[:1])
        for message in self.shelf.messages:  # the originator belongs to the sender's leg
            self.assertNotIn(0x1030, message.command)

    def test_two_moves_at_once_from_one_archive_go_to_two_destinations(self):
        both = threading.Barrier(2)
        of_study = {study_uid(1): STUDY, study_uid(2): [image("BETA", 2, 1, n) for n in (1, 2)]}

        def script(port):
            def one(call):
                both.wait(20 * SLOW)
                yield from moving(port, of_study[call.values["StudyInstanceUID"]])(call)
            return one
        gateway = self.scene(script)
        outcomes = {}

        def ask(destination, study):
            outcomes[destination] = self.move(gateway, destination, self.client(gateway, "CLIENT_" + destination),
                                              QueryRetrieveLevel="STUDY", StudyInstanceUID=study_uid(study))
        threads = [threading.Thread(target=ask, args=one) for one in (("VIEW", 1), ("SHELF", 2))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assert_moved(outcomes["VIEW"], 3)
        self.assert_moved(outcomes["SHELF"], 2)
        self.assert_has(self.view, of_study[study_uid(1)])
        self.assert_has(self.shelf, of_study[study_uid(2)])
        self.assertEqual({dicom.text(m.command[0x1030]) for m in self.shelf.messages}, {"CLIENT_SHELF"})

    def test_an_archive_may_send_on_two_associations_at_once(self):
        def script(port):
            def one(call):
                senders = [Sender(port, pairs_of(STUDY), calling="PACS", seconds=20 * SLOW) for _ in range(2)]
                for number, instance in enumerate(STUDY):
                    answer = senders[number % 2].store(instance, **originator_of(call))
                    assert answer.status == 0, str(answer)
                for sender in senders:
                    sender.release()
                yield Answer(0, fields=counts(3))
            return one
        gateway = self.scene(script)
        self.assert_moved(self.move(gateway))
        self.assert_has(self.view, STUDY)

    def test_what_comes_soon_after_the_end_still_belongs_to_the_move(self):
        gateway = self.scene(lambda port: moving(port, STUDY[:1]), route("all", "shelf"))
        self.assert_moved(self.move(gateway), 1)
        call = self.archive.asked(C_MOVE_RQ)[0]
        with Sender(gateway.port, pairs_of(STUDY), calling="PACS", seconds=20 * SLOW) as sender:
            self.assert_stored(sender.store(STUDY[1], **originator_of(call)))
        self.assert_has(self.view, STUDY[:2])
        self.assertEqual(self.shelf.messages, [])

    def test_contexts_are_what_the_destination_takes(self):
        """There is no route for storage at all."""
        implicit = [image("ADAM", 1, 1, n, IMPLICIT) for n in (1, 2)]
        pairs = [(CT, [dicom.JPEG, EXPLICIT, IMPLICIT]), (dicom.MR, [EXPLICIT])]
        gateway = self.scene(lambda port: moving(port, implicit, pairs=pairs))
        self.view.transfers, self.view.classes = [IMPLICIT], [CT]
        self.assert_moved(self.move(gateway), 2)
        self.assertEqual(self.script.accepted, {1: (CT, IMPLICIT)})
        self.assert_has(self.view, implicit)

    def test_without_a_move_contexts_do_not_hang_on_its_destination(self):
        gateway = self.scene(lambda port: moving(port, STUDY[:1]))
        self.view.transfers = [IMPLICIT]
        with Sender(gateway.port, [(CT, [EXPLICIT, IMPLICIT])], calling="PACS", seconds=20 * SLOW) as sender:
            self.assertEqual(sender.accepted, {1: (CT, EXPLICIT)})
        self.assertEqual(self.view.associations, [])

    def test_an_archive_that_is_asked_again_is_asked_by_another_message_id(self):
        gateway = self.scene(lambda port: moving(port, STUDY[:1]))
        client = self.client(gateway)
        for destination in ("VIEW", "SHELF", "VIEW"):
            self.assert_moved(self.move(gateway, destination, client), 1)
        ids = [call.id for call in self.archive.asked(C_MOVE_RQ)]
        self.assertEqual(len(set(ids)), 3)
        self.assertEqual((len(self.view.messages), len(self.shelf.messages)), (2, 1))


class Failing(Moves):
    def test_a_destination_that_is_down_fails_sub_operations_and_nothing_is_queued(self):
        gateway = self.scene(lambda port: moving(port, STUDY))
        self.view.close_listener()
        self.assert_moved(self.move(gateway), 0, 3, 0xB000)
        for answer in self.script.answers:
            self.assertEqual(answer.status, 0xA700)
            self.assertIn("view:", answer.comment)
        self.assertEqual([e["queued"] for e in gateway.events("message answered")], [0, 0, 0])

    def test_the_archive_gets_the_destination_s_own_status(self):
        gateway = self.scene(lambda port: moving(port, STUDY))
        self.view.answer = lambda message: (0xA900, "not like that") if message.uid == STUDY[1].uid else 0
        self.assert_moved(self.move(gateway), 2, 1, 0xB000)
        self.assertEqual([a.status for a in self.script.answers], [0, 0xA900, 0])
        self.assertEqual(self.script.answers[1].comment, "not like that")

    def test_a_client_that_is_lost_leaves_the_instances_on_their_way_to_the_destination(self):
        lost = threading.Event()
        gateway = self.scene(lambda port: moving(port, STUDY, before=lost.is_set))
        client = self.client(gateway)
        client.ask(C_MOVE_RQ, STUDY_ROOT_MOVE, client._identifier(STUDY_ROOT_MOVE, {
            "QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid(1)}), f0600="VIEW")
        wait_until(lambda: self.archive.asked(C_MOVE_RQ), "the archive is asked")
        call = self.archive.asked(C_MOVE_RQ)[0]
        client.close()
        wait_until(lambda: self.archive.associations[-1].ended, "the archive's association ends")
        self.assertEqual(len(gateway.events("C-MOVE through us is over")), 1)
        with Sender(gateway.port, pairs_of(STUDY), calling="PACS", seconds=20 * SLOW) as sender:
            self.assert_stored(sender.store(STUDY[0], **originator_of(call)))
        self.assert_has(self.view, STUDY[:1])

    def test_a_reload_in_between_changes_nothing_for_a_destination_that_stays(self):
        go_on = threading.Event()
        rename = {"morph_response": Lua('function(ds) ds.PatientName = "MOVED^TO" end')}
        gateway = self.scene(lambda port: moving(port, STUDY, before=go_on.is_set), retrieve=rename)
        client = self.client(gateway)
        asked = client.ask(C_MOVE_RQ, STUDY_ROOT_MOVE, client._identifier(STUDY_ROOT_MOVE, {
            "QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid(1)}), f0600="VIEW")
        wait_until(lambda: self.archive.asked(C_MOVE_RQ), "the archive is asked")
        gateway.write(node("shelf", self.shelf), node("view", self.view), node("pacs", self.archive, **THROUGH_US),
                      route("all", "shelf"), route("retrieve", "pacs", when={"service": "move"}, **rename))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "the reload")
        go_on.set()
        self.assert_moved(client.finish(asked))
        self.assertEqual({read(m.data, m.transfer)["PatientName"] for m in self.view.messages}, {"MOVED^TO"})
        self.assertEqual(self.shelf.messages, [])

    def test_a_client_that_cancels_has_what_was_sent_before(self):
        def script(port):
            def one(call):
                with Sender(port, pairs_of(STUDY), calling="PACS", seconds=20 * SLOW) as sender:
                    self.assert_stored(sender.store(STUDY[0], **originator_of(call)))
                    yield Answer(0xFF00, fields=counts(1, remaining=2))
                    yield from until(lambda: False, call)
                yield Answer(0xFE00, fields=counts(1, remaining=2))
            return one
        gateway = self.scene(script)
        outcome = self.client(gateway).move(STUDY_ROOT_MOVE, "VIEW", cancel_after=1, QueryRetrieveLevel="STUDY",
                                            StudyInstanceUID=study_uid(1))
        self.assert_moved(outcome, 1, 0, 0xFE00)
        self.assert_has(self.view, STUDY[:1])

    def test_a_reload_that_takes_the_destination_away_fails_what_still_comes(self):
        go_on = threading.Event()
        gateway = self.scene(lambda port: moving(port, STUDY[:1], before=go_on.is_set), route("all", "shelf"))
        client = self.client(gateway)
        asked = client.ask(C_MOVE_RQ, STUDY_ROOT_MOVE, client._identifier(STUDY_ROOT_MOVE, {
            "QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid(1)}), f0600="VIEW")
        wait_until(lambda: self.archive.asked(C_MOVE_RQ), "the archive is asked")
        gateway.write(node("shelf", self.shelf), route("all", "shelf"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "the reload")
        go_on.set()
        self.assert_moved(client.finish(asked), 0, 1, 0xB000)
        self.assertIn("gone since a reload", self.script.answers[0].comment)
        self.assertEqual(self.view.messages + self.shelf.messages, [])


class Unnamed(Moves):
    """Archives that leave out the Move Originator."""

    def test_what_was_asked_for_tells(self):
        cases = [{"QueryRetrieveLevel": "PATIENT", "PatientID": "ADAM-1"},
                 {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid(1)},
                 {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": study_uid(1), "SeriesInstanceUID": series_uid(1, 1)},
                 {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": study_uid(1), "SeriesInstanceUID": series_uid(1, 1),
                  "SOPInstanceUID": "\\".join(one.uid for one in STUDY)}]
        gateway = self.scene(lambda port: moving(port, STUDY, nothing), route("all", "shelf"))
        for number, keys in enumerate(cases):
            with self.subTest(level=keys["QueryRetrieveLevel"]):
                self.assert_moved(self.move(gateway, **keys))
                self.assertEqual(len(self.view.messages), 3 * number + 3)
        self.assertEqual(self.shelf.messages, [])
        self.assertEqual({m.command[0x1030].strip() for m in self.view.messages}, {b"CLIENT"})

    def test_what_was_not_asked_for_goes_by_the_routes_for_storage(self):
        other = image("BETA", 2, 1, 1, size=200000)
        gateway = self.scene(lambda port: moving(port, [STUDY[0], other], nothing), route("all", "shelf"))
        self.assert_moved(self.move(gateway), 2)
        self.assert_has(self.view, STUDY[:1])
        self.assert_has(self.shelf, [other])

    def test_routes_that_look_into_the_data_set_get_what_was_not_asked_for(self):
        """Both wait for the same data set: the search for the C-MOVE, and conditions and morphs of routes."""
        others = [image("BETA", 2, 1, number, transfer, 200000) for number, transfer in enumerate((EXPLICIT, IMPLICIT, dicom.DEFLATED))]
        sent = STUDY[:1] + others + [image("ADAM", 1, 2, number, transfer, 200000)
                                     for number, transfer in enumerate((EXPLICIT, IMPLICIT, dicom.DEFLATED))]
        gateway = self.scene(lambda port: moving(port, sent, nothing),
                             route("beta", "shelf", when={"PatientID": "BETA*"},
                                   morph=Lua("function(ds) ds.PatientName = 'STORED' end")),
                             route("rest", "pacs", when={"PatientID": {"no": "BETA*"}}))
        self.assert_moved(self.move(gateway), len(sent))
        self.assert_has(self.view, [one for one in sent if one not in others])
        self.assertEqual(sorted(self.shelf.uids), sorted(one.uid for one in others))
        for message in self.shelf.messages:
            self.assertEqual(read(message.data, message.transfer)["PatientName"], "STORED")

    def test_it_is_refused_where_two_moves_to_different_destinations_asked_for_it(self):
        both, sent = threading.Barrier(2), threading.Event()

        def script(port):
            def one(call):
                both.wait(20 * SLOW)
                if dicom.text(call.association.request.called) == "PACS" and both_first(call):
                    yield from moving(port, STUDY[:1], nothing)(call)
                    sent.set()
                else:
                    yield from until(sent.is_set, call)
                    yield Answer(0, fields=counts())
            return one
        first = []

        def both_first(call):
            first.append(call)
            return first[0] is call
        gateway = self.scene(script, route("all", "shelf"))
        outcomes = []
        threads = [threading.Thread(target=lambda to=to: outcomes.append(self.move(gateway, to))) for to in ("VIEW", "SHELF")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(o.final.fields[0x1022] for o in outcomes), [0, 1])
        self.assertEqual(self.view.messages + self.shelf.messages, [])
        refused = gateway.events("message answered")[-1]
        self.assertEqual((refused["status"], refused["comment"]),
                         ("A700", "several C-MOVEs asked for it, and it names none"))

    def test_a_data_set_that_cannot_be_read_belongs_to_nobody(self):
        broken = dicom.Instance(CT, dicom.new_uid(), EXPLICIT, b"\x08\0\x16\0UI\xff\xff1.2")
        gateway = self.scene(lambda port: moving(port, [broken], nothing), route("all", "shelf"))
        self.assert_moved(self.move(gateway), 0, 1, 0xB000)
        self.assertEqual(self.script.answers[0].status, 0xC000)
        self.assertEqual(self.view.messages + self.shelf.messages, [])

    def test_pynetdicom_names_itself(self):
        """Quirk 27: its own title as Move Originator."""
        gateway = self.scene(lambda port: moving(port, STUDY, lambda call: {"f1030": "PACS", "f1031": call.id}))
        self.assert_moved(self.move(gateway))
        self.assert_has(self.view, STUDY)


class Morphed(Moves):
    RENAME = Lua('function(ds, assoc) assert(assoc.service == "move") '
                 'ds.PatientName = "MOVED^TO" ds.SOPInstanceUID = ds.SOPInstanceUID .. ".9" end')

    def test_the_route_s_morph_response_makes_what_goes_out(self):
        for named in (originator_of, nothing):
            with self.subTest(named=named.__name__):
                gateway = self.scene(lambda port, named=named: moving(port, STUDY, named),
                                     retrieve={"morph_response": self.RENAME})
                self.assert_moved(self.move(gateway))
                self.assertEqual(sorted(self.view.uids), sorted(one.uid + ".9" for one in STUDY))
                for message in self.view.messages:
                    values = read(message.data, message.transfer)
                    self.assertEqual((values["PatientName"], values["SOPInstanceUID"]), ("MOVED^TO", message.uid))
                    self.assertEqual(dicom.text(message.command[0x1030]), "CLIENT")
                for answer, one in zip(self.script.answers, STUDY):  # upstream it is what it was
                    self.assertEqual(dicom.text(answer.fields[0x1000]), one.uid)

    def test_one_that_fails_fails_the_sub_operation(self):
        gateway = self.scene(lambda port: moving(port, STUDY[:1]),
                             retrieve={"morph_response": Lua('function(ds) error("no") end')})
        self.assert_moved(self.move(gateway), 0, 1, 0xB000)
        self.assertEqual((self.script.answers[0].status, self.script.answers[0].comment),
                         (0xC110, "morph_response of route retrieve failed"))
        self.assertEqual(self.view.messages, [])


class Real(Moves):
    """Archives and tools from Debian."""

    def through(self, starter, **settings):
        port = free_port()
        archive = self.peer(starter, "PACS", {"HILUM": port}, **settings)
        archive.fill(STUDY + [image("BETA", 2, 1, 1)])
        store = self.peer(storescp, title="VIEW")
        gateway = self.gateway(node("pacs", archive, **THROUGH_US), node("view", store),
                               route("retrieve", "pacs", when={"service": "move"}), port=port)
        return gateway, store

    def movescu(self, gateway, destination="VIEW", check=True):
        return tool("movescu", "-S", "-v", "-aet", "CLIENT", "-aec", "HILUM", "-aem", destination, "-k",
                    "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid(1)}", "127.0.0.1", gateway.port,
                    check=check)

    def assert_stored_there(self, store):
        got = wait_until(lambda: len(store.instances()) >= 3 and store.instances(), "three files")
        self.assertEqual({one.uid: one.data for one in got}, {one.uid: one.data for one in STUDY})

    def test_dcmqrscp_moves_through_us_to_storescp(self):
        gateway, store = self.through(archives.dcmqrscp)
        self.movescu(gateway)
        self.assert_stored_there(store)

    def test_orthanc_moves_through_us_to_storescp(self):
        gateway, store = self.through(archives.orthanc)
        self.movescu(gateway)
        self.assert_stored_there(store)

    def test_a_destination_that_is_down_fails_their_sub_operations(self):
        for starter in (archives.dcmqrscp, archives.orthanc):
            with self.subTest(starter=starter.__name__):
                gateway, store = self.through(starter)
                store.process.kill()
                store.process.wait()
                outcome = self.move(gateway)
                self.assertEqual(outcome.final.fields.get(0x1021, 0), 0, str(outcome))
                self.assertNotEqual(outcome.status, 0)
                self.assertTrue(all(e["queued"] == 0 for e in gateway.events("message answered")))
                if starter is archives.dcmqrscp:  # Orthanc ends at the first
                    self.assertEqual(outcome.final.fields[0x1022], 3)

    def test_movescu_is_told_that_a_destination_is_unknown(self):
        gateway, _ = self.through(archives.dcmqrscp)
        self.assertIn("Refused: MoveDestinationUnknown", self.movescu(gateway, "NOWHERE", check=False).stdout)
