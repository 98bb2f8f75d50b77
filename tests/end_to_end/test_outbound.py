"""Associations to nodes: opened on demand, reused, kept for a while, limited, replaced when they have died."""

import threading
import time

from dicom import CT, EXPLICIT, MR, make_instance
from harness import Case, node, route, storescp, wait_until


def together(*functions):
    """Runs the functions side by side and returns what they return; what one raises is raised."""
    results, troubles = [None] * len(functions), []

    def run(i, function):
        try:
            results[i] = function()
        except BaseException as e:
            troubles.append(e)
    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(functions)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if troubles:
        raise troubles[0]
    return results


class Reuse(Case):
    def test_messages_of_one_sender_share_one_association(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway)
        for _ in range(10):
            self.assert_stored(sender.store(make_instance()))
        self.assertEqual([len(a.messages) for a in sink.used()], [10])

    def test_a_modality_that_opens_an_association_an_image_does_not_cost_the_node_one_each(self):
        gateway, sink = self.simple(settings={"workers": 1})
        for _ in range(10):
            sender = self.sender(gateway)
            self.assert_stored(sender.store(make_instance()))
            sender.release()
        self.assertEqual(len(sink.associations), 1)

    def test_an_idle_association_is_released_after_linger(self):
        gateway, sink = self.simple(settings={"timeouts": {"linger": "300ms"}})
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance()))
        sender.release()
        released_from = time.monotonic()
        association = sink.used()[0]
        wait_until(lambda: association.ended, "the idle association ends")
        self.assertEqual(association.ended, "release")
        self.assertGreater(association.ended_at - released_from, 0.2)
        self.assert_still_serves(gateway, sink)

    def test_titles_are_our_own_by_default_or_the_senders_or_given(self):
        sinks = [self.sink() for _ in range(3)]
        gateway = self.gateway(node("own", sinks[0]), node("pass", sinks[1], calling="pass"),
                               node("given", sinks[2], calling="GATE7"), route("all", to=["own", "pass", "given"]))
        for calling in ("CT1", "CT2"):
            self.assert_stored(self.sender(gateway, calling=calling).store(make_instance()))
        seen = [{(a.request.calling.strip(), a.request.called.strip()) for a in sink.used()} for sink in sinks]
        self.assertEqual(seen, [{(b"HILUM", b"OWN")}, {(b"CT1", b"PASS"), (b"CT2", b"PASS")}, {(b"GATE7", b"GIVEN")}])

    def test_an_association_serves_one_sender_at_a_time(self):
        gateway, sink = self.simple(delay=0.05, settings={"workers": 2})
        senders = [self.sender(gateway) for _ in range(4)]
        together(*[lambda s=s: [self.assert_stored(s.store(make_instance(80_000))) for _ in range(5)] for s in senders])
        self.assertEqual(len(sink.messages), 20)


class Limits(Case):
    seconds = 90

    def store_from_many(self, gateway, senders=8, each=4, size=100_000):
        def one_sender():
            sender = self.sender(gateway, seconds=40)
            for _ in range(each):
                self.assert_stored(sender.store(make_instance(size)))
            sender.release()
        together(*[one_sender] * senders)

    def test_a_node_limited_to_one_association_serves_eight_senders_on_four_workers(self):
        sink = self.sink(max_associations=1, delay=0.01)
        gateway = self.gateway(node("a", sink, max_associations=1), route("all", to="a"), workers=4,
                               timeouts={"response": "30s"})
        self.store_from_many(gateway)
        self.assertEqual(len(sink.messages), 32)
        self.assertEqual(sink.rejections, 0, "there was more than one association at a time")

    def test_two_routes_over_the_same_limited_nodes_in_either_order_do_not_lock_each_other(self):
        a, b = self.sink(max_associations=1), self.sink(max_associations=1)
        gateway = self.gateway(
            node("a", a, max_associations=1), node("b", b, max_associations=1),
            route("1", to=["a", "b"], when={"called": "ONE"}), route("2", to=["b", "a"], when={"called": "TWO"}),
            workers=4, timeouts={"response": "30s"})

        def one_sender(called):
            sender = self.sender(gateway, seconds=40, called=called)
            for _ in range(4):
                self.assert_stored(sender.store(make_instance(100_000)))
            sender.release()
        together(*[lambda c=c: one_sender(c) for c in ["ONE", "TWO"] * 3])
        self.assertEqual((len(a.messages), len(b.messages)), (24, 24))
        self.assertEqual((a.rejections, b.rejections), (0, 0))

    def test_two_routes_to_one_limited_node_do_not_lock_each_other(self):
        sink = self.sink(max_associations=1)
        gateway = self.gateway(node("a", sink, max_associations=1), route("1", to="a", when={"calling": "S*"}),
                               route("2", to="a"), workers=4, timeouts={"response": "30s"})
        self.store_from_many(gateway, senders=4)
        self.assertEqual(len(sink.messages), 16)

    def test_senders_that_hold_their_associations_share_a_limited_node(self):
        """An outbound association serves the next sender once all answers of the one before are in."""
        sink = self.sink(max_associations=1)
        gateway = self.gateway(node("a", sink, max_associations=1), route("all", to="a"), workers=4,
                               timeouts={"response": "30s"})
        senders = [self.sender(gateway) for _ in range(3)]
        for _ in range(3):
            for sender in senders:
                self.assert_stored(sender.store(make_instance()))
        self.assertEqual(len(sink.messages), 9)

    def test_a_sender_that_has_filled_its_window_while_it_waited_goes_on(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink, max_associations=1), route("all", to="a"), workers=1)
        first, second = self.sender(gateway), self.sender(gateway)
        one, other = make_instance(400_000), make_instance(8 << 20)
        context = first.begin(one)
        first.data(context, one.data[:200_000])
        wait_until(lambda: sink.arrived() > 0, "the first sender holds the association")

        def let_first_finish():
            time.sleep(0.3)  # meanwhile the second fills its window
            first.data(context, one.data[200_000:], last=True)
            return first.response()
        answers = together(lambda: second.store(other), let_first_finish)
        self.assertEqual([a.status for a in answers], [0, 0])
        self.assertEqual({m.uid: m.data for m in sink.messages}, {i.uid: i.data for i in (one, other)})

    def test_waiting_for_a_limited_node_ends_after_response(self):
        sink = self.sink(at_answer="never")
        gateway = self.gateway(node("a", sink, max_associations=1), route("all", to="a"), workers=2,
                               timeouts={"response": "1s"})
        senders = [self.sender(gateway) for _ in range(3)]
        statuses = together(*[lambda s=s: s.store(make_instance()).status for s in senders])
        self.assertEqual(statuses, [0xA700] * 3)


