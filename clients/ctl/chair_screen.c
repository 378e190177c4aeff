#include "clients/ctl/chair_screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PLAIN, RED, YELLOW, CYAN, GREEN };
static bool colours, utf8;
static SCREEN *screen;

int vs_screen_open(void)
{
	const char *no_color = getenv("NO_COLOR");
	setlocale(LC_CTYPE, "");
	utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	screen = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? newterm(NULL, stdout, stdin) : NULL;
	if (!screen)
		return -ENOTTY;
	cbreak(), noecho(), nonl(), curs_set(0);
	keypad(stdscr, TRUE);
	set_escdelay(50);
	colours = has_colors() && !(no_color && *no_color);
	if (!colours)
		return 0;
	start_color();
	use_default_colors();
	init_pair(RED, COLOR_RED, -1);
	init_pair(YELLOW, COLOR_YELLOW, -1);
	init_pair(CYAN, COLOR_CYAN, -1);
	init_pair(GREEN, COLOR_GREEN, -1);
	return 0;
}

void vs_screen_close(void)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

int vs_screen_key(int wait_ms)
{
	timeout(wait_ms);
	int key = getch();
	if (key == '\r' || key == KEY_ENTER)
		return VS_KEY_ENTER;
	if (key == KEY_BACKSPACE || key == 127)
		return VS_KEY_BACK;
	return key < 256 ? key : VS_KEY_NONE; /* other keys and a new size: only drawn again */
}

/* ---- drawing ---- */

static chtype paint(int colour)
{
	return colours && colour ? (chtype)COLOR_PAIR(colour) : 0;
}

/* Text in at most width columns, within the screen. */
static void put(int y, int x, int width, chtype look, const char *text)
{
	if (x + width > COLS)
		width = COLS - x;
	if (y < 0 || y >= LINES || width <= 0)
		return;
	attrset((attr_t)look);
	mvaddnstr(y, x, text, width);
	attrset(A_NORMAL);
}

static void put_bar(int y, chtype look, const char *text)
{
	if (y < 0 || y >= LINES)
		return;
	attrset((attr_t)look);
	mvhline(y, 0, ' ' | look, COLS);
	mvaddnstr(y, 0, text, COLS);
	attrset(A_NORMAL);
}

/* Digits of 3 by 5 cells. */
static const char *shape(char c)
{
	static const struct {
		char c;
		const char *cells;
	} shapes[] = {
		{ '0', "####.##.##.####" }, { '1', ".#.##..#..#.###" }, { '2', "###..#####..###" }, { '3', "###..####..####" },
		{ '4', "#.##.####..#..#" }, { '5', "####..###..####" }, { '6', "####..####.####" }, { '7', "###..#..#.#..#." },
		{ '8', "####.#####.####" }, { '9', "####.####..####" }, { '-', "......###......" }, { '/', "..#..#.#.#..#.." },
	};
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (shapes[i].c == c)
			return shapes[i].cells;
	return "...............";
}

/* Cells are blanks in reverse, which any terminal has; where even that is missing, '#'. */
static void put_big(int y, int x, int width, chtype look, const char *text)
{
	bool reverse = termattrs() & A_REVERSE;
	for (; *text && width >= 3; text++, x += 4, width -= 4) {
		const char *cells = shape(*text);
		for (int i = 0; i < 15; i++)
			if (cells[i] == '#')
				mvaddch(y + i / 3, x + i % 3, reverse ? ' ' | A_REVERSE | look : '#' | look);
	}
}

/* Flashing as IEC 60601-1-8 has it: high 2 Hz, medium 0.67 Hz, low steady; a seen alarm stands still. */
static chtype look_of(const struct vs_bedside_alarm *a, int64_t tick_ms)
{
	int colour = a->priority == 3 ? RED : a->priority == 2 ? YELLOW : CYAN;
	bool lit = a->priority == 3 ? tick_ms / 250 % 2 == 0 : a->priority == 2 ? tick_ms / 750 % 2 == 0 : false;
	return paint(colour) | A_BOLD | (a->sounds && lit ? A_REVERSE : 0);
}

