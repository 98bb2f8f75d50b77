/* Times of many instances, and the process's own CPU, for the JSON of load and sink. */
#ifndef HILUM_BENCH_FIGURES_H
#define HILUM_BENCH_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Every sample is kept, so that percentiles are exact. Zero-initialise to start. */
struct samples {
    uint64_t *ns;
    size_t count, cap;
};

void samples_add(struct samples *s, uint64_t ns);
void samples_free(struct samples *s);
/* Writes {"p50":..,"p90":..,"p99":..,"min":..,"max":..,"mean":..} in microseconds, zeroes without a sample. Sorts them. */
void samples_write(struct samples *s, FILE *to);

/* CPU of this process, in seconds. */
struct cpu {
    double user, system;
};

struct cpu cpu_now(void);
struct cpu cpu_since(struct cpu start);
/* Writes "cpu":{"user":..,"system":..}. */
void cpu_write(struct cpu c, FILE *to);

/* x / y, 0 if y is. */
double figures_ratio(double x, double y);
/* Writes text as a JSON string. */
void figures_write_text(const char *text, FILE *to);

#endif
