"""C-GET and C-MOVE from several archives that stand behind the gateway as one: every instance comes exactly once, and the counts say so."""

import threading
import time

import archives
import dicom
import harness
from archives import World, image, series_uid, study_uid
from dicom import CT, EXPLICIT, IMPLICIT
from harness import QUICK, Case, Lua, node, pool, services, tool, wait_until
from peer_archive import ScriptedArchive
from peer_client import getting
from peer_data import GET_OF, MOVE_OF, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, data_of, read
from sender import contexts_of

PAIR = {"an Orthanc and a dcmqrscp": [archives.orthanc, archives.dcmqrscp]}
TRIO = {"two Orthancs and a dcmqrscp": [archives.orthanc, archives.orthanc, archives.dcmqrscp]}
PATIENTS = {1: "ADAM", 2: "BETA", 3: "CARL", 4: "DORA", 5: "EMIL", 6: "EMIL", 7: "FAYE", 8: "GINA"}


def retrievals():
    """(root, keys, prefix of the UIDs that they mean)"""
    for study in range(1, 9):
        yield "STUDY", {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid(study)}, [study_uid(study)]
    yield "PATIENT", {"QueryRetrieveLevel": "PATIENT", "PatientID": "EMIL-1"}, [study_uid(5), study_uid(6)]
    yield "PATIENT", {"QueryRetrieveLevel": "STUDY", "PatientID": "DORA-1", "StudyInstanceUID": study_uid(4)}, [study_uid(4)]
    for study, series in ((3, 1), (4, 2), (7, 1)):
        keys = {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": study_uid(study), "SeriesInstanceUID": series_uid(study, series)}
        yield "STUDY", keys, [series_uid(study, series)]
    for number in (1, 3):
        yield "STUDY", {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": study_uid(7), "SeriesInstanceUID": series_uid(7, 1),
                        "SOPInstanceUID": f"{series_uid(7, 1)}.{number}"}, [f"{series_uid(7, 1)}.{number}"]
    yield "STUDY", {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": f"{study_uid(1)}\\{study_uid(2)}\\{study_uid(7)}"}, [
        study_uid(1), study_uid(2), study_uid(7)]


class Retrieving(Case):
    seconds = 120

    def get(self, gateway, root="STUDY", transfers=(EXPLICIT,), cancel_after=None, on_request=None, **keys):
        pairs, roles = getting([CT], list(transfers), root)
        pairs = pairs[:1] + [(CT, [transfer]) for transfer in transfers]
        client = self.client(gateway, [], roles=roles, contexts=contexts_of(pairs))
        client.on_request = on_request or (lambda message: 0)
        return client.get(GET_OF[root], cancel_after=cancel_after, **keys)

    def move(self, gateway, destination="DEST", root="STUDY", **keys):
        client = self.client(gateway, [MOVE_OF[root]])
        outcome = client.move(MOVE_OF[root], destination, **keys)
        client.release()
        return outcome

    def assert_all(self, outcome, uids, expected):
        """Each exactly once, and the counts say so."""
        self.assertEqual(sorted(uids), sorted(expected))
        self.assertEqual(outcome.status, 0, str(outcome))
        self.assertEqual(outcome.counts, {"completed": len(expected), "failed": 0, "warning": 0})
        self.assertIsNone(outcome.final.data)
        for one in outcome.pending:
            self.assertIsNone(one.data, "a pending response with a data set")
            self.assertEqual(set(one.counts), {"remaining", "completed", "failed", "warning"})
        done = [one.counts["completed"] for one in outcome.pending]
        self.assertEqual(done, sorted(done))


class OneArchive(Retrieving):
    def behind(self, starters, as_pool=False):
        self.destination = self.sink(ae_title="DEST")
        world = self.peer(World, starters, {"DEST": self.destination.port})
        names = ["archive"] if as_pool else world.names
        pools = [pool("archive", world.names)] if as_pool else []
        return world, self.gateway(*world.nodes(), *pools, *services(names, "find", "move", "get"))

    def expected(self, world, prefixes):
        return [uid for uid in world.instances if any(uid == one or uid.startswith(one + ".") for one in prefixes)]

    def gets_all(self, world, gateway):
        for root, keys, prefixes in retrievals():
            with self.subTest(root=root, keys=keys):
                outcome = self.get(gateway, root, **keys)
                self.assert_all(outcome, [r.text(0x1000) for r in outcome.requests], self.expected(world, prefixes))
                for r in outcome.requests:
                    values = read(r.data, EXPLICIT)
                    self.assertEqual(values["PatientID"], PATIENTS[int(values["StudyInstanceUID"].split(".")[-1])] + "-1")

    def test_c_get_brings_every_instance_exactly_once(self):
        for starters in (*PAIR.values(), *TRIO.values()):
            self.gets_all(*self.behind(starters))

    def test_c_get_from_a_pool(self):
        self.gets_all(*self.behind(*TRIO.values(), as_pool=True))

    def test_c_move_brings_every_instance_exactly_once(self):
        for starters in (*PAIR.values(), *TRIO.values()):
            world, gateway = self.behind(starters)
            for root, keys, prefixes in retrievals():
                with self.subTest(root=root, keys=keys):
                    self.destination.messages.clear()
                    outcome = self.move(gateway, root=root, **keys)
                    self.assert_all(outcome, self.destination.uids, self.expected(world, prefixes))

    def test_getscu_and_movescu_see_one_archive(self):
        world, gateway = self.behind(*TRIO.values())
        for study in (3, 4, 7):
            keys = ("-k", "0008,0052=STUDY", "-k", f"0020,000d={study_uid(study)}")
            folder = self.temporary_folder()
            tool("getscu", "-S", "+B", *keys, "-od", folder, "127.0.0.1", gateway.port, environment=QUICK)
            got = [dicom.read_file(path) for path in harness.files_under(folder)]
            self.assertEqual(sorted(one.uid for one in got), sorted(self.expected(world, [study_uid(study)])))
            self.destination.messages.clear()
            said = tool("movescu", "-v", "-S", "-aem", "DEST", *keys, "127.0.0.1", gateway.port, environment=QUICK).stdout
            self.assertIn("Received Final Move Response (Success)", said)
            self.assertEqual(sorted(self.destination.uids), sorted(self.expected(world, [study_uid(study)])))

    def test_c_move_to_a_destination_that_nobody_knows_is_A801(self):
        """As dcmqrscp says it; Orthanc says C000."""
        world, gateway = self.behind([archives.dcmqrscp, archives.dcmqrscp])
        outcome = self.move(gateway, "NOBODY", QueryRetrieveLevel="STUDY", StudyInstanceUID=study_uid(4))
        self.assertEqual(outcome.status, 0xA801, str(outcome))

    def test_what_nobody_has_is_nothing(self):
        world, gateway = self.behind(*PAIR.values())
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3.4.5"}
        for outcome in (self.get(gateway, **keys), self.move(gateway, **keys)):
            self.assertEqual((outcome.status, outcome.counts.get("completed", 0)), (0, 0), str(outcome))

    def test_with_a_dead_archive_the_others_give_what_they_have_and_it_is_a_warning(self):
        world, gateway = self.behind(*TRIO.values())
        dead = world.archives.pop(1)
        dead.kill()
        for study in (4, 3):
            keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid(study)}
            there = self.expected(world, [study_uid(study)])
            got = self.get(gateway, **keys)
            self.assertEqual(sorted(r.text(0x1000) for r in got.requests), sorted(there))
            self.assertEqual(got.status & 0xF000, 0xB000, str(got))
            self.destination.messages.clear()
            moved = self.move(gateway, **keys)
            self.assertEqual(sorted(self.destination.uids), sorted(there))
            self.assertEqual(moved.status & 0xF000, 0xB000, str(moved))
        dead.stop()

    def test_what_an_archive_had_that_is_killed_half_way_comes_from_its_mirror(self):
        """Orthanc dies after some instances; dcmqrscp has all of them, and gives those that are missing."""
        images = [image("ADAM", 1, 1, number, size=32768) for number in range(1, 41)]
        killed, mirror = self.peer(archives.orthanc, "KILLED"), self.peer(archives.dcmqrscp, "MIRROR")
        for one in (killed, mirror):
            one.fill(images)
        gateway = self.gateway(node("killed", killed, ae_title="KILLED"), node("mirror", mirror, ae_title="MIRROR"),
                               *services(["killed", "mirror"], "find", "get"))
        came = []

        def on_request(message):
            came.append(message.text(0x1000))
            if len(came) == 5:
                killed.kill()
            return 0
        outcome = self.get(gateway, on_request=on_request, QueryRetrieveLevel="STUDY", StudyInstanceUID=study_uid(1))
        self.assertEqual(set(came), {one.uid for one in images})
        self.assertIn(outcome.status & 0xF000, (0x0000, 0xB000), str(outcome))
        self.assertEqual(outcome.counts["completed"], len(images), str(outcome))
        self.assertEqual([e["node"] for e in gateway.events("asked of another archive")], ["killed"])

    def test_through_us_the_instances_come_from_us_with_the_clients_title_and_id(self):
        port, destination = harness.free_port(), self.sink(ae_title="DEST")
        world = self.peer(World, *TRIO.values(), {"HILUM": port})
        gateway = self.gateway(*world.nodes(**{"as": {"move": "through us"}}), node("ws", destination, ae_title="DEST"),
                               *services(world.names, "find", "move"), port=port)
        client = self.client(gateway, [STUDY_ROOT_FIND, STUDY_ROOT_MOVE], calling="CLIENT")
        for study in (2, 3, 4, 7):
            destination.messages.clear()
            outcome = client.move(STUDY_ROOT_MOVE, "DEST", QueryRetrieveLevel="STUDY", StudyInstanceUID=study_uid(study))
            self.assert_all(outcome, destination.uids, self.expected(world, [study_uid(study)]))
            self.assertEqual({(dicom.text(m.command[0x1030]), m.command[0x1031]) for m in destination.messages},
                             {("CLIENT", outcome.final.fields[0x0120])})
            self.assertEqual({dicom.text(m.association.request.calling) for m in destination.messages}, {"HILUM"})


