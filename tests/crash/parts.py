"""What `make crash` and `make test` try. Each part raises AssertionError when something is lost, and prints its figures."""

import os
import random
import shutil
import tempfile
import time

from dicom import CT, EXPLICIT, make_instance
from harness import SLOW, files_under, wait_until
from media import Loop, Trace
from sender import Sender
from world import MIB, SIZES, Crashing, Destination, Route, World, say

# ---- kill -9 and faults of the disk


def flow(seed, seconds, kill_every=2.0):
    """The gateway is killed, destinations fail in every way."""
    with World(seed) as world:
        world.start_destinations()
        world.open_gateway()
        world.start_sources()
        await_taken(world)
        world.rage(seconds, kill_every)
        return end(world, "kill -9")


def await_taken(world):
    """However slow the machine is, there is something to lose."""
    wait_until(lambda: world.answers_of(is_taken), "an instance is acknowledged", 60)


def end(world, title):
    await_taken(world)
    world.stop_sources()
    ledger = world.settle()
    ledger.judge(world.gateway)
    assert ledger.acknowledged, "nothing was acknowledged at all: " + str(ledger.figures())
    world.empty()
    left = world.close()
    world.report(title, ledger, **{"MiB left in the spool": left // MIB})
    return ledger


def some_faults(dice):
    """HILUM_IO_FAULTS of one start of the gateway."""
    def number(mean):
        return 1 + int(dice.expovariate(1 / mean))

    kinds = ("fdatasync:{}:EIO", "fdatasync:{}:EIO", "fdatasync:{}+:EIO", "write:{}:ENOSPC", "write:{}+:ENOSPC", "write:{}:EIO",
             "write:{}:short", "write:{}+:short", "write:{}:torn", "write:{}:torn", "write:{}:kill", "fdatasync:{}:kill",
             "write:{}+:EROFS")
    rare = ("truncate:{}:EIO", "truncate:{}+:EIO", "punch:{}:EIO", "fsync:{}:EIO", "open:{}:ENOSPC", "open:{}+:EIO",
            "unlink:{}:EIO", "mkdir:{}:ENOSPC", "truncate:{}:kill", "fsync:{}:kill", "free:{}:EIO")
    chosen = [dice.choice(kinds).format(number(60)) for _ in range(dice.choice((1, 1, 2, 3)))]
    chosen += [dice.choice(rare).format(number(3)) for _ in range(dice.choice((0, 0, 1)))]
    return ",".join(chosen)


def faults(seed, seconds, kill_every=1.5):
    """The same, and in most lives of the gateway some of its calls to the disk fail."""
    with World(seed) as world:
        world.start_destinations()
        world.open_gateway(environment={"HILUM_IO_FAULTS": "fdatasync:4+:EIO"})
        world.start_sources()
        wait_until(lambda: "the disk refused the spool" in world.gateway.log(), "a fault is met", 30)
        world.rage(seconds, kill_every, lambda: some_faults(world.random) if world.random.random() < 0.8 else None)
        return end(world, "faults of the disk")


AWAY = "d"
WITH_ONE_AWAY = (Route("COPIES", copy=("a", "b")), Route("TAKEN", copy=("c",)), Route("WAITS", copy=(AWAY,)))


def holes(seed, seconds, kill_every=3.0):
    """One destination is away all the time, and the spool is small: room comes from inside of segments that have to stay. The gateway is
    killed as it comes, and between two holes; some cannot be made."""
    def punches(dice):
        return dice.choice((None, f"punch:{1 + int(dice.expovariate(1 / 200))}:{dice.choice(('kill', 'kill', 'EIO'))}"))

    with World(seed, sizes=SIZES[1:6], routes=WITH_ONE_AWAY) as world:
        world.settings["spool"]["max_bytes"] = "256MiB"
        there = [name for name in world.destinations if name != AWAY]
        for name in there:
            world.destinations[name].start()
        world.open_gateway()
        world.start_sources()
        world.rage(seconds, kill_every, lambda: punches(world.random), there)
        punched = holes_of(world)
        assert punched > 16 * MIB, f"only {punched} bytes of holes"
        world.start_destinations()
        say(f"one destination away: {punched // MIB} MiB of holes in its segments")
        return end(world, "one destination away")


def holes_of(world):
    """Bytes that its segments do not take of the file system."""
    stats = [os.stat(path) for path in files_under(world.spool_path()) if path.endswith(".log")]
    return sum(max(0, one.st_size - one.st_blocks * 512) for one in stats)


# ---- a disk that fills up


def full(seed, disk, title, reserve="8MiB"):
    """Nobody takes anything until the queue has all the disk that it may have; then it empties, and instances are taken again."""
    with disk, World(seed, sizes=SIZES[2:], spool=os.path.join(disk.path, "spool")) as world:
        world.settings["spool"]["reserve"] = reserve
        world.open_gateway()
        world.start_sources()
        wait_until(lambda: world.answers_of(is_refused) > 50, "the disk is full", 60)
        if world.random.random() < 0.5:
            world.kill_gateway()
            world.restart_gateway()
        taken_again(world)
        return end(world, title)


def filled_by_others(seed, disk, title):
    """Somebody else takes what is left of the disk, and the gateway dies then. It need not start on such a disk, but as soon as there is
    room again."""
    with disk, World(seed, sizes=SIZES[:6], spool=os.path.join(disk.path, "spool")) as world:
        world.settings["spool"]["reserve"] = "8MiB"
        world.open_gateway()
        world.start_sources()
        wait_until(lambda: world.answers_of(is_taken) > 50, "some are queued", 60)
        ballast = os.path.join(disk.path, "ballast")
        fill(ballast)
        wait_until(lambda: world.answers_of(is_refused) > 50, "the disk is full", 60)
        world.kill_gateway()
        is_up = world.restart_gateway(may_refuse=True)
        os.unlink(ballast)
        if not is_up:
            world.restart_gateway()
        taken_again(world)
        return end(world, title)


def is_refused(status):
    return status >> 8 == 0xA7


def is_taken(status):
    return status == 0


def fill(path):
    with open(path, "wb", buffering=0) as f:
        size = 1 << 20
        while size:
            try:
                f.write(bytes(size))
            except OSError:
                size //= 2


def taken_again(world):
    assert world.gateway.alive(), world.gateway.logs()[-6000:]
    world.start_destinations()
    before = world.answers_of(is_taken)
    wait_until(lambda: world.answers_of(is_taken) > before + 50, "instances are taken again", 60)


# ---- a power cut


def is_still(world):
    """Nobody has written for a while: what was answered is written down."""
    def size():
        return sum(os.path.getsize(source.record) for source in world.sources if os.path.exists(source.record))
    before = size()
    time.sleep(0.3)
    return size() == before


def take_away(world):
    """Everything ends where it is; the records stay."""
    for one in (*world.sources, *world.destinations.values()):
        one.end()
    world.gateway.kill()


def fresh_destinations(world):
    """Others on the same ports. Returns their records."""
    records = {}
    for name, one in world.destinations.items():
        folder = tempfile.mkdtemp(dir=world.folder)
        one.release()
        world.destinations[name] = Destination(name, folder, one.port)
        records[name] = one.record
    world.start_destinations()
    return records


def power_round(seed, title, is_flowing, environment=None, patience=30):
    """The gateway stands still in full flow; from a copy of its disk every acknowledged instance is delivered."""
    with Loop(2 << 30) as disk, World(seed, spool=os.path.join(disk.path, "spool")) as world:
        if is_flowing:
            world.start_destinations()
        world.open_gateway(environment=environment)
        world.start_sources()
        if world.random.random() < 0.5:
            time.sleep(world.random.random())
            world.kill_gateway()
            world.restart_gateway((environment or {}).get("HILUM_IO_FAULTS"))
        wait_until(lambda: world.answers_of(lambda status: True) > 30 and world.answers_of(is_taken), "the flow", 60)
        time.sleep(world.random.random() * 2)
        world.gateway.stop_all_threads()
        wait_until(lambda: is_still(world), "the senders wait")
        with disk.copy() as copy:
            take_away(world)
            disk.unmount()
            try:
                records = fresh_destinations(world)
                world.open_gateway(spool=world.settings["spool"] | {"path": os.path.join(copy.path, "spool")})
                ledger = world.settle(records, patience)
                ledger.judge(world.gateway)
                assert ledger.acknowledged, "nothing was acknowledged"
                world.empty()
                complaints = world.gateway.stop(20)
                assert not complaints, complaints
                world.report(title, ledger)
            finally:
                take_away(world)


def failing_syncs(dice):
    """Of what was written after that nothing may count: it is not on the disk, and nothing said so later."""
    number = 3 + int(dice.expovariate(1 / 10))
    return dice.choice((f"fdatasync:{number}+:EIO", f"fdatasync:{number}:EIO", f"write:{number * 3}:torn,fdatasync:{number}:EIO"))


def power(seed, seconds, least=3):
    """Rounds until the time is over: with destinations, without, and with syncs that fail before the power does."""
    end_at, number = time.monotonic() + seconds, 0
    while number < least or time.monotonic() < end_at:
        name = f"{seed}.{number}"
        if number % 3 == 0:
            power_round(name, "power cut, destinations away", False)
        elif number % 3 == 1:
            power_round(name, "power cut, in full flow", True)
        else:
            what = failing_syncs(random.Random(name))
            power_round(name, f"power cut, {what}", False, {"HILUM_IO_FAULTS": what})
        number += 1


# ---- every sync for itself


class Stage:
    """A gateway on a spool whose medium can be had as a power cut leaves it. `kind`: "ext4" (a copy of the disk) or "posix" (what
    the calls that were made promise)."""

    def __init__(self, kind, world, medium, faults):
        self.kind, self.world = kind, world
        self.path = os.path.join(medium.path, "spool")
        self.medium = medium
        self.trace = None
        environment = {"HILUM_IO_FAULTS": faults} if faults else {}
        if kind == "posix":
            self.trace = Trace(self.path)

        class Kind(Crashing):
            tracer = self.trace.command if self.trace else ()
        world.open_gateway(Kind, environment, spool={"path": self.path, "reserve": 0})

    def cut(self, torn):
        """The power goes. Returns the medium of the next stage."""
        self.world.gateway.stop_all_threads()
        if self.kind == "ext4":
            after = self.medium.copy()
            self.world.gateway.kill()
            after.__enter__()
        else:
            self.world.gateway.kill()
            after = Plain()
            wait_until(lambda: os.path.exists(self.path), "the spool")
            self.trace.lay_out(os.path.join(after.path, "spool"), with_index=False)
            self.trace.close()
        logs = [name for name in files_under(after.path) if name.endswith(".log")]
        if torn and logs:
            with open(logs[-1], "ab") as f:  # a write that was under way
                f.write(random.Random(1).randbytes(1000))
        return after


class Plain:
    """A folder, for what needs no file system of its own."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="hilum-medium-")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


SOME = (Route("SOME", copy=("a",)),)


def acknowledged(gateway, sizes, on_answer):
    with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW, calling="SOME") as sender:
        for size in sizes:
            one = make_instance(size)
            answer = sender.store(one)
            assert answer.status == 0, f"not taken: {answer}"
            on_answer(one.uid)


def two_cuts(kind, faults_of=(None, None), sizes=((1000,), (1000,)), torn=False, seen=None, is_there=True):
    """Two gateways, one after the other on the same spool, each cut off right after its last answer; a third one delivers.
    Returns what went wrong, "" if nothing did. seen: takes a list for each of the two, of the syncs as they stood at each answer.
    is_there: the spool's folder, before the first gateway."""
    media, uids = [], []
    with World(0, routes=SOME) as world:
        try:
            medium = (Loop(256 << 20) if kind == "ext4" else Plain()).__enter__()
            media.append(medium)
            if is_there:
                os.mkdir(os.path.join(medium.path, "spool"))
            for number in (0, 1):
                try:
                    stage = Stage(kind, world, medium, faults_of[number])
                except AssertionError as trouble:
                    return f"gateway {number + 1} does not start: {words_of(trouble)}"
                answers = []

                def on_answer(uid):
                    uids.append(uid)
                    if seen is not None:
                        time.sleep(0.1)  # strace writes behind
                        answers.append(stage.trace.syncs())
                acknowledged(world.gateway, sizes[number], on_answer)
                if seen is not None:
                    seen.append(answers)
                medium = stage.cut(torn)
                media.append(medium)
            try:
                world.open_gateway(spool={"path": os.path.join(medium.path, "spool"), "reserve": 0})
            except AssertionError as trouble:
                return f"gateway 3 does not start: {words_of(trouble)}"
            return missing(world, uids, len(sizes[0]))
        finally:
            for one in world.gateways:
                if one.alive():
                    one.kill()
            for one in media:
                one.__exit__()


def words_of(trouble):
    lines = [line for line in str(trouble).splitlines() if '"cause"' in line]
    return (lines or str(trouble).splitlines())[-1].split('"cause":')[-1][:160]


def missing(world, uids, first_count):
    world.destinations["a"].start()
    record = world.destinations["a"].record

    def arrived():
        with open(record) as f:
            return {line.split()[0] for line in f}
    try:
        wait_until(lambda: arrived() >= set(uids), "all of it", 3)
    except AssertionError:
        lost = [number for number, uid in enumerate(uids) if uid not in arrived()]
        of_first = sum(n < first_count for n in lost)
        return f"lost: {of_first} of {first_count} and {len(lost) - of_first} of {len(uids) - first_count}"
    return ""


# (name, sizes of both gateways' instances, a torn end is left by each cut, a fault that the first gateway meets in any case, the spool's folder is
# there before and the first gateway need not make it)
ROLLING = (5 * MIB,) * 13 + (1000,)  # past the end of a segment
SCENARIOS = (
    ("one instance each", ((1000,), (1000,)), False, None, True),
    ("a new folder", ((1000,), (1000,)), False, None, False),
    ("a torn end", ((1000,), (1000,)), True, None, True),
    ("several segments", (ROLLING, (1000,)), False, None, True),
    ("after a sync that failed", ((1000, 1000, 1000), (1000,)), False, "fdatasync:3:EIO", True),
)

# Syncs that may be left out by themselves: (scenario, gateway, path) and why.
HARMLESS = {
    ("a torn end", 2, "00000001/00000001.log"): "cuts the torn end: who finds it again cuts it again",
    ("after a sync that failed", 1, "00000001/00000001.log"): "cuts what failed: the next segment says so as well",
    **{(name, 1, ".."): "the folder was there before, and so was its name" for name, *_, is_there in SCENARIOS if is_there},
}


def taken_out(scenario, number, answers, index):
    """Tries one sync: sync `index` of gateway `number`, whose lists of syncs are `answers`. Returns a row."""
    name, sizes, torn, fault, is_there = scenario
    call, path = answers[-1][index]
    at = next(i for i, syncs in enumerate(answers) if len(syncs) > index)  # the first answer that may stand on it
    nth = sum(one == call for one, _ in answers[-1][:index + 1])
    if fault and number == 0 and call == "fdatasync" and nth >= int(fault.split(":")[1]):
        nth += 1  # strace does not see what the fault kept from being called
    skip = f"{call}:{nth}:skip"
    row = [name, f"gateway {number + 1}", skip.removesuffix(":skip"), path]
    if (call, path) in answers[at][index + 1:]:
        return row + ["-", "-", "another one of the same follows before the answer"]
    faults_of = [fault, None]
    faults_of[number] = ",".join(one for one in (faults_of[number], skip) if one)
    cut = (sizes[0][:at + 1] if number == 0 else sizes[0], sizes[1][:at + 1] if number == 1 else sizes[1])
    found = [two_cuts(kind, faults_of, cut, torn, is_there=is_there) or "green" for kind in ("ext4", "posix")]
    why = HARMLESS.get((name, number + 1, path), "") if found[1] == "green" else ""
    if found[0] == "green" and found[1] != "green":
        why = "ext4 writes the name with the file's own sync"
    return row + found + [why]


def syncs():
    """Takes out one sync after the other; prints a row each. Without that nothing may be lost, with it something must be."""
    bad = []
    say("scenario | who | sync | of | on ext4 | by POSIX | why")
    for scenario in SCENARIOS:
        name, sizes, torn, fault, is_there = scenario
        seen = []
        for kind in ("ext4", "posix"):
            wrong = two_cuts(kind, (fault, None), sizes, torn, seen if kind == "posix" else None, is_there)
            assert not wrong, f"{name}, {kind}, nothing taken out: {wrong}"
        for number, answers in enumerate(seen):
            # Of many alike: those of the first answer and of the last two.
            first, last = len(answers[0]), len(answers[max(0, len(answers) - 3)])
            for index in range(len(answers[-1])):
                if first <= index < last:
                    continue
                row = taken_out(scenario, number, answers, index)
                say(" | ".join(row))
                if row[5] == "green" and not row[6]:
                    bad.append(row)
    assert not bad, "of syncs:\n" + "\n".join(" | ".join(row) for row in bad)
