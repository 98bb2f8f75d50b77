"""MPPS through the queue: N-CREATE and N-SET of an instance reach each destination once, in order, whatever is down meanwhile."""

import json
import threading

import dicom
from dicom import EXPLICIT, IMPLICIT, N_CREATE_RQ, N_SET_RQ, new_uid
from harness import Case, Lua, free_port, hilum, node, pool, route, wait_until
from peer_client import Client
from peer_data import MPPS, data_of
from peer_service import Answer, Service

QUICK = {"first": "100ms", "most": "300ms"}
STATUS = "PerformedProcedureStepStatus"
DONE = "COMPLETED"


class Steps(Service):
    """An SCP of MPPS that knows its instances (PS3.4 F.7.2): what it has taken stands in `taken`, in order, as (instance, status). `before` is a
    function of the call that may answer first: a status, or "close" (taken, and the connection lost before the answer), or None."""

    def __init__(self, before=lambda call: None, **settings):
        super().__init__({N_CREATE_RQ: self.create, N_SET_RQ: self.set}, **settings)
        self.before, self.taken, self.data, self.lock = before, [], [], threading.Lock()

    def instances(self):
        return [uid for uid, status in self.taken if status == "IN PROGRESS"]

    def of(self, uid):
        return [status for one, status in self.taken if one == uid]

    def create(self, call):
        yield from self.take(call, dicom.text(call.command[0x1000]), 0x0111, lambda known: not known)

    def set(self, call):
        yield from self.take(call, dicom.text(call.command[0x1001]), 0x0112, lambda known: known)

    def take(self, call, uid, otherwise, is_right):
        before = self.before(call)
        if isinstance(before, tuple) or isinstance(before, int):
            status, comment = before if isinstance(before, tuple) else (before, None)
            yield Answer(status, fields={0x0902: comment} if comment else {})
            return
        with self.lock:
            right = is_right(uid in self.instances())
            if right:
                self.taken.append((uid, call.values[STATUS]))
                self.data.append(call.data)
        if before:
            yield before
            return
        # some SCPs say what they have made of it (PS3.7 10.1.5.1.4): nobody asks for that
        yield Answer(0 if right else otherwise, data_of(call.transfer, **{STATUS: "IN PROGRESS"}) if right else None)


class Modality(Client):
    def __init__(self, gateway):
        super().__init__(gateway.port, [(MPPS, [EXPLICIT, IMPLICIT])])
        self.sent = []

    def create(self, uid, **more):
        data = data_of(EXPLICIT, Modality="CT", PatientName="A^B", PatientID="1", PerformedProcedureStepID="P1",
                       **{STATUS: "IN PROGRESS"}, **more)
        self.sent.append(data)
        return self.call(N_CREATE_RQ, MPPS, data, f1000=uid)

    def set(self, uid, status):
        data = data_of(EXPLICIT, **{STATUS: status})
        self.sent.append(data)
        return self.call(N_SET_RQ, MPPS, data, f1001=uid)