static void draw_head(const struct vs_screen_shows *s)
{
	const struct vs_bedside *b = s->bedside;
	char line[512], clock[16] = "";
	struct tm tm;
	time_t now = (time_t)(b->now_ms / 1000);
	if (b->connected && localtime_r(&now, &tm))
		strftime(clock, sizeof clock, "%H:%M:%S", &tm);
	snprintf(line, sizeof line, " %s  %s  %s  %s %s", b->chair, b->connected ? b->phase : "?",
		 *b->session ? b->session : b->connected ? "no session: watched with the absolute limits" : "", b->patient,
		 *b->session ? b->protocol : "");
	put_bar(0, A_REVERSE, line);
	put(0, COLS - 24, 24, A_REVERSE, "                        ");
	snprintf(line, sizeof line, "%.13s", s->operator_name);
	put(0, COLS - 23, 13, A_REVERSE, line);
	put(0, COLS - 9, 8, A_REVERSE, clock);
	put(1, 1, COLS - 2, A_NORMAL, b->clocks);
	if (*s->banner)
		put_bar(2, A_REVERSE | A_BOLD | paint(RED), s->banner);
	else
		put(2, 1, COLS - 2, paint(YELLOW), b->devices);
}

/* Of a priority, 0: none. */
static const int colour_of[] = { PLAIN, CYAN, YELLOW, RED };
static const char *const marks[] = { "", "*", "**", "***" };

static void words_of(const struct vs_bedside_number *n, char *line, size_t cap)
{
	snprintf(line, cap, "%s%s%s %s", n->number, *n->extra ? " " : "", n->extra, n->unit);
}

/* Big digits, and the same in text, with everything that belongs to a value. */
static void draw_tiles(const struct vs_screen_shows *s, int y)
{
	static const int at[VS_TILE_COUNT] = { 1, 15, 29, 58 }, width[VS_TILE_COUNT] = { 13, 13, 28, 21 };
	for (unsigned i = 0; i < VS_TILE_COUNT; i++) {
		const struct vs_bedside_number *n = &s->bedside->tile[i];
		char line[120];
		snprintf(line, sizeof line, "%s %s", n->label, marks[n->alarm]);
		put(y, at[i], width[i], A_BOLD | paint(colour_of[n->alarm]), line);
		put_big(y + 1, at[i], width[i], paint(n->alarm ? colour_of[n->alarm] : n->live ? GREEN : PLAIN), n->number);
		words_of(n, line, sizeof line);
		put(y + 6, at[i], width[i], A_BOLD, line);
		snprintf(line, sizeof line, "%s%s%s", n->age, *n->age && *n->note ? " " : "", n->note);
		put(y + 7, at[i], width[i], n->live && !*n->note ? A_NORMAL : A_BOLD | paint(YELLOW), line);
		snprintf(line, sizeof line, "%s%s", *n->limits ? "limit " : "", n->limits);
		put(y + 8, at[i], width[i], A_NORMAL, line);
		put(y + 9, at[i], width[i], A_NORMAL, n->device);
	}
}

/* On a small screen: a line a value. */
static void draw_lines(const struct vs_screen_shows *s, int y)
{
	for (int i = 0; i < VS_TILE_COUNT; i++) {
		const struct vs_bedside_number *n = &s->bedside->tile[i];
		char line[200], words[80];
		words_of(n, words, sizeof words);
		snprintf(line, sizeof line, "%-5s %-3s %-20s %-7s %s%s %s %s", n->label,
			 marks[n->alarm], words, n->age, *n->limits ? "limit " : "",
			 n->limits, n->note, n->device);
		put(y + i, 1, COLS - 2, n->live ? A_BOLD : A_NORMAL, line);
	}
}

static void draw_trends(const struct vs_screen_shows *s, int y)
{
	for (int i = 0; i < 3; i++) {
		char line[VS_TREND_MINUTES * 3 + 1], range[32];
		double low, high;
		const struct vs_bedside_number *n = &s->bedside->tile[i];
		vs_bedside_spark(&s->trend[i], VS_TREND_MINUTES, utf8, line, sizeof line, &low, &high);
		put(y + i, 1, 5, A_NORMAL, n->label);
		if (isnan(low))
			continue;
		if (COLS >= 80)
			mvaddstr(y + i, 6, line);
		snprintf(range, sizeof range, "%.0f..%.0f", low, high);
		if (s->bedside->connected) /* numbers on this screen are true now */
			put(y + i, COLS >= 80 ? 67 : 6, 13, A_NORMAL, range);
	}
}

