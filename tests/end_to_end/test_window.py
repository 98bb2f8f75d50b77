"""Several requests outstanding on one association (PS3.7 D.3.3.3), answered in any order."""

from dicom import make_instance
from harness import Case, wait_until


class Window(Case):
    def store_at_once(self, sender, instances):
        """Sends all requests before it reads an answer; returns the answers by message id."""
        for i, instance in enumerate(instances):
            sender.send(sender.context_for(instance), sender.store_command(instance, message_id=100 + i), instance.data)
        answers = [sender.response() for _ in instances]
        return {a.answered_id: a for a in answers}

    def assert_matched(self, instances, answers):
        """Each answer names its own instance, in its fields and in the sink's comment."""
        self.assertEqual(sorted(answers), [100 + i for i in range(len(instances))])
        for i, instance in enumerate(instances):
            answer = answers[100 + i]
            self.assertEqual(answer.status, 0xB000)
            self.assertEqual(answer.comment, instance.uid[:60])
            self.assertEqual(answer.fields[0x1000].rstrip(b"\0"), instance.uid.encode())

    def name_it(self, message):
        return 0xB000, message.uid[:60]

    def test_eight_requests_answered_in_reverse_are_matched_by_message_id(self):
        gateway, sink = self.simple(window=(8, 1), batch=8, answer_order=lambda held: held[::-1], answer=self.name_it)
        sender = self.sender(gateway, window=(8, 1))
        self.assertIsNotNone(sender.answer.window)
        self.assertTrue(1 < sender.answer.window[0] <= 8, sender.answer.window)
        instances = [make_instance(3000 + i) for i in range(8)]
        self.assert_matched(instances, self.store_at_once(sender, instances))
        self.assertEqual({m.uid: m.data for m in sink.messages}, {i.uid: i.data for i in instances})
        self.assertIsNotNone(sink.used()[0].request.window, "the gateway did not ask the node for a window")

    def test_a_window_is_kept_although_the_node_has_none(self):
        gateway, sink = self.simple(window=None, answer=self.name_it)
        sender = self.sender(gateway, window=(4, 1))
        instances = [make_instance(3000 + i) for i in range(12)]
        self.assert_matched(instances, self.store_at_once(sender, instances))

    def test_an_unlimited_window_is_answered_by_one_that_holds(self):
        gateway, sink = self.simple(window=(4, 1), answer=self.name_it)
        sender = self.sender(gateway, window=(0, 0))
        instances = [make_instance(500) for _ in range(4)]
        self.assert_matched(instances, self.store_at_once(sender, instances))

    def test_who_pipelines_without_having_asked_is_served_too(self):
        gateway, sink = self.simple(answer=self.name_it)
        sender = self.sender(gateway)
        self.assertIsNone(sender.answer.window)
        instances = [make_instance(20_000) for _ in range(20)]
        self.assert_matched(instances, self.store_at_once(sender, instances))
        self.assertEqual(sink.uids, [i.uid for i in instances])

    def test_the_same_instance_twice_in_flight_is_delivered_twice(self):
        gateway, sink = self.simple(window=(2, 1), batch=2)
        sender = self.sender(gateway, window=(2, 1))
        one = make_instance(100)
        answers = self.store_at_once(sender, [one, one])
        self.assertEqual([a.status for a in answers.values()], [0, 0])
        self.assertEqual(sink.uids, [one.uid] * 2)

    def test_a_release_with_answers_outstanding_waits_for_them(self):
        """Quirk 17: the release comes while the node has not answered; the instance is stored all the same."""
        gateway, sink = self.simple(delay=0.2)
        sender = self.sender(gateway)
        one = make_instance(100)
        sender.send(sender.context_for(one), sender.store_command(one), one.data)
        sender.wire.send(bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
        self.assert_stored(sender.response())
        sender.wire.expect(6)
        wait_until(lambda: sink.uids == [one.uid], "the instance arrives")
