"""Storage commitment through the gateway: what it says is committed is committed by those who have got it, and it says so once."""

import time

import dicom
from commitment_peers import PAIRS, Archive, Requester, await_told, commit, request_of
from dicom import CT, EXPLICIT, IMPLICIT, MR, make_instance
from harness import SLOW, Case, Lua, Orthanc, declare, folder, free_port, node, route, wait_until
from peer_client import Client
from peer_data import COMMITMENT, COMMITMENT_INSTANCE

COMMIT = 'route "commitment" { when = { service = "commit" } }'
QUICK = {"first": "100ms", "most": "400ms"}


class Commitment(Case):
    def archive(self, **settings):
        archive = Archive(**settings)
        self.addCleanup(self._stop_sink, archive)
        return archive

    def requester(self, **settings):
        requester = Requester(**settings)
        self.addCleanup(self._stop_sink, requester)
        return requester

    def start(self, *declarations, archives=(), **settings):
        gateway = self.gateway(*declarations, COMMIT, retry=QUICK, **settings)
        for one in archives:
            one.gateway = gateway
        return gateway

    def client(self, gateway, pairs=PAIRS, calling="MODALITY", **more):
        client = Client(gateway.port, pairs, calling=calling, seconds=20 * SLOW, **more)
        self.addCleanup(client.close)
        return client

    def store(self, client, count=3):
        sent = [make_instance(500 + n) for n in range(count)]
        for one in sent:
            self.assert_stored(client.store(one))
        return sent

    def told(self, requester, count=1, seconds=15):
        wait_until(lambda: len(requester.told) >= count, "the requester is told", seconds)
        return requester.told[count - 1]

    def assert_committed(self, told, transaction, instances):
        self.assertEqual(told.transaction, transaction)
        self.assertEqual(told.committed, [one.uid for one in instances])
        self.assertEqual(told.failed, {})
        self.assertEqual(told.event, 1)


class Ways(Commitment):
    """How an archive reports, and how the requester is told."""

    def one(self, how, **archive):
        a, requester = self.archive(how=how), self.requester()
        for key, value in archive.items():
            setattr(a, key, value)
        gateway = self.start(node("archive", a), node("modality", requester), route("all", to="archive"), archives=[a])
        return gateway, a, requester

    def test_told_on_an_association_of_its_own(self):
        gateway, a, requester = self.one("new")
        with self.client(gateway, called="GATEWAY") as client:
            sent = self.store(client)
            transaction, status = commit(client, sent)
            self.assertEqual(status, 0)
        told = self.told(requester)
        self.assert_committed(told, transaction, sent)
        self.assertEqual(dicom.text(told.request.calling), "GATEWAY", "the title that was called")
        self.assertEqual(told.request.roles, [(COMMITMENT, 0, 1)])
        wait_until(lambda: a.answers == [0], "the archive's report is answered")
        self.assertEqual(a.refusals, [])
        ours, uids, calling = a.requests[0]
        self.assertNotEqual(ours, transaction, "a Transaction UID of our own")
        self.assertEqual((uids, calling), ([one.uid for one in sent], "HILUM"))

    def test_told_on_the_association_of_the_request(self):
        gateway, a, requester = self.one("new")
        client = self.client(gateway)
        sent = self.store(client)
        transaction, status = commit(client, sent)
        self.assertEqual(status, 0)
        self.assert_committed(await_told(client), transaction, sent)
        wait_until(lambda: gateway.events("storage commitment told"), "it is over")
        self.assertEqual(requester.told, [])

    def test_explicit_vr(self):
        gateway, a, requester = self.one("new")
        client = self.client(gateway, [(CT, [EXPLICIT]), (COMMITMENT, [EXPLICIT])])
        sent = self.store(client)
        transaction, _ = commit(client, sent)
        self.assert_committed(await_told(client), transaction, sent)

    def test_reported_on_the_association_that_asked(self):
        gateway, a, requester = self.one("same")
        with self.client(gateway) as client:
            sent = self.store(client)
            transaction, _ = commit(client, sent)
        self.assert_committed(self.told(requester), transaction, sent)
        wait_until(lambda: a.answers == [0], "the archive's report is answered")

    def test_a_report_without_type_and_role(self):
        gateway, a, requester = self.one("new", with_event_type=False, with_role=False)
        with self.client(gateway) as client:
            sent = self.store(client)
            a.lacks = {sent[0].uid: 0x0110}
            transaction, _ = commit(client, sent)
        told = self.told(requester)
        self.assertEqual((told.committed, told.failed, told.event),
                         ([one.uid for one in sent[1:]], {sent[0].uid: 0x0110}, 2))

    def test_a_requester_that_is_no_node_is_told_on_its_association_alone(self):
        gateway, a, _ = self.one("new")
        client = self.client(gateway, calling="STRANGER")
        sent = self.store(client)
        transaction, _ = commit(client, sent)
        self.assert_committed(await_told(client), transaction, sent)
        with self.client(gateway, calling="STRANGER") as gone:
            commit(gone, sent)
        wait_until(lambda: any(e["cause"] == "no node has the title of the requester" for e in
                               gateway.events("the result of a storage commitment is told again later")), "it is logged")

    def test_a_requester_that_is_away_is_told_later(self):
        a, port = self.archive(), free_port()
        gateway = self.start(node("archive", a), node("modality", port), route("all", to="archive"), archives=[a])
        with self.client(gateway) as client:
            sent = self.store(client)
            transaction, _ = commit(client, sent)
        wait_until(lambda: gateway.events("the result of a storage commitment is told again later"), "it is away")
        self.assert_committed(self.told(self.requester(port=port)), transaction, sent)

    def test_asked_twice_told_once(self):
        gateway, a, requester = self.one("new")
        with self.client(gateway) as client:
            sent = self.store(client)
            transaction, _ = commit(client, sent)
            self.assertEqual(commit(client, sent, transaction), (transaction, 0))
        self.assert_committed(self.told(requester), transaction, sent)
        wait_until(lambda: gateway.events("storage commitment told"), "it is over")
        self.assertEqual((len(requester.told), len(a.requests)), (1, 1))