static void draw_alarms(const struct vs_screen_shows *s, int y, int rows)
{
	const struct vs_bedside *b = s->bedside;
	unsigned fits = rows < 1 ? 0 : (unsigned)rows;
	if (!b->connected)
		return;
	if (b->n_alarms == 0)
		put(y, 1, COLS - 2, A_NORMAL, "no alarm stands");
	bool more = b->n_alarms > fits;
	for (unsigned i = 0; i < b->n_alarms && i + more < fits; i++) {
		char line[sizeof b->alarm[i].text + 4]; /* its key in front */
		snprintf(line, sizeof line, "%c %s", i < 9 ? (char)('1' + i) : ' ', b->alarm[i].text);
		put(y + (int)i, 1, COLS - 2, look_of(&b->alarm[i], s->tick_ms), line);
	}
	if (more && fits) {
		char line[80];
		snprintf(line, sizeof line, "... and %u more: vitalsctl alarm list", b->n_alarms - fits + 1);
		put(y + rows - 1, 1, COLS - 2, A_BOLD, line);
	}
}

static void draw_help(int y)
{
	static const char *const lines[] = {
		"a  acknowledge all alarms that sound; one that gets worse sounds again",
		"1-9  acknowledge that one alarm (asks first)",
		"p  pause the audio for 2 min; new alarms sound all the same",
		"r  let the audio sound again",
		"e  enter what you saw or did: moaas 5, pain 3, nausea mild, note ...",
		"f  another phase: baseline, infusion, paused, recovery, discharged, aborted;",
		"   words after it are the reason; it asks before it does it",
		"s  open a session: CODE PROTOCOL KG; dose 0.5, over 40, step 2 where ordered",
		"o  who you are, for the record",
		"q  leave this screen; the chair goes on being watched",
		"-- is: no value now.  Old numbers are never shown as if they were new.",
		"*** high   ** medium   * low priority",
		"v  override what was refused just now: its reason / the second person",
		"Everything else: vitalsctl --help",
		"Not a certified medical device: it never replaces watching the patient.",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		put(y + (int)i, 2, COLS - 3, A_NORMAL, lines[i]);
}

/* How much of a text stands in one row: whole words, where they are not longer than that. */
static size_t row_length(const char *text)
{
	size_t width = COLS > 2 ? (size_t)COLS - 2 : 1, n = strlen(text);
	if (n <= width)
		return n;
	for (n = width; n > 0 && text[n - 1] != ' '; n--)
		;
	return n ? n : width;
}

static int foot_rows(const struct vs_screen_shows *s)
{
	int rows = s->prompt != NULL;
	for (const char *text = s->message; *text; text += row_length(text))
		rows++;
	if (rows == 0)
		rows = 1;
	return rows > LINES / 3 ? LINES / 3 : rows;
}

/* From row y on: what became of the last key, in as many lines as it takes; the line that is being typed; the keys. */
static void draw_foot(const struct vs_screen_shows *s, int y)
{
	char line[400];
	int end = LINES - 1 - (s->prompt != NULL), width = COLS - 2;
	for (const char *text = s->message; *text && y < end; y++, text += row_length(text))
		put(y, 1, (int)row_length(text), A_BOLD, text);
	if (s->prompt) {
		snprintf(line, sizeof line, "%s%s_", s->prompt, s->typed);
		int over = (int)strlen(line) - width;
		put(LINES - 2, 1, width, A_BOLD, line + (over > 0 ? over : 0));
	}
	put_bar(LINES - 1, A_REVERSE, s->prompt ? " Enter: do it   Esc: leave it"
		: " a ack  p pause  r resume  e entry  f phase  s session  o who  ? help  q quit");
}

void vs_screen_draw(const struct vs_screen_shows *s)
{
	bool big = COLS >= 80 && LINES >= 22;
	int y = 3 + (big ? 10 : VS_TILE_COUNT);
	int foot = foot_rows(s);
	erase();
	draw_head(s);
	if (s->help) {
		draw_help(4);
	} else {
		if (big)
			draw_tiles(s, 3);
		else
			draw_lines(s, 3);
		if (LINES >= 18 && foot <= 2) /* a long answer takes the room of the trends, never that of the alarms */
			draw_trends(s, y), y += 3;
		draw_alarms(s, y, LINES - 1 - foot - y);
	}
	draw_foot(s, LINES - 1 - foot);
	refresh();
}
