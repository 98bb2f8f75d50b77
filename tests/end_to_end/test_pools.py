"""Pools: several archives as one destination. Studies stay together, and what is acknowledged is safe, whatever becomes of a member."""

import collections
import json
import random
import signal
import sys
import threading
import time

import dicom
from dicom import CT, EXPLICIT, IMPLICIT, JPEG, MR, VERIFICATION, new_uid
from harness import SLOW, Case, declare, free_port, hilum, node, route, wait_until
from sender import Sender
from test_queue import QUICK, uids
from test_study import of

NAMES = ("pacs1", "pacs2", "pacs3")
PAIRS = [(CT, [EXPLICIT]), (MR, [EXPLICIT])]


def pool(name, *members, **keys):
    return declare("pool", name, {"members": list(members), "health": 0, **keys})


def vanish(sink):
    """As a process that is killed: nobody listens any more, and every connection is reset."""
    sink.close_listener()
    for association in list(sink.associations):
        association.reset()


def interleaved(studies, seed=1):
    """Their instances in an order in which neighbours are rarely of one study."""
    instances = [one for study in studies for one in study]
    random.Random(seed).shuffle(instances)
    return instances


def make_studies(count, instances=3, size=500, root=1):
    """Always of the same UIDs, so that a hash spreads them the same each time; those of another root are others."""
    return [[of(f"1.2.826.0.1.3680043.8.498.{root}.{n}", size=size) for _ in range(instances)] for n in range(count)]


