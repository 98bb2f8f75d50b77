"""Storage commitment where it would be easy to say too much: what some destination has not got, or has lost, is not committed."""

import dicom
from commitment_peers import commit
from dicom import make_instance
from harness import free_port, node, route, wait_until
from test_commitment import Commitment


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
