"""C-FIND over several archives that stand behind the gateway as one: results are the union, which each test asks the archives for directly."""

import re
import threading
import time

import archives
import harness
from archives import WORKLIST, World, ask_worklist, comparable, find, identifier, image, series_uid, study_uid
from dicom import EXPLICIT, IMPLICIT
from harness import QUICK, Case, Lua, node, pool, services, tool, wait_until
from peer_archive import ScriptedArchive
from peer_data import PATIENT_ROOT_FIND, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, UNIQUE_KEY, data_of
from peer_service import Answer

KINDS = {"an Orthanc and a dcmqrscp": [archives.orthanc, archives.dcmqrscp],
         "two Orthancs and a dcmqrscp": [archives.orthanc, archives.orthanc, archives.dcmqrscp],
         "three Orthancs": [archives.orthanc] * 3}


def assert_union(level, answers, union):
    """Each entity once, as one of the archives that have it answers (one tells more than another)."""
    found = [answer[UNIQUE_KEY[level]] for answer in answers]
    assert sorted(found) == sorted(union), f"{sorted(found)} and not {sorted(union)}"
    for answer in answers:
        assert comparable(answer) in union[answer[UNIQUE_KEY[level]]], f"{comparable(answer)} is not of {union}"


def queries():
    """(root, level, keys): every level of both roots, by single keys, wild cards, ranges and lists."""
    yield "PATIENT", "PATIENT", {}
    yield "PATIENT", "PATIENT", {"PatientName": "*A*"}
    for root in ("PATIENT", "STUDY"):
        above = {"PatientID": "DORA-1"} if root == "PATIENT" else {}
        yield root, "STUDY", above
        yield root, "STUDY", {"PatientID": "EMIL-1"}
        for study in (3, 4, 7):
            patient = {"PatientID": {3: "CARL-1", 4: "DORA-1", 7: "FAYE-1"}[study]} if root == "PATIENT" else {}
            yield root, "SERIES", {**patient, "StudyInstanceUID": study_uid(study)}
            yield root, "IMAGE", {**patient, "StudyInstanceUID": study_uid(study), "SeriesInstanceUID": series_uid(study, 1)}
    yield "STUDY", "STUDY", {"StudyDate": "20250103-20250105"}
    yield "STUDY", "STUDY", {"PatientName": "D*"}
    yield "STUDY", "STUDY", {"StudyInstanceUID": f"{study_uid(1)}\\{study_uid(2)}\\{study_uid(3)}"}
    yield "STUDY", "STUDY", {"AccessionNumber": "NOBODYS"}


