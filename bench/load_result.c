/* What the load prints, and how it ends. */
#include <stdio.h>
#include <stdlib.h>

#include "load.h"

static double seconds_of(const struct outcome *o)
{
    return o->last_ns > o->first_ns ? (double)(o->last_ns - o->first_ns) / 1e9 : 0;
}

static void write_rates(const struct outcome *o)
{
    double seconds = seconds_of(o);
    printf("\"instances\":%llu,\"bytes\":%llu,\"seconds\":%.6f,\"instances_per_s\":%.2f,\"gb_per_s\":%.4f",
           (unsigned long long)o->instances, (unsigned long long)o->bytes, seconds,
           figures_ratio((double)o->instances, seconds), figures_ratio((double)o->bytes / 1e9, seconds));
}

static void write_titles(const struct load *load)
{
    printf(",\"titles\":{");
    for (uint32_t i = 0; i < load->options.title_count; i++) {
        printf("%s", i ? "," : "");
        figures_write_text(load->options.titles[i], stdout);
        printf(":{");
        write_rates(&load->titles[i]);
        printf("}");
    }
    printf("}");
}

/* Returns how many answers were neither 0000 nor Bxxx. */
static uint64_t write_statuses(const struct load *load)
{
    uint64_t refused = 0;
    bool is_first = true;
    printf(",\"statuses\":{");
    for (unsigned i = 0; i < LOAD_STATUSES; i++) {
        if (!load->statuses[i])
            continue;
        printf("%s\"%04X\":%llu", is_first ? "" : ",", i, (unsigned long long)load->statuses[i]);
        is_first = false;
        if (i != 0 && (i & 0xF000) != 0xB000)
            refused += load->statuses[i];
    }
    printf("}");
    return refused;
}

int load_report(struct load *load)
{
    const struct load_options *o = &load->options;
    printf("{");
    write_rates(&load->all);
    printf(",\"latency_us\":");
    samples_write(&load->latency, stdout);
    printf(",\"associate_us\":");
    samples_write(&load->associate, stdout);
    printf(",\"associations\":%llu", (unsigned long long)load->associated);
    uint64_t refused = write_statuses(load);
    printf(",\"failures\":%llu,\"faults\":%llu,", (unsigned long long)load->failures,
           (unsigned long long)load->faults);
    secure_write(load->tls, stdout);
    cpu_write(load->cpu, stdout);
    printf(",\"pdu\":%u,\"size\":%llu,\"congestion\":",
           load->fragment_max ? load->fragment_max + PDU_PDV_HEADER_BYTES : 0, (unsigned long long)o->size);
    figures_write_text(load->congestion, stdout);
    if (o->is_by_title)
        write_titles(load);
    printf("}\n");
    const bool is_short = !o->seconds_ns && load->all.instances < o->count;
    return load->failures || load->faults || refused || is_short ? EXIT_FAILURE : EXIT_SUCCESS;
}
