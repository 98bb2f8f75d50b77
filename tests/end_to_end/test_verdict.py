"""One verdict a message: what the sender is told follows from what the destinations said, and never says more."""

import itertools

from dicom import CT, EXPLICIT, GE_PRIVATE, MR, make_instance
from harness import Case, files_under, folder, node, route, wait_until

# Worst first: statuses, and what the sender is to see.
STATUSES = [
    (0xC001, "cannot understand"), (0xA900, "does not match the SOP class"), (0x0122, "SOP class not supported"),
    (0xA700, "out of resources"), (0xB000, "coercion"), (0xB007, "does not match, stored"), (0x0000, None),
]


def severity(status):
    if status in (0x0000, 0x0111):
        return 0
    if status >> 12 == 0xB:
        return 1
    return 2 if status >> 8 == 0xA7 else 3


class Statuses(Case):
    def test_the_status_and_comment_of_one_destination_are_passed_on(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway)
        for status, comment in STATUSES:
            with self.subTest(f"{status:04X}"):
                sink.answer = (status, comment)
                answer = sender.store(make_instance())
                self.assertEqual(answer.status, status)
                if status and comment:
                    self.assertIn(comment, answer.comment)

    def test_0111_a_duplicate_is_success(self):
        gateway, sink = self.simple(answer=0x0111)
        self.assert_stored(self.sender(gateway).store(make_instance()), 0x0000)

    def test_the_worst_of_two_destinations_is_passed_on_with_its_comment(self):
        a, b = self.sink(), self.sink()
        gateway = self.gateway(node("a", a), node("b", b), route("both", to=["a", "b"]))
        sender = self.sender(gateway)
        for first, second in itertools.permutations(STATUSES, 2):
            if severity(first[0]) == severity(second[0]):
                continue
            with self.subTest(f"{first[0]:04X} and {second[0]:04X}"):
                a.answer, b.answer = first, second
                worst = max(first, second, key=lambda one: severity(one[0]))
                answer = sender.store(make_instance())
                self.assertEqual(answer.status, worst[0])
                self.assertIn(worst[1], answer.comment)

    def test_the_response_echoes_class_and_instance(self):
        gateway, sink = self.simple()
        one = make_instance()
        answer = self.sender(gateway).store(one)
        self.assertEqual(answer.fields[0x0002].rstrip(b"\0").decode(), CT)
        self.assertEqual(answer.fields[0x1000].rstrip(b"\0").decode(), one.uid)
        self.assertEqual(answer.fields[0x0800], 0x0101)


class Failures(Case):
    """A destination that refuses, aborts, resets or times out: A700, and the comment names it."""

    settings = {"timeouts": {"connect": "1s", "response": "700ms", "association": "1s", "progress": "2s"}}
    pairs = [(CT, [EXPLICIT])]

    def assert_fails(self, sink, size=1000, status=0xA700):
        """The instance fails at node "broken" beside a good one, and later ones are served again by the good."""
        good = self.sink()
        gateway = self.gateway(node("good", good), node("broken", sink), route("good", to="good"),
                               route("broken", to="broken", when={"SOPInstanceUID": {"no": "1.*"}}), **self.settings)
        sender = self.sender(gateway, self.pairs)
        answer = sender.store(make_instance(size, uid="2.25.77"))
        self.assertEqual(answer.status, status, str(answer))
        self.assertIn("broken", answer.comment)
        wait_until(lambda: "2.25.77" in good.uids, "the other destination gets it all the same")
        self.assert_stored(sender.store(make_instance(uid="1.2.3")))
        return gateway

    def test_a_refused_connection(self):
        sink = self.sink()
        sink.close_listener()
        self.assert_fails(sink)

    def test_a_permanent_rejection(self):
        self.assert_fails(self.sink(reject=(1, 1, 7)))

    def test_a_transient_rejection_that_stays(self):
        self.assert_fails(self.sink(reject=(2, 3, 1)))

    def test_an_association_that_is_never_answered(self):
        sink = self.sink()
        sink.pause()
        sink.accept_delay = 60
        self.assert_fails(sink)

    def test_an_abort_instead_of_an_answer(self):
        self.assert_fails(self.sink(at_answer="abort"))

    def test_a_reset_instead_of_an_answer(self):
        self.assert_fails(self.sink(at_answer="reset"))

    def test_a_closed_connection_instead_of_an_answer(self):
        self.assert_fails(self.sink(at_answer="close"))

    def test_an_abort_in_mid_instance(self):
        self.assert_fails(self.sink(at_bytes=(300_000, "abort")), 4_000_000)

    def test_a_reset_in_mid_instance(self):
        self.assert_fails(self.sink(at_bytes=(300_000, "reset")), 4_000_000)

    def test_a_closed_connection_in_mid_instance(self):
        self.assert_fails(self.sink(at_bytes=(300_000, "close")), 4_000_000)

    def test_an_answer_that_does_not_come_in_time_and_the_association_is_aborted(self):
        sink = self.sink(at_answer="never")
        self.assert_fails(sink)
        wait_until(lambda: sink.used()[0].ended == "abort", "the gateway aborts that association")

    def test_an_answer_for_another_instance_is_no_success(self):
        self.assert_fails(self.sink(override={0x1000: "1.2.3.4.5"}))

    def test_an_answer_for_a_request_that_was_never_made_is_no_success(self):
        self.assert_fails(self.sink(override={0x0120: 4711}))

    def test_a_destination_that_does_not_take_the_class_counts_as_0122(self):
        self.assert_fails(self.sink(classes=[MR]), status=0x0122)

    def test_an_early_failure_response_is_the_verdict(self):
        """PS3.7 9.3.1.3: a failure may be answered before the request is complete."""
        self.assert_fails_early(0xA700)

    def assert_fails_early(self, status):
        gateway, sink = self.simple(at_bytes=(200_000, "early"), early_status=status)
        sender = self.sender(gateway)
        answer = sender.store(make_instance(3_000_000))
        self.assertEqual(answer.status, status)
        self.assertIn("early", answer.comment)
        sink.at_bytes = None
        self.assert_stored(sender.store(make_instance()))