class OneArchive(Case):
    seconds = 120

    def behind(self, starters, as_pool=False, to=None, **keys):
        """(world, gateway) of archives with contents."""
        world = self.peer(World, starters)
        names = to or (["archive"] if as_pool else world.names)
        pools = [pool("archive", world.names)] if as_pool else []
        gateway = self.gateway(*world.nodes(), *pools, *services(names, "find", "move", "get", **keys))
        return world, gateway

    def test_every_level_of_both_roots_is_the_union(self):
        for name, starters in KINDS.items():
            world, gateway = self.behind(starters)
            for root, level, keys in queries():
                with self.subTest(name, root=root, level=level, keys=keys):
                    outcome = find(gateway.port, level, root, **keys)
                    self.assertEqual(outcome.status, 0, str(outcome))
                    assert_union(level, outcome.answers, world.union(level, root, **keys))
                    self.assertLessEqual({one.status for one in outcome.pending}, {0xFF00, 0xFF01})

    def test_a_pool_is_all_of_its_members(self):
        world, gateway = self.behind(KINDS["two Orthancs and a dcmqrscp"], as_pool=True)
        for level, keys in (("STUDY", {}), ("SERIES", {"StudyInstanceUID": study_uid(4)})):
            assert_union(level, find(gateway.port, level, **keys).answers, world.union(level, **keys))

    def test_findscu_sees_one_archive(self):
        world, gateway = self.behind(KINDS["two Orthancs and a dcmqrscp"])
        for option, level in (("-P", "PATIENT"), ("-S", "STUDY")):
            keys = [word for key, value in identifier(level, "PATIENT" if level == "PATIENT" else "STUDY").items()
                    for word in ("-k", f"{key}={value}")]
            said = tool("findscu", option, *keys, "127.0.0.1", gateway.port, environment=QUICK).stdout
            unique = {"PATIENT": r"\(0010,0020\) LO \[([^]]*?)[ \0]*\]", "STUDY": r"\(0020,000d\) UI \[([\d.]+)[^]]*\]"}[level]
            found = re.findall(unique, said)
            self.assertEqual(sorted(found), sorted(world.union(level, "PATIENT" if level == "PATIENT" else "STUDY")), said)

    def test_answers_name_a_title_that_the_client_can_move_from(self):
        world, gateway = self.behind(KINDS["an Orthanc and a dcmqrscp"])
        for called in ("HILUM", "ANY-SCP"):
            outcome = find(gateway.port, "STUDY", called=called)
            self.assertEqual({answer["RetrieveAETitle"] for answer in outcome.answers}, {called})

    def test_in_each_transfer_syntax(self):
        world, gateway = self.behind(KINDS["an Orthanc and a dcmqrscp"])
        for transfer in (EXPLICIT, IMPLICIT):
            outcome = find(gateway.port, "STUDY", transfers=[transfer])
            self.assertEqual({one.transfer for one in outcome.pending}, {transfer})
            assert_union("STUDY", outcome.answers, world.union("STUDY"))

    def test_a_cancelled_query_of_real_archives_ends(self):
        """300 studies in each of two Orthancs; findscu and the scripted client want five."""
        peers = [self.peer(archives.orthanc, f"BIG{number}") for number in (1, 2)]
        for number, peer in enumerate(peers):
            peer.fill([image(f"P{n}", 1000 * (number + 1) + n, 1, 1, size=64) for n in range(300)])
        gateway = self.gateway(*(node(peer.title.lower(), peer) for peer in peers), *services(["big1", "big2"], "find"))
        self.assertEqual(len(find(gateway.port, "STUDY").pending), 600)
        client = self.client(gateway, [STUDY_ROOT_FIND])
        outcome = client.find(STUDY_ROOT_FIND, cancel_after=5, **identifier("STUDY"))
        self.assertEqual(outcome.status, 0xFE00, str(outcome))
        self.assertLess(len(outcome.pending), 600)
        self.assertEqual(client.find(STUDY_ROOT_FIND, **identifier("STUDY")).status, 0, "the association goes on")
        said = tool("findscu", "-v", "-S", "--cancel", "5", "-k", "0008,0052=STUDY", "-k", "0020,000d", "127.0.0.1", gateway.port,
                    environment=QUICK).stdout
        self.assertIn("Cancel", said.rsplit("Received Final Find Response", 1)[1])

    def test_a_dead_archive_makes_a_warning_of_what_the_others_have(self):
        world, gateway = self.behind(KINDS["two Orthancs and a dcmqrscp"])
        whole = world.union("STUDY")
        dead = world.archives.pop(1)
        dead.kill()
        rest = world.union("STUDY")
        self.assertLess(len(rest), len(whole))
        for _ in range(3):  # also when it is known to be away
            outcome = find(gateway.port, "STUDY")
            self.assertEqual(outcome.status & 0xF000, 0xB000, str(outcome))
            self.assertIn(dead.title.lower(), outcome.comment)
            assert_union("STUDY", outcome.answers, rest)
        dead.stop()

    def test_an_archive_that_is_killed_while_it_is_asked(self):
        """It stands still when the query comes, and dies then."""
        world, gateway = self.behind(KINDS["two Orthancs and a dcmqrscp"])
        client = self.client(gateway, [STUDY_ROOT_FIND])
        self.assertEqual(client.find(STUDY_ROOT_FIND, **identifier("STUDY")).status, 0)
        dying = world.archives.pop(0)
        rest = world.union("STUDY")
        dying.freeze()
        answers = []
        message_id = client.ask(0x0020, STUDY_ROOT_FIND, data_of(EXPLICIT, **identifier("STUDY")))
        for response in client.responses(message_id):
            if response.data is not None:
                answers.append(response)
                if len(answers) == len(rest):
                    dying.kill()
        self.assertEqual(response.status & 0xF000, 0xB000, str(response))
        assert_union("STUDY", [one.values for one in answers], rest)
        dying.stop()


def of(*places):
    return [image(patient, study, series, number) for patient, study, series, number in places]


FIRST = of(("ADAM", 1, 1, 1), ("BETA", 2, 1, 1), ("CARL", 3, 1, 1))
SECOND = of(("CARL", 3, 1, 1), ("DORA", 4, 1, 1))
THIRD = of(("CARL", 3, 1, 1), ("ADAM", 1, 1, 1), ("EMIL", 5, 1, 1))


