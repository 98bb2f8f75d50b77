"""Storage commitment where it would be easy to say too much: what some destination has not got, or has lost, is not committed. And peers that are wrong."""

import signal

import dicom
from commitment_peers import commit, reference, report_of
from dicom import DEFLATED, IMPLICIT, make_instance
from harness import free_port, node, route, wait_until
from peer_data import COMMITMENT, COMMITMENT_INSTANCE, data_of
from test_commitment import COMMIT, Commitment


class NotEverywhere(Commitment):
    """The sender was told that its instance failed, and asks for its commitment all the same."""

    def commit_one(self, one, *destinations, archives, timeouts=None, **more):
        requester = self.requester()
        gateway = self.start(*destinations, node("modality", requester), route("all", to=["a", "b"], **more),
                             archives=archives,
                             **({"timeouts": timeouts} if timeouts else {}))
        with self.client(gateway) as client:
            self.assertNotEqual(client.store(one).status, 0)
            commit(client, [one])
        return self.told(requester)

    def test_what_one_of_two_has_refused(self):
        a, b = self.archive(title="A"), self.archive(title="B")
        b.answer, one = 0xC001, make_instance()
        b.lacks = {one.uid: 0x0112}  # it counts what it was sent, not what it took
        told = self.commit_one(one, node("a", a), node("b", b), archives=[a, b])
        self.assertEqual(a.stored, [one.uid])
        self.assertEqual((told.committed, told.failed), ([], {one.uid: 0x0112}))

    def test_what_could_not_be_sent_to_one_of_two(self):
        a, one = self.archive(title="A"), make_instance()
        told = self.commit_one(one, node("a", a), node("b", free_port()), archives=[a], on_failure="fail",
                                     timeouts={"commit": "3s"})
        self.assertEqual(a.stored, [one.uid])
        self.assertEqual((told.committed, told.failed), ([], {one.uid: 0x0110}))


class Peers(Commitment):
    def test_of_two_requesters_with_one_title_the_one_that_asked_is_told(self):
        a, requester = self.archive(), self.requester()
        gateway = self.start(node("archive", a), node("other", free_port(), host="127.0.0.2", ae_title="MODALITY"),
                             node("one", requester, host="localhost", ae_title="MODALITY"), route("all", to="archive"), archives=[a])
        with self.client(gateway) as client:
            sent = self.store(client)
            transaction, _ = commit(client, sent)
        self.assert_committed(self.told(requester), transaction, sent)

    def test_with_two_of_its_title_at_other_addresses_nobody_is_told(self):
        a, requester = self.archive(), self.requester()
        gateway = self.start(node("archive", a), node("one", requester, ae_title="MODALITY"),
                             node("other", free_port(), ae_title="MODALITY"), route("all", to="archive"), archives=[a])
        with self.client(gateway, source="127.0.0.2") as client:
            commit(client, self.store(client))
        wait_until(lambda: gateway.events("the result of a storage commitment is told again later"), "nobody is told")
        self.assertEqual(requester.told, [])

    def test_4096_are_open_at_a_time(self):
        archive = self.archive(how="silent")
        gateway = self.start(node("archive", archive), route("all", to="archive"), archives=[archive], workers=1)
        client = self.client(gateway)
        sent = self.store(client, 1)
        self.assertEqual({commit(client, sent)[1] for _ in range(4096)}, {0})
        self.assertEqual(commit(client, sent)[1], 0x0213)

    def test_deflated_is_not_what_we_take(self):
        a = self.archive()
        gateway = self.start(node("archive", a), route("all", to="archive"))
        client = self.client(gateway, [(COMMITMENT, [DEFLATED, IMPLICIT]), (COMMITMENT, [DEFLATED])])
        self.assertEqual((client.results, client.accepted[1][1]), ({1: 0, 3: 4}, IMPLICIT))


class Reports(Commitment):
    """What an archive says, in all the ways that it should not."""

    def scene(self, count=3, **more):
        """Returns (gateway, archive, requester, instances, the Transaction UID that the archive was asked with)."""
        a, requester = self.archive(how="silent"), self.requester()
        gateway = self.start(node("archive", a), node("modality", requester), route("all", to="archive"), archives=[a], **more)
        with self.client(gateway) as client:
            sent = self.store(client, count)
            commit(client, sent)
        wait_until(lambda: a.requests, "the archive is asked")
        return gateway, a, requester, sent, a.requests[0][0]

    def report(self, gateway, *data):
        with self.client(gateway, [(COMMITMENT, [IMPLICIT])], calling="ARCHIVE") as client:
            return [client.call(dicom.N_EVENT_REPORT_RQ, COMMITMENT, one, f1000=COMMITMENT_INSTANCE, f1002=1).status
                    for one in data]

    def test_the_first_report_counts_and_what_it_does_not_name_has_failed(self):
        gateway, a, requester, sent, ours = self.scene()
        every = [reference(one) for one in sent]
        self.assertEqual(self.report(gateway, report_of(ours, [every[0], reference(make_instance())], []), report_of(ours, every, [])),
                         [0, 0])
        told = self.told(requester)
        self.assertEqual((told.committed, told.failed), ([sent[0].uid], {one.uid: 0x0112 for one in sent[1:]}))

    def test_what_is_no_report_changes_nothing_and_an_empty_one_commits_nothing(self):
        gateway, a, requester, sent, ours = self.scene(2)
        whole = report_of(ours, [reference(one) for one in sent], [])
        for status in self.report(gateway, whole[:-3], b"\x08\x00", None, data_of(IMPLICIT, TransactionUID="1.2.3")):
            self.assertNotEqual(status, 0)
        self.assertEqual(self.report(gateway, data_of(IMPLICIT, TransactionUID=ours, FailedSOPSequence=[],
                                                      ReferencedSOPSequence=[])), [0])
        told = self.told(requester)
        self.assertEqual((told.committed, told.failed), ([], {one.uid: 0x0112 for one in sent}))

    def test_a_node_that_a_reload_takes_away_while_it_is_asked_has_not_committed(self):
        a, b, requester = self.archive(title="A"), self.archive(title="B", how="silent"), self.requester()
        rest = [node("a", a), node("modality", requester), COMMIT]
        gateway = self.start(node("b", b), *rest[:2], route("all", to=["a", "b"]), archives=[a, b], timeouts={"commit": "4s"})
        with self.client(gateway) as client:
            sent = self.store(client)
            commit(client, sent)
        wait_until(lambda: b.requests, "both are asked")
        gateway.write(*rest, route("all", to="a"))
        gateway.signal(signal.SIGHUP)
        told = self.told(requester)
        self.assertEqual((told.committed, told.failed), ([], {one.uid: 0x0110 for one in sent}))
