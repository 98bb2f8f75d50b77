/* Dates and times as text: their forms (PS3.5 6.2), and dates moved by days. Gregorian also before there was one; years 0001 to 9999. */
#ifndef HILUM_DICOM_DATE_H
#define HILUM_DICOM_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Room for a DT of 26 characters and NUL. */
#define DICOM_DATE_CAP 27

/* One DA, TM or DT that is not empty, without padding. No ranges, which only queries have. NULL, or why not.
 *
 *   DA  YYYYMMDD
 *   TM  HH[MM[SS[.F to .FFFFFF]]]                     second 60 is a leap second
 *   DT  YYYY[MM[DD[HH[MM[SS[.F to .FFFFFF]]]]]][+ZZZZ]   offset from UTC, -1200 to +1400, not -0000 */
const char *dicom_da_check(struct view text);
const char *dicom_tm_check(struct view text);
const char *dicom_dt_check(struct view text);

/* One DA, or one DT that names a day, padded or not: the date moves by `days`, time and offset stay as they are. An empty value stays
 * empty; the "YYYY.MM.DD" of ACR-NEMA becomes a DA. NULL, or why not: no such form ("199607" has no day), or the result would
 * leave the years 0001 to 9999; `out` is empty then. */
const char *dicom_date_shift(struct view value, int64_t days, char out[DICOM_DATE_CAP]);

#endif
