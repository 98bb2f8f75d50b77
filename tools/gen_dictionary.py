#!/usr/bin/python3
"""Writes src/dicom/dictionary_table.c from a table of the data dictionary.

    tools/gen_dictionary.py dictionary.tsv > src/dicom/dictionary_table.c

The table is tab-separated, one element a line, `#` starts a comment (a line "# Edition: ..." is quoted in the result):

    tag vr vm keyword retired note

A tag is 8 hex digits, x any digit in a pattern (odd groups are private and never asked for); alternative VRs stand with a
slash, "-" for none; no keyword is "-". An entry's tag is its own or the first that its pattern stands for. Entries are
written by tag and found by two perfect hashes, of tags and of keywords: dictionary.c takes the same steps as `tag_hash`,
`keyword_hash` and `Index.slot` here.
"""
import re
import sys

BUCKET_BITS, SLOT_BITS = 11, 13
BUCKETS, SLOTS, SHIFTS, EMPTY = 1 << BUCKET_BITS, 1 << SLOT_BITS, 256, 0xFFFF
MULTIPLIER = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1


def number(digits):
    return int(digits, 16)


class Entry:
    def __init__(self, row):
        pattern, vr, vm, keyword, retired = row[:5]
        assert re.fullmatch("[0-9A-Fx]{8}", pattern), row
        self.pattern = pattern
        self.vrs = [] if vr == "-" else vr.split("/")
        assert len(self.vrs) <= 3 and all(re.fullmatch("[A-Z]{2}", vr) for vr in self.vrs), row
        self.keyword = "" if keyword == "-" else keyword
        assert re.fullmatch("[A-Za-z0-9]*", self.keyword), row
        self.is_retired = retired == "1"
        self.vm = read_vm(vm)
        self.is_pattern = "x" in pattern
        self.tag = self.value = number(pattern.replace("x", "0"))
        self.fixed = number(re.sub("[^x]", "F", pattern).replace("x", "0"))  # the digits that are not x

    def matches(self, tag):
        return tag & self.fixed == self.value

    def written(self):
        vrs = ", ".join("DICOM_VR_" + vr for vr in self.vrs or ["UNKNOWN"])
        vm = ", ".join(str(n) for n in self.vm)
        retired = "true" if self.is_retired else "false"
        return f'    {{0x{self.tag:08X}, {{{vrs}}}, {retired}, {vm}, "{self.keyword}"}},'


def read_vm(text):
    """"3" is (3, 3, 1), "1-n" (1, 0, 1), "2-2n" (2, 0, 2): least, most (0: any), step."""
    least, most, step, unbounded = re.fullmatch(r"(\d+)(?:-(?:(\d+)|(\d*)(n)))?", text).groups()
    if unbounded:
        return int(least), 0, int(step or 1)
    return int(least), int(most or least), 1


def read_table(path):
    entries, edition = [], ""
    with open(path, encoding="utf-8") as table:
        for line in table:
            line = line.rstrip("\n")
            if line.startswith("# Edition:"):
                edition = line[len("# Edition:"):].strip().split(". ")[0].removesuffix(" (marked)")
            if line and not line.startswith("#"):
                entries.append(Entry(line.split("\t")))
    return entries, edition


class Family:
    """Patterns that begin with the same digits, such as all of 60xx, and have their x at the same places."""

    def __init__(self, prefix, fixed, members):
        self.covers = number("F" * len(prefix) + "0" * (8 - len(prefix)))
        self.value = number(prefix.ljust(8, "0"))
        self.fixed, self.members = fixed, members
        self.added = 0

    def first(self, tag):
        """The first tag of the pattern that stands for this one, if any does."""
        return (tag & self.fixed) + self.added

    def choose_first(self, exact):
        """The least for which first() of no member is a group length or has an entry of its own: of 002804x0 it is 00280410."""
        last_x = max(entry.pattern.rindex("x") for entry in self.members)
        for digit in range(16):
            self.added = digit << 4 * (7 - last_x)
            firsts = [self.first(entry.value) for entry in self.members]
            if all(tag & 0xFFFF and tag not in exact for tag in firsts):
                break
        for entry in self.members:
            entry.tag = self.first(entry.value)
        taken = [tag for tag in exact if tag & self.covers == self.value and self.first(tag) == tag]
        assert not taken, f"other tags would be taken for {taken}"

    def written(self):
        return f"    {{0x{self.covers:08X}, 0x{self.value:08X}, 0x{self.fixed:08X}, 0x{self.added:08X}}},"