class Mpps(Case):
    def steps(self, *arguments, **settings):
        steps = Steps(*arguments, **settings)
        self.addCleanup(self._stop_sink, steps)
        return steps

    def start(self, *declarations, **settings):
        return self.gateway(*declarations, retry=QUICK, **settings)

    def modality(self, gateway):
        modality = Modality(gateway)
        self.addCleanup(modality.close)
        return modality

    def assert_success(self, outcome, uid=None, field=None):
        self.assertEqual(outcome.status, 0, str(outcome))
        self.assertIsNone(outcome.final.data)
        if uid:
            self.assertEqual(outcome.final.text(0x1000), uid)
            self.assertEqual(outcome.final.fields[0x0100], field | 0x8000)

    def whole(self, modality, uids, statuses=("STEP 2", DONE)):
        """All of them from their beginning to their end, turn by turn."""
        for uid in uids:
            self.assert_success(modality.create(uid), uid, N_CREATE_RQ)
        for status in statuses:
            for uid in uids:
                self.assert_success(modality.set(uid, status), uid, N_SET_RQ)

    def arrived(self, steps, uids, statuses=("IN PROGRESS", "STEP 2", DONE), seconds=20):
        wait_until(lambda: all(len(steps.of(uid)) >= len(statuses) for uid in uids), "all of them are there", seconds)
        for uid in uids:
            self.assertEqual(steps.of(uid), list(statuses))
        self.assertEqual(len(steps.taken), len(uids) * len(statuses))

    def entries(self, gateway, *arguments):
        listed = hilum("queue", gateway.config, "list", "--json", *arguments, cwd=gateway.folder)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        return json.loads(listed.stdout)["entries"]

    def order(self, gateway, *arguments):
        done = hilum("queue", gateway.config, *arguments, cwd=gateway.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


def to(*names, **keys):
    return route("steps", list(names), when={"service": "mpps"}, **{"on_failure": "queue", **keys})


def copies(*names, **keys):
    names = ", ".join(f'"{name}"' for name in names)
    more = "".join(f", {key} = {value}" for key, value in keys.items())
    return f'route "steps" {{ when = {{ service = "mpps" }}, copy = {{ {names} }}{more} }}'


class Delivered(Mpps):
    def test_two_destinations_get_all_of_it_in_order(self):
        a, b = self.steps(), self.steps()
        gateway = self.start(node("a", a), node("b", b), to("a", "b"))
        modality, uids = self.modality(gateway), [new_uid() for _ in range(5)]
        self.whole(modality, uids)
        for steps in (a, b):
            self.arrived(steps, uids)
            self.assertEqual(steps.data, modality.sent)
            self.assertEqual({m.abstract for m in steps.messages}, {MPPS})
            self.assertNotIn(0x0700, steps.messages[0].command)  # no priority (PS3.7 10.3.5)
        self.assertEqual(self.entries(gateway), [])

    def test_one_that_is_down_gets_it_when_it_is_back(self):
        a, port = self.steps(), free_port()
        gateway = self.start(node("a", a), node("b", port), to("a", "b"))
        uids = [new_uid() for _ in range(8)]
        self.whole(self.modality(gateway), uids)
        self.arrived(a, uids)
        self.assertEqual(len(self.entries(gateway)), 24)
        b = self.steps(port=port)
        self.arrived(b, uids)
        self.assertEqual(len(b.messages), 24)  # nothing was refused and sent again
        wait_until(lambda: self.entries(gateway) == [], "the queue is empty")
        self.assertEqual(len(a.messages), 24)

    def test_a_copy_is_queued_for_every_request(self):
        port = free_port()
        gateway = self.start(node("a", port), copies("a"))
        uids = [new_uid() for _ in range(3)]
        self.whole(self.modality(gateway), uids)
        a = self.steps(port=port)
        self.arrived(a, uids)

    def test_the_queue_survives_a_kill_in_between(self):
        a, port = self.steps(), free_port()
        gateway = self.start(node("a", a), node("b", port), to("a", "b"))
        modality, uids = self.modality(gateway), [new_uid() for _ in range(4)]
        for uid in uids:
            self.assert_success(modality.create(uid))
        gateway.kill()
        gateway.start()
        b = self.steps(port=port)  # from now on it is there: what follows must not overtake what waits
        modality = self.modality(gateway)
        for status in ("STEP 2", DONE):
            for uid in uids:
                self.assert_success(modality.set(uid, status))
        self.arrived(a, uids)
        self.arrived(b, uids)
        self.assertEqual([m.command[0x0100] for m in b.messages].count(N_SET_RQ), 8)  # none was sent before its N-CREATE

    def test_a_kill_while_it_is_delivered_loses_nothing_and_keeps_the_order(self):
        port, uids = free_port(), [new_uid() for _ in range(40)]
        gateway = self.start(node("b", port), copies("b"))
        modality = self.modality(gateway)
        for uid in uids:
            self.assert_success(modality.create(uid))
        for uid in uids:
            self.assert_success(modality.set(uid, DONE))
        b = self.steps(port=port)
        wait_until(lambda: len(b.taken) > 20, "some are delivered")
        gateway.kill()
        before = len(b.taken)
        self.assertLess(before, 80)
        gateway.start()
        wait_until(lambda: all(DONE in b.of(uid) for uid in uids), "all of them are there", 20)
        for uid in uids:  # an N-SET that was taken when the process died may come again
            self.assertEqual((b.of(uid)[0], set(b.of(uid)[1:])), ("IN PROGRESS", {DONE}))
        wait_until(lambda: self.entries(gateway) == [], "the queue is empty")


class InLine(Mpps):
    def test_an_n_set_does_not_overtake_the_n_create_that_waits(self):
        times = {"refused": 3}

        def before(call):
            if call.command[0x0100] == N_CREATE_RQ and times["refused"]:
                times["refused"] -= 1
                return 0x0213, "no room"
            return None

        a = self.steps(before)
        gateway = self.start(node("a", a), to("a"))
        uid, other, modality = new_uid(), new_uid(), self.modality(gateway)
        self.assert_success(modality.create(uid))
        self.assert_success(modality.set(uid, "STEP 2"))  # the node would take it, and say 0112
        self.assert_success(self.modality(gateway).set(uid, DONE))  # on another association, perhaps of another worker
        self.arrived(a, [uid])
        self.assertEqual([m.command[0x0100] for m in a.messages], [N_CREATE_RQ] * 4 + [N_SET_RQ] * 2)
        self.whole(modality, [other])
        self.assertEqual(a.of(other), ["IN PROGRESS", "STEP 2", DONE])

    def test_each_destination_has_a_line_of_its_own(self):
        a, b = self.steps(), self.steps(lambda call: None if open_b.is_set() else 0xA700)
        open_b = threading.Event()
        gateway = self.start(node("a", a), node("b", b), to("a", "b"))
        uids = [new_uid() for _ in range(3)]
        self.whole(self.modality(gateway), uids)
        self.arrived(a, uids)
        self.assertEqual(b.taken, [])
        open_b.set()
        self.arrived(b, uids)

    def test_one_that_refuses_for_good_fails_the_request(self):
        a, b = self.steps(), self.steps(lambda call: (0x0110, "not here"))
        gateway = self.start(node("a", a), node("b", b), to("a", "b"))
        uid, modality = new_uid(), self.modality(gateway)
        outcome = modality.create(uid)
        self.assertEqual((outcome.status, outcome.comment), (0x0110, "not here"))
        self.assertEqual(a.of(uid), ["IN PROGRESS"])
        self.assertEqual(self.entries(gateway), [])

    def test_one_that_has_no_room_does_not_hold_up_the_other(self):
        room = threading.Event()
        a, b = self.steps(), self.steps(lambda call: None if room.is_set() else 0x0213)
        gateway = self.start(node("a", a), node("b", b), to("a", "b"))
        uid, modality = new_uid(), self.modality(gateway)
        self.assert_success(modality.create(uid), uid, N_CREATE_RQ)
        self.assertEqual(a.of(uid), ["IN PROGRESS"])
        self.assertEqual([e["node"] for e in self.entries(gateway)], ["b"])
        self.assert_success(modality.set(uid, DONE))
        self.assertEqual(a.of(uid), ["IN PROGRESS", DONE])
        room.set()
        self.arrived(b, [uid], ("IN PROGRESS", DONE))

    def test_what_failed_for_good_holds_up_what_follows_until_somebody_decides(self):
        refuses = threading.Event()
        refuses.set()
        a = self.steps(lambda call: (0x0110, "no such patient") if refuses.is_set() else None)
        gateway = self.start(node("a", a), copies("a"))
        uids, modality = [new_uid(), new_uid()], self.modality(gateway)
        for uid in uids:
            self.assert_success(modality.create(uid))
        self.assert_success(modality.set(uids[0], "STEP 2"))
        self.assert_success(modality.set(uids[0], DONE))
        wait_until(lambda: len(self.entries(gateway, "--state", "failed")) == 2, "both have failed")
        self.assertEqual({m.command[0x0100] for m in a.messages}, {N_CREATE_RQ})
        failed = {e["sop_instance"]: e["id"] for e in self.entries(gateway, "--state", "failed")}
        queued = self.entries(gateway, "--state", "queued")
        self.assertEqual([(e["sop_instance"], e["command"]) for e in queued], [(uids[0], "N-SET-RQ")] * 2)
        shown = self.order(gateway, "show", queued[1]["id"])
        self.assertRegex(shown, rf"waits behind +{failed[uids[0]]}")
        self.assertRegex(shown, "command +N-SET-RQ")
        refuses.clear()
        self.order(gateway, "retry", failed[uids[0]])
        self.arrived(a, [uids[0]])
        self.order(gateway, "drop", "--yes", failed[uids[1]])
        self.assertEqual(self.modality(gateway).set(uids[1], DONE).status, 0)  # a copy: the queue has it
        wait_until(lambda: [e["status"] for e in self.entries(gateway, "--state", "failed")] == ["0112"],
                   "the node does not know it")


class Pools(Mpps):
    def test_a_step_stays_with_the_member_where_it_began(self):
        members = {name: self.steps() for name in "abc"}
        gateway = self.start(*(node(name, steps) for name, steps in members.items()), pool("ris", members), to("ris"))
        modality, uids = self.modality(gateway), [new_uid() for _ in range(12)]
        self.whole(modality, uids, ("STEP 2",))
        where = {uid: name for uid in uids for name, steps in members.items() if steps.of(uid)}
        self.assertGreater(len(set(where.values())), 1)
        lost = where[uids[0]]
        port, had = members[lost].port, list(members[lost].taken)
        members[lost].stop()
        for uid in uids:
            self.assert_success(modality.set(uid, DONE))  # the queue's, where the member is away
        for uid in uids:
            if where[uid] != lost:
                self.assertEqual(members[where[uid]].of(uid), ["IN PROGRESS", "STEP 2", DONE])
        again = self.steps(port=port)
        again.taken = had
        wait_until(lambda: all(DONE in again.of(uid) for uid in uids if where[uid] == lost), "what waited", 20)
        statuses = {fields[0x0900] for steps in (*members.values(), again) for call in steps.calls for fields, _ in call.answers}
        self.assertEqual(statuses, {0})


    def test_a_step_that_a_crash_has_made_forgotten_waits_for_its_member(self):
        a, b = self.steps(), self.steps()
        gateway = self.start(node("a", a), node("b", b), pool("ris", ["a", "b"], health=0), to("ris"))
        modality, uids = self.modality(gateway), [new_uid() for _ in range(20)]
        for uid in uids:
            self.assert_success(modality.create(uid))
        gateway.kill()
        a.close_listener()
        gateway.start()
        modality = self.modality(gateway)
        for uid in uids:
            self.assert_success(modality.set(uid, DONE))  # b would not know those of a: 0112
        again = self.steps(port=a.port)
        again.taken.extend(a.taken)
        wait_until(lambda: all(DONE in again.of(uid) + b.of(uid) for uid in uids), "all of them are there", 20)
        self.assertTrue(a.taken)
        wait_until(lambda: self.entries(gateway) == [], "the queue is empty")


class SentAgain(Mpps):
    def test_an_n_create_whose_answer_was_lost_is_success(self):
        lost = {"close": 1}

        def before(call):
            if lost["close"] and len(a.taken) >= lost.get("after", 0):
                lost["close"] -= 1
                return "close"
            return None

        a = self.steps(before)
        gateway = self.start(node("a", a), to("a"))
        uids, modality = [new_uid() for _ in range(3)], self.modality(gateway)
        self.whole(modality, uids[:1])  # the first N-CREATE goes by the queue then
        self.arrived(a, uids[:1])
        lost["close"] = 1
        self.assert_success(modality.create(uids[1]))  # and this one by a second association at once
        self.assert_success(modality.set(uids[1], "STEP 2"))
        self.assert_success(modality.set(uids[1], DONE))
        self.arrived(a, uids[:2])
        statuses = [call.answers[0][0][0x0900] for call in a.calls if call.answers]
        self.assertEqual(statuses.count(0x0111), 2)
        wait_until(lambda: self.entries(gateway) == [], "the queue is empty")

    def test_an_n_create_that_is_there_already_is_the_senders_failure(self):
        a = self.steps()
        gateway = self.start(node("a", a), to("a"))
        uid, modality = new_uid(), self.modality(gateway)
        self.assert_success(modality.create(uid))
        self.assertEqual(modality.create(uid).status, 0x0111)
        self.assertEqual(modality.set(new_uid(), DONE).status, 0x0112)
        self.assertEqual(self.entries(gateway), [])


class Requests(Mpps):
    def test_what_names_no_instance_is_refused(self):
        a = self.steps()
        gateway = self.start(node("a", a), to("a"))
        outcome = self.modality(gateway).call(N_CREATE_RQ, MPPS, data_of(EXPLICIT, **{STATUS: "IN PROGRESS"}))
        self.assertEqual(outcome.status, 0x0117)
        self.assertEqual(a.messages, [])

    def test_a_morph_changes_what_is_queued(self):
        port = free_port()
        morph = Lua('function (ds) ds.PatientID = "SITE-" .. (ds.PatientID or "none") end')
        gateway = self.start(node("a", port), copies("a", morph=morph))
        uid, modality = new_uid(), self.modality(gateway)
        self.assert_success(modality.create(uid), uid, N_CREATE_RQ)
        self.assert_success(modality.set(uid, DONE), uid, N_SET_RQ)
        a = self.steps(port=port)
        self.arrived(a, [uid], ("IN PROGRESS", DONE))
        self.assertEqual([m["PatientID"] for m in (call.values for call in a.calls)], ["SITE-1", "SITE-none"])

    def test_what_is_queued_can_be_exported(self):
        gateway = self.start(node("a", free_port()), copies("a"))
        uid, modality = new_uid(), self.modality(gateway)
        self.assert_success(modality.create(uid))
        self.assert_success(modality.set(uid, DONE))
        wait_until(lambda: len(self.entries(gateway)) == 2, "both are listed")
        out = self.temporary_folder() + "/out"
        ids = [e["id"] for e in self.entries(gateway)]
        self.order(gateway, "export", "--out", out, *ids)
        for one, data in zip(ids, modality.sent):
            file = dicom.read_file(f"{out}/{one}.dcm")
            self.assertEqual((file.sop_class, file.uid, file.data), (MPPS, uid, data))
