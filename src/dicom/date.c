#include "dicom/date.h"

#include <stdio.h>
#include <string.h>

static const char no_da[] = "a DA is YYYYMMDD";
static const char no_tm[] = "a TM is HH, HHMM, HHMMSS or HHMMSS.F with up to 6 digits of a second";
static const char no_dt[] =
    "a DT is YYYY to YYYYMMDDHHMMSS.FFFFFF, with or without an offset from UTC as +ZZZZ";
static const char no_day[] = "a date is a day of the calendar, from 00010101 to 99991231";
static const char no_offset[] = "an offset from UTC is from -1200 to +1400, and not -0000";
static const char no_shift[] = "only a DA or a DT with year, month and day can be moved by days";

/* --- calendar --- */

enum { YEAR_MAX = 9999, DAYS_OF_400_YEARS = 146097 };

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

static bool is_day(int year, int month, int day)
{
    return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= days_of_month(year, month);
}

/* Days from 1 March of year 0. Years are counted from March, so that a leap day is a year's last and months have a formula. */
static int64_t count_days(int year, int month, int day)
{
    int from_march = (month + 9) % 12;
    int64_t y = month > 2 ? year : year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * from_march + 2) / 5 + day - 1;
}

static void day_of_count(int64_t days, int *year_out, int *month_out, int *day_out)
{
    int64_t era = days / DAYS_OF_400_YEARS;
    int64_t rest = days % DAYS_OF_400_YEARS;
    /* without the leap days before it, a day's year is its number by 365: every 4 years one, but every 100, but the era's last */
    int64_t y = (rest - rest / 1460 + rest / 36524 - rest / (DAYS_OF_400_YEARS - 1)) / 365;
    int of_year = (int)(rest - (365 * y + y / 4 - y / 100));
    int from_march = (5 * of_year + 2) / 153;
    *day_out = of_year - (153 * from_march + 2) / 5 + 1;
    *month_out = from_march < 10 ? from_march + 3 : from_march - 9;
    *year_out = (int)(era * 400 + y) + (*month_out <= 2);
}

/* --- forms --- */

/* How many digits `text` starts with. */
static size_t count_digits(struct view text)
{
    size_t n = 0;
    while (n < text.len && text.at[n] >= '0' && text.at[n] <= '9') {
        n++;
    }
    return n;
}

/* `len` digits that are there. */
static int digits_at(struct view text, size_t at, size_t len)
{
    int value = 0;
    for (size_t i = at; i < at + len; i++) {
        value = value * 10 + (text.at[i] - '0');
    }
    return value;
}

static struct view without_first(struct view text, size_t len)
{
    return (struct view){text.at + len, text.len - len};
}

/* HH to HHMMSS.FFFFFF, and nothing behind it. */
static bool is_time(struct view text)
{
    size_t digits = count_digits(text);
    if ((digits != 2 && digits != 4 && digits != 6) || digits_at(text, 0, 2) > 23 ||
        (digits >= 4 && digits_at(text, 2, 2) > 59) || (digits == 6 && digits_at(text, 4, 2) > 60)) {
        return false;
    }
    if (text.len == digits) {
        return true;
    }
    struct view fraction = without_first(text, digits + 1);
    return digits == 6 && text.at[6] == '.' && fraction.len >= 1 && fraction.len <= 6 &&
           count_digits(fraction) == fraction.len;
}

/* The digits after the sign. */
static const char *check_offset(char sign, struct view digits)
{
    if (digits.len != 4 || count_digits(digits) != 4) {
        return no_dt;
    }
    int offset = digits_at(digits, 0, 4);
    bool is_known =
        offset % 100 <= 59 && offset <= (sign == '-' ? 1200 : 1400) && (sign == '+' || offset != 0);
    return is_known ? NULL : no_offset;
}

const char *dicom_da_check(struct view text)
{
    if (text.len != 8 || count_digits(text) != 8) {
        return no_da;
    }
    return is_day(digits_at(text, 0, 4), digits_at(text, 4, 2), digits_at(text, 6, 2)) ? NULL : no_day;
}

const char *dicom_tm_check(struct view text)
{
    return is_time(text) ? NULL : no_tm;
}

const char *dicom_dt_check(struct view text)
{
    size_t end = 0;
    while (end < text.len && text.at[end] != '+' && text.at[end] != '-') {
        end++;
    }
    struct view local = {text.at, end};
    size_t digits = count_digits(local);
    if (digits < 4 || digits % 2 == 1 || (digits < 14 && digits != end) ||
        (digits > 8 && !is_time(without_first(local, 8)))) {
        return no_dt;
    }
    if (!is_day(digits_at(text, 0, 4), digits >= 6 ? digits_at(text, 4, 2) : 1,
                digits >= 8 ? digits_at(text, 6, 2) : 1)) {
        return no_day;
    }
    return end == text.len ? NULL : check_offset((char)text.at[end], without_first(text, end + 1));
}

/* --- shift --- */

static struct view without_padding(struct view value)
{
    while (value.len > 0 && (value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\0')) {
        value.len--;
    }
    return value;
}

/* The form of ACR-NEMA, which files of that time still have, to a DA (PS3.5 Table 6.2-1, note on DA). */
static bool is_old_da(struct view value, uint8_t da_out[8])
{
    if (value.len != 10 || value.at[4] != '.' || value.at[7] != '.') {
        return false;
    }
    memcpy(da_out, value.at, 4);
    memcpy(da_out + 4, value.at + 5, 2);
    memcpy(da_out + 6, value.at + 8, 2);
    return true;
}

const char *dicom_date_shift(struct view value, int64_t days, char out[DICOM_DATE_CAP])
{
    out[0] = '\0';
    value = without_padding(value);
    if (value.len == 0) {
        return NULL;
    }
    uint8_t da[8];
    if (is_old_da(value, da)) {
        value = (struct view){da, sizeof(da)};
    }
    const char *why = dicom_dt_check(value); /* a DA is a DT that ends after the day */
    if (why || count_digits(value) < 8) {
        return why == no_day ? why : no_shift;
    }
    int year = digits_at(value, 0, 4);
    int month = digits_at(value, 4, 2);
    int day = digits_at(value, 6, 2);
    int64_t moved;
    if (__builtin_add_overflow(count_days(year, month, day), days, &moved) || moved < count_days(1, 1, 1) ||
        moved > count_days(YEAR_MAX, 12, 31)) {
        return no_day;
    }
    day_of_count(moved, &year, &month, &day);
    snprintf(out, DICOM_DATE_CAP, "%04d%02d%02d%.*s", year, month, day, (int)value.len - 8,
             (const char *)value.at + 8);
    return NULL;
}