def study(number, images, transfer=EXPLICIT, size=512):
    return [image(PATIENTS[number], number, 1, n, transfer, size) for n in images]


class Scripted(Retrieving):
    """What is hard to have from real archives when it is wanted."""

    def behind(self, *contents, settings=None, **keys):
        self.destination = self.sink(ae_title="DEST")
        self.archives = [ScriptedArchive(instances, title=f"ARCHIVE{number + 1}", hosts={"DEST": self.destination.port})
                         for number, instances in enumerate(contents)]
        for one in self.archives:
            self.addCleanup(self._stop_sink, one)
        names = [one.title.lower() for one in self.archives]
        self.gateway_ = self.gateway(*(node(name, one) for name, one in zip(names, self.archives)),
                                     *services(names, "find", "move", "get", **keys), **(settings or {}))
        return self.gateway_

    KEYS = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid(1)}

    def both_ways(self):
        """(how, function that retrieves study 1 and gives (outcome, uids that have come))"""
        def get():
            outcome = self.get(self.gateway_, **self.KEYS)
            return outcome, [r.text(0x1000) for r in outcome.requests]

        def move():
            self.destination.messages.clear()
            outcome = self.move(self.gateway_, **self.KEYS)
            return outcome, self.destination.uids
        return (("get", get), ("move", move))

    def test_the_bytes_are_the_archives(self):
        held = [study(1, range(1, 4), size=3200), study(1, range(3, 6), size=1 << 20)]
        self.behind(*held)
        sent = {one.uid: one.data for archive in held for one in archive}
        outcome = self.get(self.gateway_, **self.KEYS)
        self.assertEqual(len(outcome.requests), 5)
        by_uid = [{one.uid: one.data for one in archive} for archive in held]
        for r in outcome.requests:
            self.assertIn(r.data, [archive.get(r.text(0x1000)) for archive in by_uid])
        self.assertEqual({r.text(0x1000) for r in outcome.requests}, set(sent))

    def test_each_transfer_syntax_comes_on_its_own_context(self):
        self.behind(study(1, [1, 2], IMPLICIT), study(1, [3], EXPLICIT))
        outcome = self.get(self.gateway_, transfers=[EXPLICIT, IMPLICIT], **self.KEYS)
        self.assertEqual(sorted((r.text(0x1000)[-1], r.transfer) for r in outcome.requests),
                         [("1", IMPLICIT), ("2", IMPLICIT), ("3", EXPLICIT)])
        self.assertEqual(outcome.status, 0, str(outcome))

    def test_a_sub_operation_that_the_client_refuses_is_counted_and_named(self):
        refused = f"{series_uid(1, 1)}.4"
        self.behind(study(1, range(1, 4)), study(1, range(4, 7)))
        got = self.get(self.gateway_, on_request=lambda m: 0xA700 if m.text(0x1000) == refused else 0, **self.KEYS)
        self.destination.answer = lambda m: 0xA700 if m.uid == refused else 0
        moved = self.move(self.gateway_, **self.KEYS)
        for outcome in (got, moved):
            self.assertEqual((outcome.status, outcome.counts["failed"], outcome.counts["completed"]), (0xB000, 1, 5), str(outcome))
            self.assertEqual(outcome.final.values["FailedSOPInstanceUIDList"], refused)

    def test_the_list_of_what_failed_ends_at_1_MiB(self):
        """Two archives that name more than goes in; in Implicit VR, where alone so long a value can be said."""
        self.behind(study(1, [1]), study(1, [2]), settings={"header_max": "4MiB"})
        for number, archive in enumerate(self.archives):
            uids = "\\".join(f"1.2.{number}.{n}".ljust(64, "1") for n in range(11000, 25000))
            archive.failed_list = lambda call, done, uids=uids: data_of(call.transfer, FailedSOPInstanceUIDList=uids)
        self.destination.answer = lambda m: 0xA700
        moved = self.client(self.gateway_, [MOVE_OF["STUDY"]], [IMPLICIT]).move(MOVE_OF["STUDY"], "DEST", **self.KEYS)
        listed = len(moved.final.values["FailedSOPInstanceUIDList"])
        self.assertLessEqual(listed, 1 << 20)
        self.assertGreater(listed, (1 << 20) - 130)

    def test_warnings_are_counted_as_such(self):
        self.behind(study(1, range(1, 4)), study(1, range(4, 7)))
        got = self.get(self.gateway_, on_request=lambda m: 0xB000, **self.KEYS)
        self.assertEqual((got.status, got.counts), (0xB000, {"completed": 0, "failed": 0, "warning": 6}), str(got))

    def test_a_cancel_stops_the_archives(self):
        for kind in ("get", "move"):
            with self.subTest(kind):
                self.behind(study(1, range(1, 200)), study(1, range(200, 400)))
                for one in self.archives:
                    one.before = lambda call, number: time.sleep(0.003)
                if kind == "get":
                    outcome = self.get(self.gateway_, cancel_after=3, **self.KEYS)
                else:
                    client = self.client(self.gateway_, [STUDY_ROOT_MOVE])
                    outcome = client.move(STUDY_ROOT_MOVE, "DEST", cancel_after=3, **self.KEYS)
                self.assertEqual(outcome.status, 0xFE00, str(outcome))
                asked = [call for one in self.archives for call in one.calls if call.command[0x0100] != dicom.C_FIND_RQ]
                self.assertTrue(asked)
                for call in asked:
                    wait_until(lambda call=call: call.over, "the archive has stopped")
                    self.assertLess(call.pending, 199)

    def test_two_clients_at_once_get_their_own(self):
        self.behind(study(1, range(1, 30)) + study(2, [1]), study(1, range(20, 40)) + study(2, range(2, 30)))
        outcomes = {}

        def one(number):
            keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid(number)}
            outcomes[number] = self.get(self.gateway_, **keys)
        threads = [threading.Thread(target=one, args=(number,)) for number in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, count in ((1, 39), (2, 29)):
            uids = [r.text(0x1000) for r in outcomes[number].requests]
            self.assert_all(outcomes[number], uids, [f"{series_uid(number, 1)}.{n}" for n in range(1, count + 1)])

    def test_what_is_got_passes_morph_response(self):
        back = Lua('function (ds) if ds.PatientID then ds.PatientID = "S7-" .. ds.PatientID end end')
        self.behind(study(1, [1, 2]), study(1, [3]), morph_response=back)
        outcome = self.get(self.gateway_, **self.KEYS)
        self.assertEqual([read(r.data, EXPLICIT)["PatientID"] for r in outcome.requests], ["S7-ADAM-1"] * 3)
        self.assertEqual(outcome.status, 0, str(outcome))

    def test_one_archive_alone_is_proxied(self):
        """One destination: what the archive says goes through as it is."""
        self.behind(study(1, range(1, 4)))
        for how, retrieve in self.both_ways():
            with self.subTest(how):
                outcome, came = retrieve()
                self.assert_all(outcome, came, [f"{series_uid(1, 1)}.{n}" for n in range(1, 4)])
        self.assertEqual([call for call in self.archives[0].calls if call.command[0x0100] == dicom.C_FIND_RQ], [])