class LostSenders(Case):
    """A sender that is lost before its last fragment leaves nothing anywhere."""

    def assert_nothing_is_left(self, how, size):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), folder("disk", "$FOLDER/out/{SOPInstanceUID}.dcm"),
                               route("all", to=["a", "disk"]))
        sender = self.sender(gateway)
        context = sender.begin(make_instance())
        sender.data(context, bytes(size))
        if size > 65536:
            wait_until(lambda: sink.arrived() > 0, "payload has left")
        getattr(sender, how)()
        if size > 65536:
            wait_until(lambda: sink.associations[-1].ended == "abort", "the sink sees an A-ABORT")
        wait_until(lambda: files_under(gateway.folder + "/out") == [], "no file is left")
        self.assertEqual(sink.messages, [])
        self.assert_still_serves(gateway, sink)

    def test_an_abort_in_mid_instance_aborts_it_downstream(self):
        self.assert_nothing_is_left("abort", 500_000)

    def test_a_reset_in_mid_instance_aborts_it_downstream(self):
        self.assert_nothing_is_left("reset", 500_000)

    def test_a_connection_closed_in_mid_instance_aborts_it_downstream(self):
        self.assert_nothing_is_left("close", 500_000)

    def test_an_abort_before_anything_has_left_leaves_nothing(self):
        self.assert_nothing_is_left("abort", 20_000)

    def test_a_sender_that_goes_silent_in_mid_instance_is_aborted_after_progress(self):
        gateway, sink = self.simple(settings={"timeouts": {"progress": "500ms"}})
        sender = self.sender(gateway)
        sender.data(sender.begin(make_instance()), bytes(300_000))
        self.assertEqual(sender.end(), "abort")
        wait_until(lambda: sink.associations[-1].ended == "abort", "the sink sees an A-ABORT")
        self.assertEqual(sink.messages, [])

    def test_a_sender_lost_after_its_last_fragment_has_its_instance_completed(self):
        gateway, sink = self.simple(delay=0.3)
        sender, one = self.sender(gateway), make_instance(200_000)
        sender.send(sender.context_for(one), sender.store_command(one), one.data)
        wait_until(lambda: sink.uids == [one.uid], "it has arrived")
        sender.close()
        wait_until(lambda: sink.used()[0].answered == 1, "and is answered")
        self.assertNotEqual(sink.used()[0].ended, "abort")

    def test_an_instance_of_an_unknown_class_is_completed_without_its_sender(self):
        """What the sender's association knew of the class is gone with it; the message is not."""
        gateway, sink = self.simple()
        sender, one = self.sender(gateway, [(GE_PRIVATE, [EXPLICIT])]), make_instance(3000, sop_class=GE_PRIVATE)
        for association in sink.open():  # the one that negotiation left behind: another is opened, slowly
            association.reset()
        wait_until(lambda: "association to node ended" in gateway.log(), "the gateway has seen it")
        sink.accept_delay = 0.5
        sender.send(sender.context_for(one), sender.store_command(one), one.data)
        wait_until(lambda: len(sink.associations) == 2, "the node is asked")
        sender.reset()
        wait_until(lambda: gateway.events("message without a sender"), "the message is over")
        self.assertEqual([m.data for m in sink.messages], [one.data])
        self.assertEqual(sink.messages[0].abstract, GE_PRIVATE)


class Lag(Case):
    def test_a_stalled_destination_of_a_fan_out_fails_after_lag_and_the_others_complete(self):
        good, stalled = self.sink(), self.sink(at_bytes=(100_000, "stall"), receive_buffer=65536)
        gateway = self.gateway(node("good", good), node("stalled", stalled), route("both", to=["good", "stalled"]),
                               timeouts={"lag": "500ms"})
        sender, one = self.sender(gateway), make_instance(40 << 20)
        answer = sender.store(one)
        self.assertEqual(answer.status, 0xA700)
        self.assertIn("stalled", answer.comment)
        self.assertEqual(good.messages[0].data, one.data)

    def test_a_node_may_set_its_own_lag(self):
        good, stalled = self.sink(), self.sink(at_bytes=(100_000, "stall"), receive_buffer=65536)
        gateway = self.gateway(node("good", good), node("stalled", stalled, lag="300ms"),
                               route("both", to=["good", "stalled"]), timeouts={"lag": "1h"})
        self.assertEqual(self.sender(gateway).store(make_instance(40 << 20)).status, 0xA700)

    def test_a_stalled_node_does_not_disturb_the_traffic_of_others(self):
        stalled, good = self.sink(receive_buffer=65536, at_bytes=(100_000, "stall")), self.sink()
        gateway = self.gateway(node("stalled", stalled), node("good", good),
                               route("1", to="stalled", when={"calling": "VICTIM"}, final=True), route("2", to="good"),
                               workers=1)
        victims = [self.sender(gateway, calling="VICTIM") for _ in range(8)]
        for victim in victims:
            context = victim.begin(make_instance())
            victim.wire.socket.settimeout(0.2)
            try:
                for _ in range(64):
                    victim.data(context, bytes(1 << 20))
            except TimeoutError:
                pass
        other = self.sender(gateway)
        for _ in range(20):
            one = make_instance(500_000)
            self.assert_stored(other.store(one))
            self.assertEqual(good.messages[-1].data, one.data)
