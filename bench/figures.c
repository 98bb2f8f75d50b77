#include "figures.h"

#include <stdlib.h>
#include <sys/resource.h>

enum { FIRST_SAMPLES = 4096 };

void samples_add(struct samples *s, uint64_t ns)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : FIRST_SAMPLES;
        s->ns = realloc(s->ns, s->cap * sizeof *s->ns);
        if (!s->ns)
            abort();
    }
    s->ns[s->count++] = ns;
}

void samples_free(struct samples *s)
{
    free(s->ns);
    *s = (struct samples){0};
}

static int by_size(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

/* The nearest rank: the smallest sample that `part` of all do not exceed. */
static double at_rank(const struct samples *s, double part)
{
    if (s->count == 0)
        return 0;
    size_t rank = (size_t)(part * (double)s->count + 0.999999);
    if (rank < 1)
        rank = 1;
    if (rank > s->count)
        rank = s->count;
    return (double)s->ns[rank - 1] / 1e3;
}

void samples_write(struct samples *s, FILE *to)
{
    double sum = 0;
    if (s->count)
        qsort(s->ns, s->count, sizeof *s->ns, by_size);
    for (size_t i = 0; i < s->count; i++)
        sum += (double)s->ns[i] / 1e3;
    fprintf(to, "{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"min\":%.1f,\"max\":%.1f,\"mean\":%.1f}",
            at_rank(s, 0.5), at_rank(s, 0.9), at_rank(s, 0.99), at_rank(s, 0), at_rank(s, 1),
            figures_ratio(sum, (double)s->count));
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

struct cpu cpu_now(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (struct cpu){seconds_of(used.ru_utime), seconds_of(used.ru_stime)};
}

struct cpu cpu_since(struct cpu start)
{
    struct cpu now = cpu_now();
    return (struct cpu){now.user - start.user, now.system - start.system};
}

void cpu_write(struct cpu c, FILE *to)
{
    fprintf(to, "\"cpu\":{\"user\":%.6f,\"system\":%.6f}", c.user, c.system);
}

double figures_ratio(double x, double y)
{
    return y > 0 ? x / y : 0;
}

void figures_write_text(const char *text, FILE *to)
{
    putc('"', to);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            putc('\\', to);
        if ((unsigned char)*p < ' ')
            fprintf(to, "\\u%04x", (unsigned)*p);
        else
            putc(*p, to);
    }
    putc('"', to);
}
