#!/usr/bin/python3
"""Scripts for fuzz_association: the services one by one, how nodes behave, what goes wrong in between, and what DCMTK's tools said.

    tests/fuzz/seed_association.py FOLDER
"""
import itertools
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from traffic import dcmtk_talks, pdus  # noqa: E402

TITLES = ["HILUM", "FAN", "POOL", "TURNS", "WHOLE", "MORPH", "ASKS", "RULED"]
OWN_BYTES_MAX = 255
RECORDED_BYTES_MAX = 6000
BY_SCRIPT = 15


def connect(title=0, more=0, which=0, who=0, how=0):
    """All contexts: which=0."""
    return bytes([who << 6, which >> 8, which & 255, title | how, more])


def store(instance=1, size=1, cut=255, context=0, who=0):
    return bytes([who << 6 | 2, context << 5 | instance, size, cut])


def request(what, context, how=1, identifier=0x80, who=0):
    return bytes([who << 6 | 5, what, context, how]) + (bytes([identifier]) if how & 1 else b"")


def manner(node, associate=0, answer=0, pendings=0):
    return bytes([0x20 | node << 6, associate, answer, pendings])


def answers(which=0, status=0):
    return bytes([0x22 | which << 6, status])


def asks(context, size=9, which=0, is_event=False):
    return bytes([0x21 | which << 6, context | is_event << 7, size])


def dies(node):
    return bytes([0x24 | node << 6])


def wait(code):
    return bytes([0x30 | code])


def own(what, kind, content, who=0):
    """kind: 0 bytes, 1 a PDU of this type, 2 a PDV."""
    return bytes([who << 6 | 7 + kind, what, len(content)]) + content


RELEASE, HALF_CLOSE, CLOSE, DEAF = bytes([10]), bytes([12]), bytes([13]), bytes([14])
ABORT, RELEASE_RP = bytes([11, 0]), bytes([11, 1])