class Results(Commitment):
    def test_part_of_it_has_failed(self):
        a, requester = self.archive(), self.requester()
        gateway = self.start(node("archive", a), node("modality", requester), route("all", to="archive"), archives=[a])
        with self.client(gateway) as client:
            sent = self.store(client)
            a.lacks = {sent[1].uid: 0x0119}
            transaction, _ = commit(client, sent)
        told = self.told(requester)
        self.assertEqual((told.transaction, told.event), (transaction, 2))
        self.assertEqual((told.committed, told.failed), ([sent[0].uid, sent[2].uid], {sent[1].uid: 0x0119}))

    def test_two_archives_have_to_have_it(self):
        a, b, requester = self.archive(title="A"), self.archive(title="B"), self.requester()
        gateway = self.start(node("a", a), node("b", b), node("modality", requester), route("all", to=["a", "b"]),
                             archives=[a, b])
        with self.client(gateway) as client:
            sent = self.store(client, 4)
            a.lacks = {sent[0].uid: 0x0110, sent[2].uid: 0x0213}
            b.lacks = {sent[1].uid: 0x0112, sent[2].uid: 0x0112}
            commit(client, sent)
        told = self.told(requester)
        self.assertEqual(told.committed, [sent[3].uid])
        self.assertEqual(told.failed, {sent[0].uid: 0x0110, sent[1].uid: 0x0112, sent[2].uid: 0x0112})

    def test_each_archive_is_asked_for_what_it_has(self):
        a, b, requester = self.archive(title="A"), self.archive(title="B"), self.requester()
        gateway = self.start(node("a", a), node("b", b), node("modality", requester),
                             route("ct", to="a", when={"Modality": "CT"}), route("mr", to="b", when={"Modality": "MR"}),
                             archives=[a, b])
        with self.client(gateway) as client:
            one, two = (dicom.instance_of([(0x00080060, "CS", modality)]) for modality in ("CT", "MR"))
            for instance in (one, two):
                self.assert_stored(client.store(instance))
            transaction, _ = commit(client, [one, two])
        self.assert_committed(self.told(requester), transaction, [one, two])
        self.assertEqual(([uids for _, uids, _ in a.requests], [uids for _, uids, _ in b.requests]), ([[one.uid]], [[two.uid]]))

    def test_of_a_pool_the_member_that_has_it_is_asked(self):
        a, b, requester = self.archive(title="A"), self.archive(title="B"), self.requester()
        gateway = self.start(node("a", a), node("b", b), 'pool "archive" { members = { "a", "b" }, balance = "round-robin" }',
                             node("modality", requester), route("all", to="archive"), archives=[a, b])
        with self.client(gateway) as client:
            sent = self.store(client, 6)
            transaction, _ = commit(client, sent)
        self.assert_committed(self.told(requester), transaction, sent)
        self.assertTrue(a.stored and b.stored, "both have some")
        for one in (a, b):
            self.assertEqual([sorted(uids) for _, uids, _ in one.requests], [sorted(one.stored)])

    def test_copies_and_folders_are_not_asked(self):
        a, copy, requester = self.archive(title="A"), self.archive(title="COPY", how="silent"), self.requester()
        gateway = self.start(node("a", a), node("copy", copy), folder("disk", "$FOLDER/disk/{SOPInstanceUID}.dcm"),
                             node("modality", requester), route("all", to=["a", "disk"], copy=["copy"]), archives=[a, copy])
        with self.client(gateway) as client:
            sent = self.store(client)
            transaction, _ = commit(client, sent)
        self.assert_committed(self.told(requester), transaction, sent)
        self.assertEqual(copy.requests, [])

    def test_copies_are_asked_where_the_route_says_so(self):
        a, copy, requester = self.archive(title="A"), self.archive(title="COPY"), self.requester()
        gateway = self.start(node("a", a), node("copy", copy), node("modality", requester),
                             route("all", to="a", copy=["copy"], commit=True), archives=[a, copy])
        with self.client(gateway) as client:
            sent = self.store(client)
            copy.lacks = {sent[0].uid: 0x0110}
            commit(client, sent)
        self.assertEqual(self.told(requester).failed, {sent[0].uid: 0x0110})

    def test_renamed_instances_are_called_by_their_names_on_each_side(self):
        a, requester = self.archive(), self.requester()
        gateway = self.start(node("archive", a), node("modality", requester),
                             route("all", to="archive", morph=Lua("function (ds) ds.SOPInstanceUID = uid.map(ds.SOPInstanceUID) end")),
                             archives=[a], uid_key="a key")
        with self.client(gateway) as client:
            sent = self.store(client)
            a.lacks = {a.stored[1]: 0x0110}
            transaction, _ = commit(client, sent)
        told = self.told(requester)
        self.assertEqual((told.committed, told.failed), ([sent[0].uid, sent[2].uid], {sent[1].uid: 0x0110}))
        self.assertEqual(a.requests[0][1], a.stored)
        self.assertTrue(set(a.stored).isdisjoint(one.uid for one in sent))

    def test_what_nobody_knows_is_asked_of_the_routes(self):
        a, requester = self.archive(), self.requester()
        gateway = self.start(node("archive", a), node("modality", requester), route("all", to="archive"), archives=[a])
        known, unknown = make_instance(), make_instance()
        a.has = {known.uid}
        with self.client(gateway) as client:
            commit(client, [known, unknown])
        told = self.told(requester)
        self.assertEqual((told.committed, told.failed), ([known.uid], {unknown.uid: 0x0112}))

    def test_what_no_route_takes_has_failed(self):
        a, requester = self.archive(), self.requester()
        gateway = self.start(node("archive", a), node("modality", requester),
                             route("mine", to="archive", when={"calling": "ANOTHER"}), archives=[a])
        one = make_instance()
        with self.client(gateway) as client:
            commit(client, [one])
        self.assertEqual(self.told(requester).failed, {one.uid: 0x0112})
        self.assertEqual(a.requests, [])

    def test_an_archive_that_cannot_commit(self):
        sink, requester = self.sink(classes=[CT]), self.requester()
        gateway = self.start(node("archive", sink), node("modality", requester), route("all", to="archive"))
        with self.client(gateway) as client:
            sent = self.store(client, 1)
            commit(client, sent)
        self.assertEqual(set(self.told(requester).failed), {sent[0].uid})

    def test_an_archive_that_refuses(self):
        a, requester = self.archive(), self.requester()
        a.action = 0x0124
        gateway = self.start(node("archive", a), node("modality", requester), route("all", to="archive"), archives=[a])
        with self.client(gateway) as client:
            sent = self.store(client, 1)
            commit(client, sent)
        self.assertEqual(self.told(requester).failed, {sent[0].uid: 0x0122})

    def test_an_archive_that_has_no_time_is_asked_again(self):
        a, requester = self.archive(), self.requester()
        a.action = 0x0213
        gateway = self.start(node("archive", a), node("modality", requester), route("all", to="archive"), archives=[a])
        with self.client(gateway) as client:
            sent = self.store(client)
            transaction, _ = commit(client, sent)
        wait_until(lambda: len(a.requests) >= 2, "it is asked again")
        a.action = 0
        self.assert_committed(self.told(requester), transaction, sent)
        self.assertEqual(len({ours for ours, _, _ in a.requests}), 1, "the same Transaction UID")

    def test_what_is_not_reported_in_time_has_failed(self):
        a, requester = self.archive(how="silent"), self.requester()
        gateway = self.start(node("archive", a), node("modality", requester), route("all", to="archive"), archives=[a],
                             timeouts={"commit": "3s"})
        with self.client(gateway) as client:
            sent = self.store(client, 2)
            commit(client, sent)
        self.assertEqual(self.told(requester).failed, {one.uid: 0x0110 for one in sent})

    def test_ten_thousand_instances(self):
        a, requester = self.archive(), self.requester()
        gateway = self.start(node("archive", a), node("modality", requester), route("all", to="archive"), archives=[a])
        many = [dicom.Instance(CT, dicom.new_uid(), EXPLICIT, b"") for _ in range(10000)]
        a.has = {one.uid for one in many}
        with self.client(gateway) as client:
            transaction, status = commit(client, many)
        self.assertEqual(status, 0)
        self.assert_committed(self.told(requester, seconds=60), transaction, many)