def families_of(entries):
    members = {}
    for entry in entries:
        if entry.is_pattern:
            members.setdefault((entry.pattern[:entry.pattern.index("x")], entry.fixed), []).append(entry)
    families = [Family(prefix, fixed, found) for (prefix, fixed), found in sorted(members.items())]
    exact = {entry.tag for entry in entries if not entry.is_pattern}
    for family in families:
        family.choose_first(exact)
    return families


def tag_hash(tag):
    return tag * MULTIPLIER & WORD


def keyword_hash(keyword):
    """Words of 8 bytes, the last one overlapping; a shorter keyword is one word, filled with NULs."""
    text = keyword.encode()
    result = len(text)
    starts = [*range(0, len(text) - 8, 8), max(0, len(text) - 8)]
    for start in starts:
        result = (result ^ int.from_bytes(text[start:start + 8], "little")) * MULTIPLIER & WORD
        result ^= result >> 32
    return result * MULTIPLIER & WORD


class Index:
    """A perfect hash: the keys of a bucket share a shift, chosen so that no two keys of all have the same slot."""

    def __init__(self, hashes):
        """`hashes`: the hash of the key of each entry by its position."""
        self.shifts, self.slots = [0] * BUCKETS, [EMPTY] * SLOTS
        buckets = [[] for _ in range(BUCKETS)]
        for position, value in hashes.items():
            buckets[value >> (64 - BUCKET_BITS)].append((position, value))
        for bucket, keys in sorted(enumerate(buckets), key=lambda pair: -len(pair[1])):
            self.place(bucket, keys)

    @staticmethod
    def slot(value, shift):
        return ((value >> 32) ^ shift) % SLOTS

    def place(self, bucket, keys):
        for shift in range(SHIFTS):
            wanted = {self.slot(value, shift) for _, value in keys}
            if len(wanted) == len(keys) and all(self.slots[slot] == EMPTY for slot in wanted):
                self.shifts[bucket] = shift
                for position, value in keys:
                    self.slots[self.slot(value, shift)] = position
                return
        sys.exit("no perfect hash: change MULTIPLIER here and in dictionary.c")

    def written(self, name):
        lines = [f"const struct dictionary_index {name} = {{", "    .shifts = {"]
        lines += rows_of(self.shifts)
        lines += ["    },", "    .slots = {"]
        return lines + rows_of(self.slots) + ["    },", "};"]


def rows_of(numbers):
    return ["        " + " ".join(f"{n}," for n in numbers[start:start + 20]) for start in range(0, len(numbers), 20)]


def check(entries):
    assert len({entry.tag for entry in entries}) == len(entries), "a tag occurs twice"
    keywords = [entry.keyword for entry in entries if entry.keyword]
    assert len(set(keywords)) == len(keywords), "a keyword occurs twice"
    patterns = [entry for entry in entries if entry.is_pattern]
    for entry in patterns:
        assert [other for other in patterns if other.matches(entry.tag)] == [entry], "patterns overlap"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    entries, edition = read_table(sys.argv[1])
    families = families_of(entries)
    check(entries)
    entries.sort(key=lambda entry: entry.tag)
    by_tag = Index({i: tag_hash(entry.tag) for i, entry in enumerate(entries)})
    by_keyword = Index({i: keyword_hash(entry.keyword) for i, entry in enumerate(entries) if entry.keyword})

    print("/*")
    print(f" * Generated by tools/gen_dictionary.py; not to be edited. Source: PS3.6 and PS3.7 Annex E, {edition}.")
    print(" */")
    print("/* clang-format off */")
    print('#include "dicom/dictionary_table.h"')
    print()
    print("const struct dicom_entry dictionary_table[] = {")
    print("\n".join(entry.written() for entry in entries))
    print("};")
    print("const size_t dictionary_count = sizeof(dictionary_table) / sizeof(dictionary_table[0]);")
    print()
    print("const struct dictionary_family dictionary_families[] = {")
    print("\n".join(family.written() for family in families))
    print("};")
    print("const size_t dictionary_family_count = sizeof(dictionary_families) / sizeof(dictionary_families[0]);")
    print()
    print("\n".join(by_tag.written("dictionary_by_tag")))
    print()
    print("\n".join(by_keyword.written("dictionary_by_keyword")))


if __name__ == "__main__":
    main()
