/* Time, in the units the rest of the program uses. */
#ifndef HILUM_BASE_CLOCK_H
#define HILUM_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic. */
uint64_t clock_ms(void);
uint64_t clock_us(void);

/* Local calendar date, "YYYYMMDD". */
void clock_date(char out[9]);

#endif