class Dead(Case):
    """An association that died while it was idle is replaced, and the sender notices nothing."""

    def assert_replaced(self, kill):
        gateway, sink = self.simple()
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance()))
        kill(sink)
        for _ in range(3):
            self.assert_stored(sender.store(make_instance(30_000)))
        self.assertEqual(len(sink.messages), 4)

    def test_closed_silently(self):
        self.assert_replaced(lambda sink: sink.used()[0].close())

    def test_reset(self):
        self.assert_replaced(lambda sink: sink.used()[0].reset())

    def test_closed_long_before_it_is_used_again(self):
        def kill(sink):
            sink.used()[0].close()
            time.sleep(0.3)
        self.assert_replaced(kill)

    def test_aborted(self):
        def kill(sink):
            sink.used()[0].wire.send(bytes([7, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
            sink.used()[0].close()
        self.assert_replaced(kill)

    def test_dying_under_the_next_message_before_it_answers(self):
        """The message is sent again on a fresh association while all its bytes are held."""
        gateway, sink = self.simple()
        sink.at_answer = lambda m: "close" if len(m.association.messages) == 2 else None
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance()))
        one = make_instance(30_000)
        self.assert_stored(sender.store(one))
        self.assertEqual(sink.uids[-2:], [one.uid] * 2)

    def test_released_by_the_node(self):
        gateway, sink = self.simple(release_after=1)
        sender = self.sender(gateway)
        for _ in range(3):
            self.assert_stored(sender.store(make_instance()))
        self.assertEqual(len(sink.associations), 3)


class Transient(Case):
    def test_a_transient_rejection_means_waiting_and_not_failure(self):
        """Quirk 14: the node rejects twice, then it takes it."""
        sink = self.sink(reject=lambda number: (2, 3, 2) if number < 2 else None)
        gateway = self.gateway(node("a", sink), route("all", to="a"), timeouts={"response": "20s"})
        self.assert_stored(self.sender(gateway).store(make_instance()))

    def test_a_node_that_serves_one_association_at_a_time_serves_two_senders(self):
        """The gateway does not know of the limit; it lets go of an idle association when the node has no room."""
        sink = self.sink(max_associations=1)
        gateway = self.gateway(node("a", sink), route("all", to="a"),
                               timeouts={"response": "20s", "linger": "1h"})
        senders = [self.sender(gateway), self.sender(gateway)]
        for _ in range(3):
            for sender in senders:
                self.assert_stored(sender.store(make_instance()))
        self.assertEqual(len(sink.messages), 6)

    def test_one_that_says_nothing_while_it_serves_another_serves_two_senders(self):
        """storescp takes the connection, and answers when the association before has gone: ours, which rests."""
        peer = self.peer(storescp)
        gateway = self.gateway(node("a", peer), route("all", to="a", on_failure="fail"),
                               timeouts={"association": "15s", "response": "15s", "linger": "1h"})
        senders = [self.sender(gateway), self.sender(gateway)]
        for _ in range(2):
            for sender in senders:
                self.assert_stored(sender.store(make_instance()))

    def test_a_sender_of_classes_that_the_idle_association_lacks_is_served(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink, max_associations=1), route("all", to="a"))
        self.assert_stored(self.sender(gateway, [(CT, [EXPLICIT])]).store(make_instance()))
        other = self.sender(gateway, [(MR, [EXPLICIT])])
        self.assert_stored(other.store(make_instance(sop_class=MR)))
        self.assertEqual(sink.messages[1].abstract, MR)