class Scripted(Case):
    """What is hard to have from real archives when it is wanted."""

    def behind(self, *contents, settings=None, **keys):
        self.archives = [ScriptedArchive(instances, title=f"ARCHIVE{number + 1}") for number, instances in enumerate(contents)]
        for one in self.archives:
            self.addCleanup(self._stop_sink, one)
        names = [one.title.lower() for one in self.archives]
        gateway = self.gateway(*(node(name, one) for name, one in zip(names, self.archives)), *services(names, "find", "move", **keys),
                               **(settings or {}))
        return gateway, self.client(gateway, [STUDY_ROOT_FIND, PATIENT_ROOT_FIND])

    def asks(self, client, **more):
        return client.find(STUDY_ROOT_FIND, **{**identifier("STUDY"), **more})

    def assert_warning(self, outcome, *names):
        self.assertEqual(outcome.status & 0xF000, 0xB000, str(outcome))
        for name in names:
            self.assertIn(name, outcome.comment)

    def test_answers_come_before_a_slow_archive_has_answered(self):
        _, client = self.behind(FIRST, SECOND)
        gate = threading.Event()
        self.archives[1].before = lambda call, number: gate.wait(20) and None
        message_id = client.ask(0x0020, STUDY_ROOT_FIND, data_of(EXPLICIT, **identifier("STUDY")))
        early = [client.next() for _ in FIRST]
        self.assertEqual({one.status for one in early}, {0xFF00})
        gate.set()
        outcome = client.finish(message_id)
        self.assertEqual((outcome.status, len(outcome.pending)), (0, 1))

    def test_a_cancel_stops_all_of_them(self):
        for silent in (0, 1, 2):  # an archive that has not answered yet is told as well
            with self.subTest(silent=silent):
                many = [[image(f"P{n}", 1000 * a + n, 1, 1) for n in range(400)] for a in range(3)]
                _, client = self.behind(*many)
                for number, one in enumerate(self.archives):
                    def before(call, at, number=number):
                        time.sleep(0.002)
                        return "wait" if number == silent and not call.cancelled else None
                    one.before = before
                outcome = client.call(0x0020, STUDY_ROOT_FIND, data_of(EXPLICIT, **identifier("STUDY")), cancel_after=5)
                self.assertEqual(outcome.status, 0xFE00, str(outcome))
                for one in self.archives:
                    wait_until(lambda one=one: one.calls and one.calls[0].cancelled, "the archive knows")
                    self.assertLess(one.calls[0].pending, 400)
                    one.before = lambda call, number: None
                again = self.asks(client, StudyInstanceUID=study_uid(1005))
                self.assertEqual((again.status, len(again.pending)), (0, 1), "the association goes on")

    def test_a_sender_that_is_lost_stops_all_of_them(self):
        many = [[image(f"P{n}", 1000 * a + n, 1, 1) for n in range(400)] for a in range(2)]
        _, client = self.behind(*many)
        for one in self.archives:
            one.before = lambda call, number: time.sleep(0.002)
        client.ask(0x0020, STUDY_ROOT_FIND, data_of(EXPLICIT, **identifier("STUDY")))
        client.next()
        client.reset()
        for one in self.archives:
            wait_until(lambda one=one: one.calls and (one.calls[0].cancelled or one.used()[0].ended), "the archive knows")

    def test_an_archive_that_fails_in_its_own_way_makes_a_warning(self):
        cases = {"abort": {}, "close": {}, "reset": {}, "never": {}, "A700": {}, "C001": {}, "0122": {}}
        for how in cases:
            for after in (0, 1):
                with self.subTest(how=how, after=after):
                    _, client = self.behind(FIRST, SECOND, settings={"timeouts": {"response": "500ms"}})
                    instead = how if how.islower() else Answer(int(how, 16))
                    self.archives[1].before = lambda call, number: instead if number == after else None
                    outcome = self.asks(client)
                    self.assert_warning(outcome, "archive2")
                    expected = {study_uid(1), study_uid(2), study_uid(3)}
                    found = [a["StudyInstanceUID"] for a in outcome.answers]
                    self.assertEqual(len(found), len(set(found)))
                    self.assertLessEqual(expected, set(found))

    def test_an_archive_that_is_away_costs_no_time_once_it_is_known(self):
        _, client = self.behind(FIRST, SECOND, settings={"timeouts": {"connect": "1s", "association": "1s"}})
        self.archives[1].close_listener()
        for association in self.archives[1].associations:
            association.close()
        outcome = self.asks(client)
        self.assert_warning(outcome, "archive2")
        start = time.monotonic()
        self.assert_warning(self.asks(client), "archive2")
        self.assertLess(time.monotonic() - start, 0.5 * harness.SLOW)

    def test_an_archive_without_the_class_does_not_keep_the_others_from_answering(self):
        gateway, _ = self.behind(FIRST, SECOND)
        self.archives[1].classes = [STUDY_ROOT_MOVE]
        client = self.client(gateway, [STUDY_ROOT_FIND], calling="ANOTHER")
        outcome = self.asks(client)
        self.assertEqual(sorted(a["StudyInstanceUID"] for a in outcome.answers), [study_uid(n) for n in (1, 2, 3)])
        self.assertIn(outcome.status & 0xF000, (0x0000, 0xB000))

    def test_a_pending_warning_stays_one(self):
        _, client = self.behind(FIRST[:1], SECOND[1:])

        def ff01(call):
            yield Answer(0xFF01, data_of(call.transfer, StudyInstanceUID=study_uid(77)))
            yield Answer(0)
        self.archives[1].scripts = {0x0020: ff01}
        outcome = self.asks(client)
        self.assertEqual({(a.values["StudyInstanceUID"], a.status) for a in outcome.pending},
                         {(study_uid(1), 0xFF00), (study_uid(77), 0xFF01)})

    def test_one_patient_of_two_archives_is_one_patient(self):
        _, client = self.behind(of(("EMIL", 5, 1, 1)), of(("EMIL", 6, 1, 1), ("ADAM", 1, 1, 1)))
        outcome = client.find(PATIENT_ROOT_FIND, **identifier("PATIENT"))
        self.assertEqual(sorted(a["PatientID"] for a in outcome.answers), ["ADAM-1", "EMIL-1"])
        studies = client.find(PATIENT_ROOT_FIND, **identifier("STUDY", "PATIENT", PatientID="EMIL-1"))
        self.assertEqual(sorted(a["StudyInstanceUID"] for a in studies.answers), [study_uid(5), study_uid(6)])

    def test_rules_run_on_the_request_and_on_the_answers_of_all(self):
        morph = Lua('function (ds) ds.PatientID = ds.PatientID:gsub("^S7%-", "") end')
        back = Lua('function (ds) ds.PatientID = "S7-" .. ds.PatientID end')
        _, client = self.behind(FIRST, SECOND, THIRD, morph=morph, morph_response=back)
        outcome = self.asks(client, PatientID="S7-*")
        self.assertEqual(sorted(a["PatientID"] for a in outcome.answers), [f"S7-{name}-1" for name in ("ADAM", "BETA", "CARL", "DORA", "EMIL")])
        self.assertEqual({call.values["PatientID"] for one in self.archives for call in one.calls}, {"*"})

    def test_two_thousand_answers_of_each_of_three(self):
        answers = [[data_of(EXPLICIT, QueryRetrieveLevel="STUDY", StudyInstanceUID=f"1.2.{archive}.{n}", PatientID="P")
                    for n in range(1, 2000)] for archive in range(3)]
        _, client = self.behind([], [], [])
        for archive, own in zip(self.archives, answers):
            def script(call, own=own):
                for data in own + answers[0][:500]:
                    yield Answer(0xFF00, data)
                yield Answer(0)
            archive.scripts = {0x0020: script}
        outcome = self.asks(client)
        self.assertEqual(outcome.status, 0)
        found = [one.values["StudyInstanceUID"] for one in outcome.pending]
        self.assertEqual(len(found), len(set(found)))
        self.assertEqual(len(found), 3 * 1999)


