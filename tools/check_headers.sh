#!/bin/sh
# tools/check_headers.sh FLAGS...  every header under src compiles alone, and twice in a row.
set -eu

status=0
for header in src/*/*.h; do
    name=${header#src/}
    printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
        gcc -std=gnu11 -Wall -Wextra -Werror "$@" -fsyntax-only -x c - || {
        echo "$header: does not stand alone"
        status=1
    }
done
exit $status