class Requests(Commitment):
    """What is wrong is said by the status of the response."""

    def setUp(self):
        self.a = self.archive()
        self.gateway_ = self.start(node("archive", self.a), route("all", to="archive"), archives=[self.a])

    def test_what_is_wrong_is_said_by_the_status(self):
        client = self.client(self.gateway_)
        one = make_instance()
        for fields, status in (({"f1008": 2}, 0x0123), ({"f1001": "1.2.3"}, 0x0112)):
            self.assertEqual(commit(client, [one], **fields)[1], status, fields)
        for data in (request_of(dicom.new_uid(), []), request_of("", [one]), b"\x08\x00\x99\x11\xff\xff"):
            done = client.call(dicom.N_ACTION_RQ, COMMITMENT, data, f1001=COMMITMENT_INSTANCE, f1008=1)
            self.assertEqual(done.status, 0x0115, data)
        self.assertEqual(commit(client, [one])[1], 0)

    def test_a_report_of_somebody_else_changes_nothing(self):
        self.a.how = "silent"
        with self.client(self.gateway_) as client:
            sent = self.store(client, 1)
            commit(client, sent)
        wait_until(lambda: self.a.requests, "the archive is asked")
        ours = self.a.requests[0][0]
        with self.client(self.gateway_, [(COMMITMENT, [IMPLICIT])], calling="STRANGER", source="127.0.0.2") as stranger:
            data = request_of(ours, sent)
            done = stranger.call(dicom.N_EVENT_REPORT_RQ, COMMITMENT, data, f1000=COMMITMENT_INSTANCE, f1002=1)
            self.assertEqual(done.status, 0)
        wait_until(lambda: self.gateway_.events("a report on a storage commitment by another than was asked"), "it is logged")
        self.assertEqual(self.gateway_.events("storage commitment decided"), [])

    def test_without_a_route_the_class_is_not_offered(self):
        gateway = self.gateway(node("archive", self.a), route("all", to="archive"))
        client = self.client(gateway)
        self.assertEqual(client.results, {1: 0, 3: 3})


