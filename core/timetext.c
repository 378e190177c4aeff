#include "core/timetext.h"

#include <string.h>

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))

/* Days since 1970-01-01 of a civil date and back.  Years start in March, so that the leap day is the last one. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_of(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t of_era = days - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * of_year + 2) / 153;
	*day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
	*month = (unsigned)(m < 10 ? m + 3 : m - 9);
	*year = y + era * 400 + (*month <= 2);
}

static char *digits(char *p, int64_t v, int n)
{
	for (int i = n - 1; i >= 0; i--, v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + n;
}

size_t vs_time_text(int64_t wall_ms, char buf[VS_TIME_TEXT_CAP])
{
	const int64_t lowest = days_of(0, 1, 1) * DAY_MS, highest = days_of(10000, 1, 1) * DAY_MS - 1;
	wall_ms = wall_ms < lowest ? lowest : wall_ms > highest ? highest : wall_ms;
	int64_t days = (wall_ms >= 0 ? wall_ms : wall_ms - (DAY_MS - 1)) / DAY_MS, ms = wall_ms - days * DAY_MS, year;
	unsigned month, day;
	civil_of(days, &year, &month, &day);
	char *p = digits(buf, year, 4);
	*p++ = '-', p = digits(p, month, 2);
	*p++ = '-', p = digits(p, day, 2);
	*p++ = 'T', p = digits(p, ms / 3600000, 2);
	*p++ = ':', p = digits(p, ms / 60000 % 60, 2);
	*p++ = ':', p = digits(p, ms / 1000 % 60, 2);
	*p++ = '.', p = digits(p, ms % 1000, 3);
	*p++ = 'Z', *p = '\0';
	return (size_t)(p - buf);
}

/* Exactly n digits at *p, within lowest..highest. */
static bool number(const char **p, int n, int lowest, int highest, int *ret)
{
	int v = 0;
	for (int i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (**p - '0');
	}
	*ret = v;
	return v >= lowest && v <= highest;
}

static bool is(const char **p, char c)
{
	return *(*p)++ == c;
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap);
}

static bool offset(const char **p, int64_t *ret_ms)
{
	char sign = *(*p)++;
	int h = 0, m = 0;
	*ret_ms = 0;
	if (sign == 'Z' || sign == 'z')
		return true;
	if ((sign != '+' && sign != '-') || !number(p, 2, 0, 23, &h) || !is(p, ':') || !number(p, 2, 0, 59, &m))
		return false;
	*ret_ms = (h * 60 + m) * INT64_C(60000) * (sign == '-' ? -1 : 1);
	return true;
}

bool vs_time_parse(const char *p, int64_t *ret_wall_ms)
{
	int year, month, day, h, m, s, ms = 0;
	int64_t off;
	if (!number(&p, 4, 0, 9999, &year) || !is(&p, '-') || !number(&p, 2, 1, 12, &month) || !is(&p, '-') ||
	    !number(&p, 2, 1, days_in(year, month), &day))
		return false;
	if (*p != 'T' && *p != 't' && *p != ' ')
		return false;
	p++;
	if (!number(&p, 2, 0, 23, &h) || !is(&p, ':') || !number(&p, 2, 0, 59, &m) || !is(&p, ':') ||
	    !number(&p, 2, 0, 60, &s))
		return false;
	if (*p == '.') {
		p++;
		int weight = 100, n = 0;
		for (; *p >= '0' && *p <= '9'; p++, n++, weight /= 10)
			ms += (*p - '0') * weight;
		if (n == 0)
			return false;
	}
	if (!offset(&p, &off) || *p != '\0')
		return false;
	*ret_wall_ms = ((days_of(year, (unsigned)month, (unsigned)day) * 24 + h) * 60 + m) * 60000 + s * 1000 + ms - off;
	return true;
}