class Pooled(Case):
    seconds = 120

    def archives(self, count=3, **script):
        return [self.sink(**script) for _ in range(count)]

    def start(self, archives, *declarations, settings=None, on_failure="queue", nodes=None, **keys):
        names = NAMES[:len(archives)]
        return self.gateway(*(node(n, a, **(nodes or {})) for n, a in zip(names, archives)),
                            pool("archive", *names, **keys), *declarations or [route("all", "archive", on_failure=on_failure)],
                            **{"retry": QUICK, **(settings or {})})

    def send(self, gateway, instances, associations=8, after=None):
        """Over that many associations at once; {uid: status}. `after`: (count, function), once so many were answered."""
        work, lock, statuses, faults = list(reversed(instances)), threading.Lock(), {}, []

        def run():
            try:
                with Sender(gateway.port, PAIRS, seconds=30 * SLOW) as sender:
                    while True:
                        with lock:
                            if not work:
                                return
                            one = work.pop()
                        status = sender.store(one).status
                        with lock:
                            statuses[one.uid] = status
                            is_time = after and len(statuses) == after[0]
                        if is_time:
                            after[1]()
            except Exception as fault:
                faults.append(f"{type(fault).__name__} {fault}")
        threads = [threading.Thread(target=run) for _ in range(associations)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        return statuses

    def where(self, studies, archives):
        """By study: the archives that have something of it."""
        study_of = {one.uid: n for n, study in enumerate(studies) for one in study}
        found = collections.defaultdict(set)
        for n, archive in enumerate(archives):
            for uid in uids(archive):
                if uid in study_of:
                    found[study_of[uid]].add(n)
        return [found[n] for n in range(len(studies))]

    def tell(self, what, counts):
        print(f"{what}: " + ", ".join(f"{name} {count}" for name, count in zip(NAMES, counts)), file=sys.stderr)

    def counts(self, where, members=3):
        return [sum(n in at for at in where) for n in range(members)]

    def queued(self, gateway, *arguments):
        done = hilum("queue", gateway.config, "list", "--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["entries"]

    def assert_all_stored(self, statuses):
        self.assertEqual({s: list(statuses.values()).count(s) for s in statuses.values() if s != 0}, {})


class ByStudy(Pooled):
    def test_a_thousand_studies_are_spread_and_none_is_split(self):
        archives = self.archives(keep=False)
        gateway = self.start(archives, settings={"log": {"level": "info", "format": "json"}})
        studies = make_studies(1000)
        self.assert_all_stored(self.send(gateway, interleaved(studies)))
        at = self.where(studies, archives)
        self.assertEqual([n for n, members in enumerate(at) if len(members) != 1], [])
        counts = self.counts(at)
        self.tell("1000 studies", counts)
        for count in counts:
            self.assertLess(abs(count - 1000 / 3), 0.15 * 1000 / 3)
        self.assertEqual(sum(len(a.messages) for a in archives), 3000)

    def test_weights_are_kept(self):
        archives = self.archives(keep=False)
        names = [node(n, a, weight=w) for n, a, w in zip(NAMES, archives, (1, 1, 4))]
        gateway = self.gateway(*names, pool("archive", *NAMES), route("all", "archive"))
        studies = make_studies(600, 1)
        self.assert_all_stored(self.send(gateway, interleaved(studies)))
        counts = self.counts(self.where(studies, archives))
        self.tell("600 studies by 1, 1 and 4", counts)
        self.assertLess(abs(counts[2] - 400), 60)

    def test_every_gateway_comes_to_the_same_and_few_studies_move(self):
        archives = self.archives(keep=False)
        studies = make_studies(300, 1)
        self.assert_all_stored(self.send(self.start(archives), interleaved(studies)))
        before = self.where(studies, archives)

        others = self.archives(keep=False)
        vanish(others[1])
        names = [node(n, a) for n, a in zip(NAMES, others)]
        gateway = self.gateway(*names, pool("archive", "pacs3", "pacs1", "pacs2"), route("all", "archive"),
                               workers=4, spool=False, retry=QUICK)
        self.assert_all_stored(self.send(gateway, interleaved(studies, 2)))
        after = self.where(studies, others)
        moved = [n for n in range(len(studies)) if before[n] != after[n]]
        print(f"{len(moved)} of {len(studies)} studies move when pacs2 goes", file=sys.stderr)
        self.assertTrue(all(before[n] == {1} for n in moved))
        self.assertEqual(len(moved), self.counts(before)[1])
        self.assertLess(len(moved), 1.15 * len(studies) / 3)

        back = self.sink(port=others[1].port, keep=False)
        wait_until(lambda: self.send(gateway, interleaved(make_studies(30, 1, root=2 + len(gateway.events("association accepted"))))) and back.messages, "pacs2 is used again")
        more = [[of_study(one[0])] for one in studies]
        self.assert_all_stored(self.send(gateway, interleaved(more)))
        again = self.where(more, [others[0], back, others[2]])
        self.assertEqual(again, after, "studies stay where they are")
        fresh = make_studies(300, 1, root=1000000)
        self.assert_all_stored(self.send(gateway, interleaved(fresh)))
        counts = self.counts(self.where(fresh, [others[0], back, others[2]]))
        self.tell("300 studies after its return", counts)
        self.assertGreater(counts[1], 70)

    def test_one_killed_at_full_load(self):
        self.kill_one()

    def test_one_killed_at_full_load_and_nothing_kept_for_a_second_try(self):
        self.kill_one(replay_max="0")

    def kill_one(self, **settings):
        archives = self.archives(keep=False, delay=0.01)
        gateway = self.start(archives, settings={"log": {"level": "info", "format": "json"}, **settings})
        studies = make_studies(300, 6, 20000)
        instances = interleaved(studies)
        statuses = self.send(gateway, instances, 12, (700, lambda: vanish(archives[1])))
        self.assert_all_stored(statuses)
        self.assertEqual(len(statuses), len(instances))
        first = self.where(studies, archives)
        queued = len(gateway.events("destination failed, to be queued"))
        back = self.sink(port=archives[1].port, keep=False)
        have = lambda: set(uids(archives[0]) + uids(archives[1]) + uids(archives[2]) + uids(back))
        wait_until(lambda: have() >= set(statuses), "every acknowledged instance is at a member", 30)
        everywhere = [archives[0], archives[1], archives[2], back]
        at = self.where(studies, everywhere)
        moved = [members for members in at if len(members) > 1]
        self.tell("1800 instances, pacs2 killed after 700", [len(a.messages) for a in archives])
        print(f"{len(moved)} studies went on elsewhere, {queued} instances by the queue", file=sys.stderr)
        self.assertEqual(queued > 0, bool(settings), "what is kept is sent again, the rest is queued")
        self.assertTrue(moved)
        for n, members in enumerate(at):
            self.assertLessEqual(len(members - {1, 3}), 1, "a study is at one of the others at most")
            if first[n] <= {0, 2}:
                self.assertLessEqual(len(first[n]), 1)

        more = [[of_study(study[0])] for study in studies]  # and it stays where it went on
        self.assert_all_stored(self.send(gateway, interleaved(more)))
        later = self.where(more, everywhere)
        for n, members in enumerate(at):
            self.assertEqual(later[n], (members - {1, 3}) or {3})

    def test_a_message_under_way_goes_to_the_next(self):
        archives = self.archives()
        for archive in archives:
            archive.at_answer = "reset"
        gateway = self.start(archives, on_failure="fail")
        studies = make_studies(40, 1, 100000)
        broken, rest = archives[0], archives[1:]
        for archive in rest:
            archive.at_answer = None
        self.assert_all_stored(self.send(gateway, interleaved(studies), 4))
        at = self.where(studies, archives)
        self.assertTrue(broken.messages, "some were sent there first")
        for n, members in enumerate(at):
            self.assertEqual(len(members & {1, 2}), 1)
        self.assertTrue(gateway.events("sent to another member of its pool"))

    def test_what_cannot_be_sent_again_is_queued_where_its_study_goes(self):
        archives = self.archives(2)
        archives[0].at_bytes = archives[1].at_bytes = (3 << 20, "reset")
        gateway = self.start(archives)
        big = of(new_uid(), size=6 << 20)
        self.assert_all_stored(self.send(gateway, [big], 1))
        failed = gateway.events("destination failed, to be queued")[0]
        first, second = failed["comment"].split(":")[0], failed["node"]
        self.assertEqual({first, second}, set(NAMES[:2]))
        archives[0].at_bytes = archives[1].at_bytes = None
        wait_until(lambda: uids(archives[0]) + uids(archives[1]) == [big.uid], "it is delivered, once", 20)
        self.assertTrue(archives[NAMES.index(second)].messages, "at the member that its study has moved to")

    def test_an_instance_that_breaks_its_members_is_not_taken_round_all_of_them(self):
        archives = self.archives()
        study = make_studies(1, 6)[0]
        for archive in archives:
            archive.at_answer = lambda message: "reset" if message.uid == study[3].uid else None
        gateway = self.start(archives, nodes={"retry": {"first": "10m", "most": "10m"}})
        self.assert_all_stored(self.send(gateway, study, 1))
        self.assertEqual(len(gateway.events("sent to another member of its pool")), 1)
        self.assertEqual(sum(bool(a.messages) for a in archives), 2, "the third one has not seen it, nor its study")
        self.assertEqual([e["sop_instance"] for e in self.queued(gateway)], [study[3].uid])

    def test_a_restart_keeps_studies_together(self):
        archives = self.archives(keep=False)
        gateway = self.start(archives)
        vanish(archives[1])
        studies = make_studies(90, 1)
        self.assert_all_stored(self.send(gateway, interleaved(studies)))
        before = self.where(studies, archives)
        gateway.kill()
        back = self.sink(port=archives[1].port, keep=False)
        gateway.start()
        more = [[of_study(study[0])] for study in studies]
        self.assert_all_stored(self.send(gateway, interleaved(more)))
        everywhere = [archives[0], back, archives[2]]
        self.assertEqual(self.where(more, everywhere), before, "also those whose hash says pacs2")
        self.assertEqual(back.messages, [])
        fresh = make_studies(60, 1, root=2)
        self.assert_all_stored(self.send(gateway, interleaved(fresh)))
        self.assertTrue(back.messages, "new ones go there again")

    def test_a_drained_member_keeps_its_studies_and_gets_no_new_one(self):
        archives = self.archives(keep=False)
        gateway = self.start(archives)

        def say(word):
            done = hilum("node", gateway.config, word, "pacs2", cwd=gateway.folder)
            self.assertEqual(done.returncode, 0, done.stderr)
        studies = make_studies(60, 1)
        self.assert_all_stored(self.send(gateway, interleaved(studies)))
        before = self.where(studies, archives)
        say("drain")
        more, fresh = [[of_study(study[0])] for study in studies], make_studies(60, 1, root=2)
        self.assert_all_stored(self.send(gateway, interleaved(more + fresh)))
        self.assertEqual(self.where(more, archives), before)
        self.assertEqual(self.counts(self.where(fresh, archives))[1], 0)
        say("resume")
        fresh = make_studies(60, 1, root=3)
        self.assert_all_stored(self.send(gateway, interleaved(fresh)))
        self.assertGreater(self.counts(self.where(fresh, archives))[1], 5)

    def test_wait_queues_for_its_own_member(self):
        archives = self.archives(keep=False)
        # Probes try who is away: a message that did would be queued there, whatever its study.
        gateway = self.start(archives, failover="wait", nodes={"health": "500ms"})
        studies = make_studies(60, 1)
        self.assert_all_stored(self.send(gateway, interleaved(studies)))
        before = self.where(studies, archives)
        vanish(archives[0])
        more = [[of_study(study[0])] for study in studies]
        self.assert_all_stored(self.send(gateway, interleaved(more)))
        fresh = make_studies(30, 1, root=2)
        wait_until(lambda: gateway.events("node is away"), "it is known")
        self.assert_all_stored(self.send(gateway, interleaved(fresh)))
        self.assertEqual({e["node"] for e in self.queued(gateway)}, {"pacs1"})
        self.assertTrue(all(self.where(fresh, archives)), "new studies go elsewhere")
        back = self.sink(port=archives[0].port, keep=False)
        wait_until(lambda: len(back.messages) >= self.counts(before)[0], "its own are delivered", 20)
        self.assertEqual(self.where(more, [back, archives[1], archives[2]]), before)

    def test_an_instance_without_a_study_goes_by_its_own_uid(self):
        archives = self.archives()
        gateway = self.start(archives)
        sent = [dicom.make_instance(500) for _ in range(60)]
        self.assert_all_stored(self.send(gateway, sent))
        self.assertEqual(sum(len(a.messages) for a in archives), 60)
        self.assertTrue(all(a.messages for a in archives))

    def test_the_study_is_what_a_morph_has_made_of_it(self):
        from harness import Lua
        archives = self.archives()
        one = Lua('function (ds) ds.StudyInstanceUID = "1.2.3.4" end')
        gateway = self.start(archives, route("all", "archive", morph=one))
        self.assert_all_stored(self.send(gateway, interleaved(make_studies(20, 1))))
        self.assertEqual(sorted(len(a.messages) for a in archives), [0, 0, 20])

    def test_a_transient_rejection_is_not_down(self):
        archives = self.archives(max_associations=1)
        gateway = self.start(archives, on_failure="fail", settings={"workers": 1})
        studies = make_studies(60, 2)
        self.assert_all_stored(self.send(gateway, interleaved(studies), 4))
        self.assertTrue(sum(a.rejections for a in archives))
        self.assertEqual([n for n, members in enumerate(self.where(studies, archives)) if len(members) != 1], [])
        self.assertEqual(gateway.events("sent to another member of its pool"), [])


def of_study(instance):
    """Another instance of the same study."""
    study = dicom.text(instance.data.split(b"\x20\x00\x0d\x00UI")[1][2:].split(b"\x20\x00\x0e\x00")[0])
    return of(study, size=500)


class Turmoil(Pooled):
    def test_members_die_return_are_drained_and_exchanged_and_nothing_is_lost(self):
        """Members of two pools that overlap, on nodes that take one association at a time."""
        names, change = ("pacs1", "pacs2", "pacs3", "pacs4"), random.Random(13)
        sinks = {name: [self.sink(keep=False)] for name in names}

        def declared(left, right):
            return [*(node(name, sinks[name][0], max_associations=1) for name in names), pool("left", *left), pool("right", *right),
                    route("left", "left", on_failure="queue"), 'route "right" { copy = { "right" } }']

        gateway = self.gateway(*declared(names[:3], names[1:]), retry=QUICK, window="256KiB", replay_max="256KiB")
        instances = interleaved(make_studies(60, 6, 3000) + [[of(new_uid(), size=1500000)] for _ in range(20)])
        statuses, done = {}, threading.Event()

        def send():
            statuses.update(self.send(gateway, instances, 8))
            done.set()
        thread = threading.Thread(target=send)
        thread.start()
        while not done.wait(0.01 * SLOW) and thread.is_alive():
            what, name = change.randrange(5), change.choice(names)
            if what == 0:
                vanish(sinks[name][-1])
            elif what == 1:
                self.bring_back(sinks[name])
            elif what == 2:
                gateway.write(*declared(*(change.sample(names, change.randrange(1, 5)) for _ in range(2))))
                gateway.signal(signal.SIGHUP)
            elif what == 3:
                hilum("node", gateway.config, change.choice(["drain", "resume"]), name)
            else:
                sinks[name][-1].answer = change.choice([0, 0, 0xA700])
        thread.join()
        for name in names:
            self.bring_back(sinks[name])
            sinks[name][-1].answer = 0
        self.assert_all_stored(statuses)
        wait_until(lambda: not self.queued(gateway), "the queue is empty", 30)
        held = {uid for every in sinks.values() for one in every for uid in uids(one)}
        self.assertEqual(set(statuses) - held, set())
        self.assertEqual(len(statuses), len(instances))

    def bring_back(self, every):
        if every[-1].listener.fileno() < 0:
            every.append(self.sink(port=every[0].port, keep=False))


class OtherBalances(Pooled):
    def test_round_robin_goes_round(self):
        archives = self.archives()
        gateway = self.start(archives, balance="round-robin")
        with Sender(gateway.port, PAIRS, seconds=20 * SLOW) as sender:
            sent = [of(new_uid()) for _ in range(9)]
            for one in sent:
                self.assert_stored(sender.store(one))
        for n, archive in enumerate(archives):
            self.assertEqual(uids(archive), [one.uid for one in sent[n::3]])

    def test_round_robin_passes_over_who_is_away(self):
        archives = self.archives()
        gateway = self.start(archives, balance="round-robin", on_failure="fail")
        vanish(archives[0])
        sent = [of(new_uid()) for _ in range(30)]
        self.assert_all_stored(self.send(gateway, sent, 2))
        self.assertEqual(len(archives[1].messages) + len(archives[2].messages), 30)

    def test_least_goes_where_least_is_on_its_way(self):
        archives = self.archives()
        gateway = self.start(archives, balance="least", settings={"workers": 1})
        archives[0].delay = 0.3 * SLOW
        self.assert_all_stored(self.send(gateway, [of(new_uid(), size=20000) for _ in range(90)], 6))
        counts = [len(a.messages) for a in archives]
        self.tell("least, with pacs1 slow", counts)
        self.assertLess(counts[0], 15)
        self.assertGreater(min(counts[1:]), 20)

    def test_failover_goes_to_the_first_that_is_there(self):
        archives = self.archives()
        gateway = self.start(archives, balance="failover", on_failure="fail")
        sent = [of(new_uid()) for _ in range(30)]
        self.assert_all_stored(self.send(gateway, sent[:10], 3))
        vanish(archives[0])
        self.assert_all_stored(self.send(gateway, sent[10:20], 3))
        vanish(archives[1])
        self.assert_all_stored(self.send(gateway, sent[20:], 3))
        self.assertEqual([len(a.messages) for a in archives], [10, 10, 10])

    def test_a_trial_of_which_nothing_comes_is_given_back(self):
        """The member that may be back is given a message of a class that it is known not to take: the next message tries."""
        archives = [self.sink(classes=[CT]), self.sink(classes=[CT, MR])]
        gateway = self.start(archives, balance="failover")
        with Sender(gateway.port, PAIRS, seconds=20 * SLOW) as sender:
            vanish(archives[0])
            self.assertEqual(sender.store(of(new_uid())).status, 0)
            wait_until(lambda: gateway.events("node is away"), "it is known to be away")
            again = self.sink(port=archives[0].port, classes=[CT])
            time.sleep(0.3)  # its pause
            self.assertEqual(sender.store(of(new_uid(), sop_class=MR)).status, 0)
            self.assertEqual(sender.store(of(new_uid())).status, 0)
            self.assertEqual(len(again.messages), 1, "the trial")

    def test_nobody_is_there(self):
        archives = self.archives()
        for archive in archives:
            vanish(archive)
        for balance in ("study", "least", "round-robin", "failover"):
            with self.subTest(balance):
                gateway = self.start(archives, balance=balance)
                sent = [of(new_uid()) for _ in range(12)]
                self.assert_all_stored(self.send(gateway, sent, 3))
                entries = self.queued(gateway)
                self.assertEqual(len(entries), 12)
                self.assertTrue({e["node"] for e in entries} <= set(NAMES))
        gateway = self.start(archives, on_failure="fail")
        self.assertEqual(set(self.send(gateway, sent[:3], 1).values()), {0xA700})


class Sharing(Pooled):
    def test_a_pool_and_one_of_its_members_get_it_once(self):
        archives = self.archives()
        gateway = self.start(archives, route("one", "pacs2"), route("all", "archive", on_failure="queue"))
        studies = make_studies(30, 1)
        self.assert_all_stored(self.send(gateway, interleaved(studies), 2))
        self.assertEqual(len(archives[1].messages), 30)
        at = self.where(studies, archives)
        self.assertTrue(any(members == {1} for members in at))
        self.assertTrue(all(len(members) <= 2 for members in at))

    def test_a_message_that_moves_to_a_member_that_has_it_is_not_doubled(self):
        archives = self.archives(2)
        archives[0].at_answer = "reset"
        gateway = self.start(archives, route("one", "pacs2"), route("all", "archive", on_failure="fail"))
        studies = make_studies(20, 1)
        self.assert_all_stored(self.send(gateway, interleaved(studies), 2))
        self.assertTrue(archives[0].messages)
        self.assertEqual(sorted(uids(archives[1])), sorted(one.uid for study in studies for one in study))

    def overlapping(self, archives):
        """Two pools that share pacs2: an instance is safe when each of them has it."""
        return self.gateway(*(node(n, a) for n, a in zip(NAMES, archives)),
                            pool("left", "pacs1", "pacs2"), pool("right", "pacs2", "pacs3"),
                            route("to left", "left", on_failure="fail"), route("to right", "right", on_failure="fail"), retry=QUICK)

    def assert_each_pool_has(self, archives, statuses):
        held = [set(() if a.at_answer else uids(a)) for a in archives]
        left, right = held[0] | held[1], held[1] | held[2]
        stored = {uid for uid, status in statuses.items() if status == 0}
        self.assertEqual((stored - left, stored - right), (set(), set()))

    def test_a_member_of_two_pools_that_fails_is_made_good_in_both(self):
        archives = self.archives()
        archives[1].at_answer = "reset"
        gateway = self.overlapping(archives)
        self.assert_each_pool_has(archives, self.send(gateway, interleaved(make_studies(40, 1)), 1))

    def test_a_member_of_two_pools_that_fails_after_one_has_moved_to_it(self):
        archives = self.archives()
        gateway = self.overlapping(archives)
        studies = make_studies(40, 2)
        self.assert_all_stored(self.send(gateway, [study[0] for study in studies], 1))
        at = self.where(studies, archives)
        later = next(study[1] for study, members in zip(studies, at) if members == {0, 1})
        archives[0].at_answer = "reset"
        archives[1].at_answer = lambda _: time.sleep(0.3) or "reset"
        archives[1].messages.clear()
        self.assert_each_pool_has(archives, self.send(gateway, [later], 1))
        self.assertTrue(archives[1].messages, "it was sent there")

    def test_a_member_of_two_pools_gets_it_once(self):
        archives = self.archives()
        gateway = self.overlapping(archives)
        studies = make_studies(40, 1)
        self.assert_all_stored(self.send(gateway, interleaved(studies), 2))
        self.assertEqual(len(uids(archives[1])), len(set(uids(archives[1]))))
        self.assertTrue(any(at == {1} for at in self.where(studies, archives)), "that both pools share")

    def test_limits_of_members_and_nodes_do_not_lock(self):
        archives = self.archives()
        gateway = self.start(archives, route("third", "pacs3"), route("first", "pacs1"),
                             route("all", "archive", on_failure="queue"), nodes={"max_associations": 1})
        studies = make_studies(60, 3, 30000)
        start = time.monotonic()
        statuses = self.send(gateway, interleaved(studies), 6, (60, lambda: vanish(archives[1])))
        self.assert_all_stored(statuses)
        self.assertLess(time.monotonic() - start, 30 * SLOW)
        for archive in (archives[0], archives[2]):
            self.assertEqual(sorted(uids(archive)), sorted(statuses))

    def test_what_a_pool_brought_to_a_member_is_not_copied_there(self):
        archives = self.archives()
        gateway = self.start(archives, route("all", "archive", on_failure="queue"), 'route "two" { copy = { "pacs2" } }')
        studies = make_studies(30, 1)
        self.assert_all_stored(self.send(gateway, interleaved(studies[:15]), 2))
        vanish(archives[2])  # and when its studies go on at pacs2 they are not copied there as well
        self.assert_all_stored(self.send(gateway, interleaved(studies[15:]), 2))
        wait_until(lambda: len(archives[1].messages) >= 30, "all are at pacs2")
        wait_until(lambda: not self.queued(gateway), "nothing is left")
        self.assertEqual(len(archives[1].messages), 30)
        self.assertTrue(all(len(at) <= 2 for at in self.where(studies, archives)))

    def test_copies_are_spread_and_no_study_is_split(self):
        archives = self.archives()
        gateway = self.start(archives, 'route "all" { copy = { "archive" } }')
        studies = make_studies(60, 3)
        self.assert_all_stored(self.send(gateway, interleaved(studies), 4))
        wait_until(lambda: sum(len(a.messages) for a in archives) == 180, "all are delivered", 20)
        self.assertEqual([n for n, at in enumerate(self.where(studies, archives)) if len(at) != 1], [])
        self.assertTrue(all(a.messages for a in archives))

    def test_copies_wait_for_members(self):
        ports = [free_port() for _ in NAMES]
        gateway = self.start(ports, 'route "all" { copy = { "archive" } }')
        studies = make_studies(30, 2)
        self.assert_all_stored(self.send(gateway, interleaved(studies), 4))
        self.assertEqual(len(self.queued(gateway)), 60)
        self.assertTrue({e["node"] for e in self.queued(gateway)} <= set(NAMES))
        sinks = [self.sink(port=port) for port in ports]
        wait_until(lambda: len({uid for s in sinks for uid in uids(s)}) == 60, "all are delivered", 20)

    def test_what_comes_from_a_member_does_not_go_back(self):
        archives = self.archives()
        gateway = self.start(archives)
        with Sender(gateway.port, PAIRS, seconds=20 * SLOW, calling="PACS2") as sender:
            self.assertEqual(sender.store(of(new_uid())).status, 0x0124)
        self.assertEqual([len(a.messages) for a in archives], [0, 0, 0])


class Negotiated(Pooled):
    def test_a_context_is_accepted_if_a_member_takes_it(self):
        archives = [self.sink(classes=[CT]), self.sink(classes=[CT, MR])]
        gateway = self.start(archives, on_failure="fail")
        studies = [[of(new_uid(), sop_class=MR)] for _ in range(20)]
        statuses = self.send(gateway, interleaved(studies), 2)
        self.assert_all_stored(statuses)
        self.assertEqual(len(archives[1].messages), 20, "a new study goes where it is taken")
        old = [[of(new_uid())] for _ in range(20)]
        self.assert_all_stored(self.send(gateway, interleaved(old), 2))
        at = self.where(old, archives)
        for study, members in zip(old, at):
            uid = dicom.text(study[0].data.split(b"\x20\x00\x0d\x00UI")[1][2:].split(b"\x20\x00\x0e\x00")[0])
            status = self.send(gateway, [of(uid, sop_class=MR)], 1)
            self.assertEqual(set(status.values()), {0x0122 if members == {0} else 0}, "a study in progress is not split")

    def test_what_all_members_take_is_preferred(self):
        archives = [self.sink(transfers=[IMPLICIT]), self.sink(), self.sink()]
        gateway = self.start(archives)
        with Sender(gateway.port, [(CT, [JPEG, IMPLICIT])], seconds=20 * SLOW) as sender:
            self.assertEqual(sender.accepted[1][1], IMPLICIT)

    def test_a_member_that_is_away_has_no_say_and_is_not_waited_for(self):
        archives = self.archives()
        vanish(archives[0])
        gateway = self.start(archives)
        self.assert_all_stored(self.send(gateway, [of(new_uid()) for _ in range(20)], 1))
        silent = self.sink(port=archives[0].port, accept_delay=10)
        with Sender(gateway.port, [(CT, [JPEG, IMPLICIT])], seconds=5 * SLOW) as sender:
            self.assertEqual(sender.accepted[1][1], JPEG)
        del silent

    def test_an_echo_is_answered_by_a_member(self):
        archives = self.archives()
        gateway = self.start(archives, 'route "e" { when = { service = "echo" }, to = { "archive" }, on_failure = "fail" }')
        with self.sender(gateway, [(VERIFICATION, [IMPLICIT])]) as sender:
            self.assertEqual(sender.echo().status, 0)
            vanish(archives[0])
            self.assertEqual(sender.echo().status, 0)
        self.assertEqual([len(a.echoes) for a in archives], [1, 1, 0])