class Durable(Commitment):
    def test_killed_before_the_archive_has_reported(self):
        a, requester = self.archive(how="silent"), self.requester()
        gateway = self.start(node("archive", a), node("modality", requester), route("all", to="archive"), archives=[a])
        client = self.client(gateway)
        sent = self.store(client)
        transaction, status = commit(client, sent)
        gateway.kill()
        self.assertEqual(status, 0)
        a.how = "new"
        gateway.start()
        self.assert_committed(self.told(requester), transaction, sent)

    def test_killed_with_one_of_two_reports(self):
        a, b, requester = self.archive(title="A"), self.archive(title="B", how="silent"), self.requester()
        gateway = self.start(node("a", a), node("b", b), node("modality", requester), route("all", to=["a", "b"]),
                             archives=[a, b])
        with self.client(gateway) as client:
            sent = self.store(client)
            a.lacks = {sent[0].uid: 0x0110}
            transaction, _ = commit(client, sent)
        wait_until(lambda: gateway.events("storage commitment reported") and b.requests, "one has reported")
        time.sleep(0.2)  # what it said is written behind the line in the log
        gateway.kill()
        a.how, b.how = "silent", "new"
        gateway.start()
        told = self.told(requester)
        self.assertEqual((told.committed, told.failed), ([one.uid for one in sent[1:]], {sent[0].uid: 0x0110}))
        self.assertEqual((len(a.requests), len(b.requests)), (1, 2))

    def test_killed_before_the_requester_was_told(self):
        a, port = self.archive(), free_port()
        gateway = self.start(node("archive", a), node("modality", port), route("all", to="archive"), archives=[a])
        with self.client(gateway) as client:
            sent = self.store(client)
            transaction, _ = commit(client, sent)
        wait_until(lambda: gateway.events("the result of a storage commitment is told again later"), "it is decided")
        gateway.kill()
        gateway.start()
        requester = self.requester(port=port)
        self.assert_committed(self.told(requester), transaction, sent)
        wait_until(lambda: gateway.events("storage commitment told"), "it is over")
        gateway.kill()
        gateway.start()
        wait_until(lambda: gateway.events("ready"), "it is there again")
        self.assertEqual(gateway.events("storage commitment taken up again"), [])

    def test_an_archive_that_is_away_comes_back(self):
        a, requester = self.archive(), self.requester()
        gateway = self.start(node("archive", a), node("modality", requester), route("all", to="archive"), archives=[a])
        with self.client(gateway) as client:
            sent = self.store(client)
            has, port = set(a.stored), a.port
            a.stop()
            a.faults.clear()  # threads that were woken by it
            transaction, status = commit(client, sent)
        self.assertEqual(status, 0)
        wait_until(lambda: gateway.events("storage commitment: the node is asked again later"), "it is away")
        back = self.archive(port=port)
        back.gateway, back.has = gateway, has
        self.assert_committed(self.told(requester), transaction, sent)

    def test_what_is_queued_is_committed_after_its_delivery(self):
        port, requester = free_port(), self.requester()
        gateway = self.start(node("archive", port), node("modality", requester),
                             route("all", to="archive", on_failure="queue"))
        with self.client(gateway) as client:
            sent = self.store(client)
            transaction, _ = commit(client, sent)
        wait_until(lambda: gateway.events("storage commitment waits for the queue"), "it waits")
        self.assertEqual(requester.told, [])
        a = self.archive(port=port)
        a.gateway = gateway
        self.assert_committed(self.told(requester, seconds=30), transaction, sent)
        self.assertEqual(set(a.stored), {one.uid for one in sent})
        self.assertGreater(a.calls[0].came_at, a.messages[0].association.opened_at)

    def test_what_is_refused_for_good_has_failed(self):
        a, b, requester = self.archive(title="A"), self.archive(title="B"), self.requester()
        a.answer = 0xC001
        gateway = self.start(node("a", a), node("b", b), node("modality", requester),
                             'route "all" { to = { "b" }, copy = { "a" }, commit = true }', archives=[a, b])
        with self.client(gateway) as client:
            sent = self.store(client, 1)
            commit(client, sent)
        self.assertEqual(set(self.told(requester, seconds=30).failed), {sent[0].uid})


class RealPeers(Commitment):
    def test_orthanc_commits(self):
        orthanc = self.peer(Orthanc)
        requester = self.requester()
        gateway = self.start(node("orthanc", orthanc), node("modality", requester), route("all", to="orthanc"))
        orthanc.get("/modalities/hilum", f'["HILUM", "127.0.0.1", {gateway.port}]'.encode(), "PUT")
        sent = [dicom.instance_of([(0x00080060, "CS", "CT"), (0x00100010, "PN", "A^B"), (0x00100020, "LO", "1"),
                                   (0x0020000D, "UI", "1.2.3"), (0x0020000E, "UI", "1.2.3.4")]) for _ in range(3)]
        with self.client(gateway) as client:
            for one in sent:
                self.assert_stored(client.store(one))
            missing = make_instance()
            transaction, status = commit(client, [*sent, missing])
        self.assertEqual(status, 0)
        told = self.told(requester, seconds=30)
        self.assertEqual(told.transaction, transaction)
        self.assertEqual(sorted(told.committed), sorted(one.uid for one in sent))
        self.assertEqual(list(told.failed), [missing.uid])
