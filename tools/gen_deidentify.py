#!/usr/bin/python3
"""Writes rules/deidentify_table.lua from the tables of PS3.15 E.1 and E.3.10.

    tools/gen_deidentify.py deid.tsv deid_safe_private.tsv > rules/deidentify_table.lua

Both are tab-separated, `#` starts a comment (a line "# Edition: ..." is quoted in the result):

    tag keyword retired in_iod basic rtn_safe_priv rtn_uids ... clean_graph      actions of the profile and of its options
    group elem_low creator vr vm                                                 private elements that are seen as safe
"""
import sys

# Columns of the first table after `basic`, by the name that an option has in rules/deidentify.lua.
OPTIONS = ["retain_safe_private", "retain_uids", "retain_device", "retain_institution", "retain_patient_characteristics",
           "retain_dates", "modify_dates", "clean_descriptors", "clean_structured", "clean_graphics"]
ACTIONS = {"D", "Z", "X", "K", "C", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"}


def rows(path):
    edition, found = "", []
    for line in open(path, encoding="utf-8"):
        line = line.rstrip("\n")
        if line.startswith("# Edition:"):
            edition = line[len("# Edition:"):].strip()
        elif line and not line.startswith("#"):
            found.append(line.split("\t"))
    return edition, found


def options_of(cells):
    named = [f'{name} = "{cell}"' for name, cell in zip(OPTIONS, cells) if cell]
    return "".join(", " + n for n in named)


def action_row(row):
    tag, keyword, _, _, basic, *cells = row
    assert basic in ACTIONS and len(cells) <= len(OPTIONS), row
    assert all(not c or c in ACTIONS for c in cells), row
    keyword = "" if " " in keyword else keyword  # a description
    return tag, f'{{ "{keyword}", "{basic}"{options_of(cells)} }},'


def main():
    edition, actions = rows(sys.argv[1])
    safe_edition, safe = rows(sys.argv[2])
    exact, patterns, private = [], [], None
    for row in actions:
        tag, text = action_row(row)
        if tag == "private":
            private = text
        elif "x" in tag:
            patterns.append((tag, text))
        else:
            exact.append((tag, text))
    assert private and len({t for t, _ in exact}) == len(exact)
    print(f"""-- luacheck: no max line length
-- What becomes of each attribute when a data set is de-identified: PS3.15 Table E.1-1, and E.3.10-1.
-- Made by tools/gen_deidentify.py; do not edit.
-- Edition: {edition}
-- Safe private: {safe_edition}
--
-- Keyword, then the action of the basic profile; an option's own replaces it where that option is on.
-- D a dummy, Z empty or a dummy, X removed, K kept, C cleaned, U a new UID; of several rules/deidentify.lua chooses.

return {{
  actions = {{""")
    for tag, text in sorted(exact):
        print(f"    [0x{tag}] = {text}")
    print("  },\n  -- repeating groups: even ones, 5000 to 501E and 6000 to 601E; x is any digit\n  patterns = {")
    for tag, text in sorted(patterns):
        print(f'    ["{tag}"] = {text}')
    print(f"  }},\n  private = {private}\n  -- creator, then group and low byte of the element: [0xGGGG00EE]; SQ: it is a sequence\n  safe_private = {{")
    by_creator = {}
    for group, low, creator, vr, *_ in safe:
        vrs = by_creator.setdefault(creator, {})
        tag = int(group, 16) << 16 | int(low, 16)
        vrs[tag] = '"SQ"' if vr == "SQ" or vrs.get(tag) == '"SQ"' else "true"
    for creator in sorted(by_creator):
        assert '"' not in creator and "\\" not in creator
        tags = "".join(f"\n      [0x{t:08X}] = {vr}," for t, vr in sorted(by_creator[creator].items()))
        print(f'    ["{creator}"] = {{{tags}\n    }},')
    print("  },\n}")


if __name__ == "__main__":
    main()
