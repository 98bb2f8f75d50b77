/* Time, in the units the rest of the program uses. */
#ifndef HILUM_BASE_CLOCK_H
#define HILUM_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic. */
uint64_t clock_ms(void);
uint64_t clock_us(void);

/* Since 1970, UTC: for what is kept or shown. It may jump. */
uint64_t clock_wall_ms(void);

/* Local calendar date, "YYYYMMDD". */
void clock_date(char out[9]);

#endif