def scripts():
    for title, size in itertools.product(range(8), range(8)):
        yield f"store-{TITLES[title]}-{size}", connect(title) + store(1, size) + store(2, size, 10) + RELEASE
    for title, status in itertools.product(range(8), range(12)):
        yield (f"status-{TITLES[title]}-{status}", manner(0, 0, status) + manner(1, 0, status + 3) + connect(title, 32) + store(1)
               + store(2) + RELEASE)
    for title, associate in itertools.product(range(7), range(4, 8)):
        yield (f"associate-{TITLES[title]}-{associate}", manner(0, associate) + connect(title) + store() + wait(5) + store(2) + wait(6)
               + RELEASE)
    for title in range(7):
        late = manner(0, 0, BY_SCRIPT) + manner(1, 0, BY_SCRIPT) + connect(title, 32) + store(1, 5) + store(2, 1) + store(3)
        yield f"late-{TITLES[title]}", late + answers(0) + answers(1) + answers(0) + answers(1) + RELEASE
        yield f"dies-{TITLES[title]}", late + dies(0) + dies(1) + wait(4) + store(4) + answers() + RELEASE
        yield f"silent-{TITLES[title]}", late + wait(5) + wait(5) + wait(6) + RELEASE
        yield f"lost-{TITLES[title]}", late + CLOSE + answers() + connect(title) + store()
        yield f"half-{TITLES[title]}", late + HALF_CLOSE + answers() + answers(1)
        yield f"deaf-{TITLES[title]}", DEAF + late + answers() + wait(6) + DEAF
        yield f"abort-{TITLES[title]}", late + ABORT + answers()
        yield f"cut-{TITLES[title]}", connect(title) + bytes([4, 1, 6, 100]) + wait(6) + wait(7)
        yield f"passes-{TITLES[title]}", connect(title) + store(1, 7, 255) + store(2, 7, 1) + RELEASE
    for what, context, pendings in itertools.product(range(12), range(16), (0, 2)):
        yield (f"request-{what}-{context}-{pendings}", manner(0, 0, 0, pendings) + manner(1, 0, 0, pendings) + connect()
               + request(what, context) + request(4, context, 0) + RELEASE)
    for what, context in ((1, 4), (2, 5), (3, 6), (1, 7), (8, 8)):
        begun = manner(0, 0, BY_SCRIPT, 3) + manner(1, 0, BY_SCRIPT, 1) + connect() + request(what, context)
        yield f"cancel-{what}-{context}", begun + request(4, context, 1) + answers(0, 8) + answers(1, 8) + RELEASE
        yield f"call-dies-{what}-{context}", begun + dies(0) + answers() + wait(6)
        yield f"call-lost-{what}-{context}", begun + CLOSE + answers() + wait(7)
        yield f"call-silent-{what}-{context}", begun + wait(5) + wait(7)
    for kind in (1, 2):
        for type_ in range(9):
            yield f"own-{kind}-{type_}", connect() + own(type_, kind, b"\0\0\1\2") + store() + own(type_ | 0xC0, kind, b"") + RELEASE
    for title in (0, 7):
        for context, size, is_event in itertools.product(range(6), (8, 9), (False, True)):
            got = manner(0, 0, BY_SCRIPT, 1) + manner(1, 0, BY_SCRIPT) + connect(title, 64) + request(3, 6) + asks(context, size, 0, is_event)
            yield f"get-{title}-{context}-{size}-{is_event}", got + asks(context, size, 1, is_event) + answers(0) + answers(1) + RELEASE
            yield f"get-lost-{title}-{context}-{size}-{is_event}", got + CLOSE + answers()
        begun = manner(1, 0, BY_SCRIPT, 1) + connect(title) + request(2, 5, 3)
        moved = bytes([0x40, 0, 0, 0, 2]) + store(0x11, 1, 255, 0, 1) + store(0x12, 6, 3, 0, 1)  # the archive calls: "B"
        yield f"move-{title}", begun + moved + answers(1) + answers(0) + RELEASE
        yield f"move-lost-{title}", begun + moved + CLOSE + answers(1) + moved
        yield f"move-late-{title}", begun + answers(1) + answers(0) + moved + wait(6) + moved
        for what, context in ((1, 4), (1, 12), (2, 5), (3, 6), (8, 8), (6, 8), (7, 10), (5, 10)):
            yield f"ruled-{title}-{what}-{context}", manner(0, 0, 0, 2) + manner(1, 0, 0, 1) + connect(title) + request(what, context, 3) + RELEASE
    for title, cut in itertools.product(range(8), (3, 255, 10)):
        deflated = bytes([0, 0, 0, title | 3 << 4, 0])
        yield f"deflated-{TITLES[title]}-{cut}", deflated + store(1, 4, cut) + store(2, 7, cut) + RELEASE
        yield f"big-{TITLES[title]}-{cut}", connect(title) + store(1, 1) + store(1, 7, cut) + store(2, 0x87, cut) + RELEASE
        yield f"big-deaf-{TITLES[title]}-{cut}", manner(0, 0, BY_SCRIPT) + connect(title) + store(1, 1) + answers() + store(1, 7, cut) + dies(0) + store(2, 7, cut) + CLOSE
    several = b"".join(connect(who=i, title=i) + store(i, 3, who=i) for i in range(4))
    yield "several", several + b"".join(store(i, 2, who=i) for i in range(4)) + RELEASE
    yield "role", connect(0, 64 + 32) + request(3, 6) + store() + RELEASE
    yield "identity", connect(0, 128) + store() + RELEASE_RP
    yield "small", connect(0, 16) + store(1, 4) + request(1, 4) + RELEASE


def recorded():
    for i, (client, _) in enumerate(dcmtk_talks()):
        script = bytes([1])  # connected, nothing said
        for pdu in pdus(client):
            for at in range(0, len(pdu), OWN_BYTES_MAX):
                script += own(0, 0, pdu[at:at + OWN_BYTES_MAX])
        yield f"dcmtk-{i}", script[:RECORDED_BYTES_MAX]


def main():
    folder = Path(sys.argv[1])
    for name, script in itertools.chain(scripts(), recorded()):
        (folder / name).write_bytes(script)


main()