class Worklists(Case):
    def steps(self, outcome):
        return sorted(answer["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepID"] for answer in outcome.answers)

    def names(self, outcome):
        return sorted(answer["PatientName"] for answer in outcome.answers)

    def test_worklists_side_by_side_are_one(self):
        one, other = self.peer(archives.worklist), self.peer(archives.worklist, "OTHER", ["BETA", "EMIL"])
        gateway = self.gateway(node("one", one, ae_title="WORKLIST"), node("two", other, ae_title="OTHER"),
                               *services(["one", "two"], "worklist"))
        both = ask_worklist(gateway.port)
        self.assertEqual(both.status, 0, str(both))
        self.assertEqual(self.names(both), [f"{name}^TEST" for name in ("ADAM", "BETA", "CARL", "DORA", "EMIL")])
        self.assertEqual(self.steps(both), [f"STEP{n}" for n in range(1, 6)])

    def test_a_worklist_that_is_away_makes_a_warning_of_the_others_answers(self):
        away = self.service()
        away.close_listener()
        gateway = self.gateway(node("one", self.peer(archives.worklist), ae_title="WORKLIST"), node("two", away),
                               *services(["one", "two"], "worklist"))
        outcome = ask_worklist(gateway.port)
        self.assertEqual(len(outcome.answers), len(WORKLIST))
        self.assertEqual(outcome.status & 0xF000, 0xB000, str(outcome))
        self.assertIn("two", outcome.comment)
