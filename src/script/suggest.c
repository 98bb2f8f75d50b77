#include "script/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define WORD_MAX 80

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/*
 * Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment), by rows of the
 * usual table; case does not count. Words are at most WORD_MAX long. More than `most` is not counted on: a rule may have the whole dictionary looked
 * through, again and again, and each row grows from the two above it alone.
 */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len, size_t most)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    size_t least_above = 0, least_here = 0;
    for (size_t j = 0; j <= b_len; j++) {
        above[j] = j;
        before[j] = j;
    }
    for (size_t i = 1; i <= a_len && (least_here <= most || least_above <= most); i++) {
        least_above = least_here;
        least_here = i;
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
            least_here = least(least_here, row[j]);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return least_here > most && least_above > most ? most + 1 : above[b_len];
}

void suggest_offer(struct suggestion *s, const char *name)
{
    size_t word_len = strlen(s->word);
    size_t name_len = strlen(name);
    if (word_len > WORD_MAX || name_len > WORD_MAX || name_len == 0) {
        return;
    }
    /* A third of it may be wrong, at least one letter, and two of four: "hots" is a host. */
    size_t allowed = word_len < 3 ? 1 : word_len < 9 ? 2 : 3;
    if (word_len > name_len + allowed || name_len > word_len + allowed) {
        return;
    }
    size_t distance = edit_distance(s->word, word_len, name, name_len, allowed);
    if (distance <= allowed && distance < name_len && (s->name == NULL || distance < s->distance)) {
        s->name = name;
        s->distance = distance;
    }
}
