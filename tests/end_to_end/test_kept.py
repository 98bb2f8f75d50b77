"""Associations that a sender keeps (it prints by them, manages steps, gets instances): its own, one a node, and nobody waits for what rests."""

import threading
import time

import dicom
import harness
from archives import image
from dicom import C_FIND_RQ, C_GET_RQ, CT, EXPLICIT, N_ACTION_RQ, N_CREATE_RQ, N_GET_RQ
from harness import Case, Lua, node, route, services, wait_until
from peer_client import Client, getting
from peer_data import FILM_BOX, FILM_SESSION, GET_OF, GRAYSCALE_PRINT, STUDY_ROOT_FIND, data_of, read
from peer_service import Answer, answering, until
from test_get import giving

GET = GET_OF["STUDY"]
FAST = {"timeouts": {"response": "6s"}}
FILM = data_of(EXPLICIT, NumberOfCopies="1")


def printer():
    """Film boxes are of the association that made the session."""
    sessions = set()

    def create(call):
        if dicom.text(call.command[0x0002]) == FILM_SESSION:
            sessions.add(call.association)
        yield Answer(0 if call.association in sessions else 0x0112)
    return {N_CREATE_RQ: create, N_GET_RQ: answering(0)}


class Kept(Case):
    def getter(self, gateway, classes=(), **request):
        pairs, roles = getting([CT], [EXPLICIT])
        client = Client(gateway.port, pairs + [(one, [EXPLICIT]) for one in classes], roles=roles, seconds=20 * harness.SLOW, **request)
        self.addCleanup(client.close)
        return client

    def film(self, client, sop_class=FILM_SESSION, **more):
        return client.call(N_CREATE_RQ, sop_class, FILM, abstract=GRAYSCALE_PRINT, f1000="1.2.1", **more)

    def begin_film(self, client, sop_class=FILM_SESSION):
        return client.ask(N_CREATE_RQ, sop_class, FILM, abstract=GRAYSCALE_PRINT, f1000="1.2.1")

    # ---- its end

    def test_who_is_lost_right_after_a_request_keeps_nothing(self):
        """The request is carried out, and nothing rests there for nobody."""
        service = self.service(printer())
        gateway = self.gateway(node("a", service, max_associations=1), *services("a", "print"), **FAST)
        client = self.client(gateway, [GRAYSCALE_PRINT], [EXPLICIT])
        context = client.context_of(GRAYSCALE_PRINT)
        fields = {0x0002: FILM_SESSION, 0x0100: N_CREATE_RQ, 0x0110: 1, 0x0800: 1, 0x1000: "1.2.1"}
        client.wire.send(b"".join(client.pdus(context, fields, FILM)) + dicom.pdu(dicom.ABORT, bytes(4)))
        client.close()
        wait_until(lambda: service.asked(N_CREATE_RQ), "it is carried out")
        other = self.client(gateway, [GRAYSCALE_PRINT], [EXPLICIT])
        self.assertEqual(self.film(other).status, 0)

    def test_who_is_lost_while_it_waits_for_room_keeps_nothing(self):
        service = self.service(printer())
        gateway = self.gateway(node("a", service, max_associations=1), *services("a", "print"), **FAST)
        first, second = (self.client(gateway, [GRAYSCALE_PRINT], [EXPLICIT]) for _ in range(2))
        self.assertEqual(self.film(first).status, 0)
        self.begin_film(second)
        wait_until(lambda: len(gateway.events("association accepted")) == 2, "both are there")
        time.sleep(0.2)
        second.close()
        wait_until(lambda: len(gateway.events("association ended")) == 1, "the second is gone")
        first.release()
        wait_until(lambda: len(service.asked(N_CREATE_RQ)) == 2, "its request is carried out")
        third = self.client(gateway, [GRAYSCALE_PRINT], [EXPLICIT])
        self.assertEqual(self.film(third).status, 0)

    # ---- what stands on what was done before

    def test_a_film_is_not_lost_by_what_its_sender_does_elsewhere(self):
        archive, service = self.service({C_GET_RQ: giving(image("A", 1, 1, 1))}), self.service(printer())
        gateway = self.gateway(node("p", service), node("a", archive), *services("p", "print"), *services("a", "get"))
        client = self.getter(gateway, [GRAYSCALE_PRINT])
        self.assertEqual(self.film(client).status, 0)
        self.assertEqual(client.get(GET, StudyInstanceUID="1.2").status, 0)
        self.assertEqual(self.film(client, FILM_BOX).status, 0)

    def test_requests_that_overlap_go_on_one_association(self):
        service = self.service(printer())
        gateway = self.gateway(node("a", service), *services("a", "print"))
        client = self.client(gateway, [GRAYSCALE_PRINT], [EXPLICIT], window=(4, 1))
        ids = [self.begin_film(client), self.begin_film(client, FILM_BOX), self.begin_film(client, FILM_BOX)]
        answers = {one.fields[0x0120]: one.status for one in (client.next() for _ in ids)}
        self.assertEqual(answers, dict.fromkeys(ids, 0))
        self.assertEqual(len(service.used()), 1)

    # ---- nodes with room for one

    def test_a_query_beside_a_retrieval_waits_for_it(self):
        gate = threading.Event()

        def wait(call):
            yield from until(gate.is_set, call)
        service = self.service({C_GET_RQ: giving(image("A", 1, 1, 1), after=wait), C_FIND_RQ: answering()})
        gateway = self.gateway(node("a", service, max_associations=1), *services("a", "get", "find"), **FAST)
        client = self.getter(gateway, [STUDY_ROOT_FIND], window=(4, 1))
        first = client.ask(C_GET_RQ, GET, client._identifier(GET, {"StudyInstanceUID": "1.2"}))
        while client.next().fields[0x0120] != first:
            pass
        second = client.ask(C_FIND_RQ, STUDY_ROOT_FIND, client._identifier(STUDY_ROOT_FIND, {"QueryRetrieveLevel": "STUDY"}))
        time.sleep(0.2)
        gate.set()
        answers = [client.next() for _ in range(2)]
        self.assertEqual([(one.fields[0x0120], one.status) for one in answers], [(first, 0), (second, 0)])

    def test_one_that_has_got_its_instances_is_in_nobodys_way(self):
        service = self.service({C_GET_RQ: giving(image("A", 1, 1, 1)), C_FIND_RQ: answering()})
        gateway = self.gateway(node("a", service, max_associations=1), *services("a", "get", "find", "store"), **FAST)
        clients = [self.getter(gateway) for _ in range(3)]
        for one in clients:
            self.assertEqual(one.get(GET, StudyInstanceUID="1.2").status, 0)
        finder = self.client(gateway, [STUDY_ROOT_FIND], [EXPLICIT])
        self.assertEqual(finder.find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY").status, 0)
        self.assertEqual(clients[0].get(GET, StudyInstanceUID="1.2").status, 0)

    # ---- rules

    def test_each_of_two_retrievals_at_once_has_its_own_rule(self):
        """Nothing in a C-STORE says which C-GET it is of, so no two share an association, be the node ready for several."""
        def script(call):
            yield from until(lambda: len(service.asked(C_GET_RQ)) == 2, call)
            yield from giving(image("A", 1, 1, len(call.values["StudyInstanceUID"])))(call)
        service = self.service({C_GET_RQ: script}, window=(4, 1))
        def named(name, study):
            return route(name, ["a"], when={"service": "get", "StudyInstanceUID": study},
                         morph_response=Lua(f'function (ds) ds.PatientName = "{name}" end'))
        gateway = self.gateway(node("a", service), named("one", "1.2"), named("two", "1.2.3"))
        client = self.getter(gateway, window=(4, 1))
        client.ask(C_GET_RQ, GET, client._identifier(GET, {"StudyInstanceUID": "1.2"}))
        wait_until(lambda: service.asked(C_GET_RQ), "the first is with the archive")
        client.ask(C_GET_RQ, GET, client._identifier(GET, {"StudyInstanceUID": "1.2.3"}))
        over = 0
        while over < 2:
            over += client.next().status == 0
        names = {dicom.text(one.fields[0x1000]).rsplit(".", 1)[-1]: str(read(one.data, EXPLICIT)["PatientName"]) for one in client.requests}
        self.assertEqual(names, {"3": "one", "5": "two"})
