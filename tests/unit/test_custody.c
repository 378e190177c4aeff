/* The ring: what was committed is there after any death, what was not is not; readers see all of it, once, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/crc32c.h"
#include "daemon/custody.h"
#include "daemon/record.h"

static char path[64];

static int fresh(void **state)
{
	(void)state;
	strcpy(path, "/tmp/vs-custody-XXXXXX");
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int gone(void **state)
{
	(void)state;
	char bad[80];
	snprintf(bad, sizeof bad, "%s.bad", path);
	unlink(bad);
	return unlink(path);
}

static struct vs_custody *open_ring(size_t bytes)
{
	struct vs_custody *c = NULL;
	assert_int_equal(vs_custody_open(path, bytes, &c), 0);
	return c;
}

/* An event whose every field follows from its number. */
static struct vs_event numbered(uint64_t seq, char *body, size_t cap)
{
	size_t filler = seq * 37 % 400;
	int n = snprintf(body, cap, "\"n\":%llu,\"filler\":\"%*s\"", (unsigned long long)seq, (int)filler, "x");
	return (struct vs_event){ .kind = VS_KIND_ALARM, .site = "ward", .chair = "chair-1",
				  .session = seq % 3 ? "s-20261121-3" : NULL, .epoch = 7, .seq = seq,
				  .wall_ms = 1700000000000 + (int64_t)seq, .body = body, .body_len = (size_t)n };
}

static int add_numbered(struct vs_custody *c, uint64_t seq)
{
	char body[512];
	struct vs_event e = numbered(seq, body, sizeof body);
	return vs_custody_add(c, &e);
}

/* True: the record is exactly the numbered event. */
static bool is_numbered(const struct vs_custody_record *r, uint64_t seq)
{
	char body[512];
	struct vs_event want = numbered(seq, body, sizeof body);
	const struct vs_event *got = &r->event;
	return !r->is_state && got->kind == want.kind && got->epoch == want.epoch && got->seq == seq &&
	       got->wall_ms == want.wall_ms && strcmp(got->site, want.site) == 0 && strcmp(got->chair, want.chair) == 0 &&
	       (want.session ? got->session && strcmp(got->session, want.session) == 0 : !got->session) &&
	       got->body_len == want.body_len && memcmp(got->body, want.body, want.body_len) == 0;
}

/* Steps of one to four events. */
static uint64_t write_step(struct vs_custody *c, uint64_t seq)
{
	unsigned n = 1 + (unsigned)(seq % 4);
	vs_custody_begin(c);
	for (unsigned i = 0; i < n; i++)
		if (add_numbered(c, seq + i) < 0)
			return 0;
	vs_custody_commit(c);
	return seq + n;
}

/* Reads what there is; every event must be the next number.  Returns the number after the last. */
static uint64_t read_all(struct vs_custody_reader *r, uint64_t seq)
{
	struct vs_custody_record rec;
	int n;
	while ((n = vs_custody_next(r, &rec)) == 1) {
		if (!is_numbered(&rec, seq))
			fail_msg("record %llu is not what was written (seq %llu)", (unsigned long long)seq,
				 (unsigned long long)rec.event.seq);
		seq++;
	}
	assert_int_equal(n, 0);
	return seq;
}

static void checksum_is_castagnoli(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		uint32_t crc;
	} story[] = {
		{ "123456789", 9, 0xe3069283 },       /* the check value of the catalogue */
		{ "", 0, 0 },
		{ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32, 0x8a9136aa }, /* RFC 3720, B.4 */
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++)
		assert_int_equal(vs_crc32c(story[i].bytes, story[i].len), story[i].crc);
}

static void a_reading_comes_back_whole(void **state)
{
	(void)state;
	static const char *const own[VS_FLAG_OWN_COUNT] = { [2] = "cuff_worn", [15] = "service_due" };
	struct vs_reading in = { .flags = VS_FLAG(LOW_BATTERY) | UINT64_C(1) << 63, .own_flags = own };
	vs_reading_add(&in, VS_SPO2, 97.5, VS_FLAG(MOTION) | UINT64_C(1) << 50);
	vs_reading_add_none(&in, VS_PR, VS_FLAG(SENSOR_OFF));
	vs_reading_add_none(&in, VS_NIBP_SYS, VS_FLAG(DEVICE_ERROR));
	in.obs[2].device_error = 87;
	vs_reading_add_word(&in, VS_NIBP_EVENT, "done");
	struct vs_event e = { .kind = VS_KIND_VITALS, .site = "ward", .chair = "chair-1", .epoch = 1, .seq = 9,
			      .wall_ms = 5, .device = "oximeter", .reading = &in };
	struct vs_custody *c = open_ring(0);
	vs_custody_begin(c);
	assert_int_equal(vs_custody_add(c, &e), 0);
	assert_int_equal(vs_custody_state(c, "chair-2", "\0state", 6), 0);
	vs_custody_commit(c);
	struct vs_custody_reader *r = vs_custody_reader(c, VS_READER_LOG);
	struct vs_custody_record rec;
	char before[1024], after[1024];
	assert_int_equal(vs_custody_next(r, &rec), 1);
	assert_true(vs_event_message(&e, before, sizeof before) > 0);
	assert_true(vs_event_message(&rec.event, after, sizeof after) > 0);
	assert_string_equal(before, after);
	assert_int_equal(rec.reading.obs[2].device_error, 87);
	assert_int_equal(vs_custody_next(r, &rec), 1);
	assert_true(rec.is_state && rec.state_len == 6 && memcmp(rec.state, "\0state", 6) == 0);
	assert_string_equal(rec.event.chair, "chair-2");
	assert_int_equal(vs_custody_next(r, &rec), 0);
	vs_custody_close(c);
}

static void steps_are_all_or_nothing(void **state)
{
	(void)state;
	struct vs_custody *c = open_ring(0);
	struct vs_custody_reader *r = vs_custody_reader(c, VS_READER_LOG);
	vs_custody_begin(c);
	add_numbered(c, 1);
	add_numbered(c, 2);
	assert_int_equal(read_all(r, 1), 1); /* nothing before commit */
	vs_custody_begin(c);                 /* the step before was never committed */
	add_numbered(c, 1);
	vs_custody_commit(c);
	vs_custody_commit(c);                /* nothing new */
	assert_int_equal(read_all(r, 1), 2);
	vs_custody_close(c);
}

static void cursors_move_only_when_done(void **state)
{
	(void)state;
	struct vs_custody *c = open_ring(0);
	uint64_t next = write_step(c, 1);
	struct vs_custody_reader *log = vs_custody_reader(c, VS_READER_LOG);
	struct vs_custody_reader *publisher = vs_custody_reader(c, VS_READER_PUBLISHER);
	assert_int_equal(read_all(log, 1), next);
	vs_custody_rewind(log);
	assert_int_equal(read_all(log, 1), next); /* again: a COMMIT that failed */
	assert_int_equal(read_all(publisher, 1), next);
	vs_custody_done(log);
	vs_custody_close(c);

	c = open_ring(0); /* the publisher was not done */
	assert_int_equal(vs_custody_backlog(c, VS_READER_LOG), 0);
	assert_true(vs_custody_backlog(c, VS_READER_PUBLISHER) > 0);
	assert_int_equal(read_all(vs_custody_reader(c, VS_READER_PUBLISHER), 1), next);
	assert_int_equal(read_all(vs_custody_reader(c, VS_READER_LOG), next), next);
	vs_custody_close(c);
}

/* Many laps, so that records come to lie across the seam at every offset. */
static void laps_have_no_seam(void **state)
{
	(void)state;
	struct vs_custody *c = open_ring(VS_CUSTODY_MIN);
	struct vs_custody_reader *log = vs_custody_reader(c, VS_READER_LOG);
	struct vs_custody_reader *publisher = vs_custody_reader(c, VS_READER_PUBLISHER);
	uint64_t next = 1, logged = 1, published = 1;
	for (int i = 0; i < 20000; i++) {
		next = write_step(c, next);
		assert_true(next > 0);
		if (i % 5 == 0) {
			logged = read_all(log, logged);
			vs_custody_done(log);
		}
		if (i % 7 == 0) {
			published = read_all(publisher, published);
			vs_custody_done(publisher);
		}
	}
	assert_int_equal(read_all(log, logged), next);
	assert_int_equal(read_all(publisher, published), next);
	vs_custody_close(c);
}

static struct vs_event small_reading(struct vs_reading *r, uint64_t seq)
{
	*r = (struct vs_reading){ .len = 0 };
	vs_reading_add(r, VS_SPO2, 97, 0);
	return (struct vs_event){ .kind = VS_KIND_VITALS, .site = "ward", .chair = "chair-1", .epoch = 7, .seq = seq,
				  .device = "oximeter", .reading = r };
}

static void readings_are_given_up_before_alarms(void **state)
{
	(void)state;
	struct vs_custody *c = open_ring(VS_CUSTODY_MIN);
	struct vs_reading reading;
	uint64_t readings = 0, alarms = 0;
	int r;
	for (;; readings++) {
		struct vs_event e = small_reading(&reading, readings + 1);
		vs_custody_begin(c);
		r = vs_custody_add(c, &e);
		vs_custody_commit(c);
		if (r < 0)
			break;
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(vs_custody_given_up(c), 1);
	assert_in_range(vs_custody_backlog(c, VS_READER_LOG), VS_CUSTODY_MIN / 2 - 256, VS_CUSTODY_MIN / 2);
	for (;; alarms++) {
		vs_custody_begin(c);
		r = add_numbered(c, alarms + 1);
		vs_custody_commit(c);
		if (r < 0)
			break;
	}
	assert_int_equal(r, -ENOSPC); /* what custody cannot keep is not published either: the outbox has it */
	assert_true(alarms > 20);
	assert_in_range(vs_custody_room(c), 0, 1024);

	struct vs_custody_record rec;
	struct vs_custody_reader *log = vs_custody_reader(c, VS_READER_LOG);
	for (uint64_t i = 1; i <= readings; i++) {
		assert_int_equal(vs_custody_next(log, &rec), 1);
		assert_int_equal(rec.event.kind, VS_KIND_VITALS);
		assert_int_equal(rec.event.seq, i);
	}
	uint64_t recorded = 0;
	while (vs_custody_next(log, &rec) == 1)
		assert_true(is_numbered(&rec, rec.event.seq) && rec.event.seq > recorded++);
	assert_int_equal(recorded, alarms);
	vs_custody_done(log);
	struct vs_custody_reader *publisher = vs_custody_reader(c, VS_READER_PUBLISHER);
	while (vs_custody_next(publisher, &rec) == 1 && rec.event.kind == VS_KIND_VITALS)
		;
	assert_true(is_numbered(&rec, 1));
	assert_int_equal(read_all(publisher, 2), alarms + 1);
	vs_custody_begin(c);
	struct vs_event e = small_reading(&reading, readings + 1);
	assert_int_equal(vs_custody_add(c, &e), 0); /* room again */
	vs_custody_close(c);
}

/* `alive` takes nothing of the log's room, comes in its place, and an old one gives way to a new one. */
static void signs_of_life_go_beside_the_record(void **state)
{
	(void)state;
	struct vs_custody *c = open_ring(VS_CUSTODY_MIN);
	struct vs_custody_reader *publisher = vs_custody_reader(c, VS_READER_PUBLISHER);
	struct vs_custody_record rec;
	struct vs_event alive = { .kind = VS_KIND_ALIVE, .site = "ward", .chair = "chair-1", .epoch = 7,
				  .body = "\"phase\":\"none\"", .body_len = 14 };
	uint64_t next = 1;
	for (unsigned i = 0; i < 20; i++) {
		next = write_step(c, next);
		alive.seq++;
		vs_custody_begin(c), vs_custody_add(c, &alive), vs_custody_commit(c);
	}
	for (uint64_t seq = 1, lives = 1; lives <= 20; lives++) {
		while (vs_custody_next(publisher, &rec) == 1 && rec.event.kind == VS_KIND_ALARM)
			assert_true(is_numbered(&rec, seq++));
		assert_int_equal(rec.event.kind, VS_KIND_ALIVE);
		assert_int_equal(rec.event.seq, lives);
		assert_string_equal(rec.event.body, "\"phase\":\"none\"");
	}
	assert_int_equal(vs_custody_next(publisher, &rec), 0);
	assert_int_equal(read_all(vs_custody_reader(c, VS_READER_LOG), 1), next);

	for (; alive.seq < 50000; alive.seq++) /* nobody takes them: hours of a dead publisher */
		vs_custody_begin(c), vs_custody_add(c, &alive), vs_custody_commit(c);
	assert_int_equal(vs_custody_backlog(c, VS_READER_LOG), vs_custody_backlog(c, VS_READER_PUBLISHER));
	assert_int_equal(vs_custody_next(publisher, &rec), -ESTALE);
	vs_custody_begin(c), vs_custody_add(c, &alive), vs_custody_commit(c);
	assert_int_equal(vs_custody_next(publisher, &rec), 1);
	assert_int_equal(rec.event.seq, 50000);
	vs_custody_close(c);
}

static void a_record_has_a_longest_size(void **state)
{
	(void)state;
	static char big[VS_CUSTODY_RECORD_MAX];
	struct vs_custody *c = open_ring(0);
	vs_custody_begin(c);
	assert_int_equal(vs_custody_state(c, "chair-1", big, sizeof big), -E2BIG);
	assert_int_equal(vs_custody_state(c, "chair-1", big, sizeof big - 256), 0);
	vs_custody_close(c);
}

/* A publisher that hangs is overtaken: it never stops the log, and never reads a record that is half overwritten. */
static void a_hanging_publisher_is_overtaken(void **state)
{
	(void)state;
	struct vs_custody *c = open_ring(VS_CUSTODY_MIN);
	struct vs_custody_reader *log = vs_custody_reader(c, VS_READER_LOG);
	struct vs_custody_reader *publisher = vs_custody_reader(c, VS_READER_PUBLISHER);
	struct vs_custody_record rec;
	uint64_t next = 1, logged = 1;
	for (int i = 0; i < 2000; i++) {
		next = write_step(c, next);
		assert_true(next > 0);
		logged = read_all(log, logged);
		vs_custody_done(log);
	}
	assert_int_equal(vs_custody_next(publisher, &rec), -ESTALE);
	assert_int_equal(vs_custody_next(publisher, &rec), 1);
	uint64_t seen = rec.event.seq;
	assert_in_range(seen, 2, next);
	assert_true(is_numbered(&rec, seen));
	assert_int_equal(read_all(publisher, seen + 1), next);
	vs_custody_close(c);
}

static void a_scan_shows_what_is_not_in_the_log(void **state)
{
	(void)state;
	struct vs_custody *c = open_ring(VS_CUSTODY_MIN);
	struct vs_custody_reader *log = vs_custody_reader(c, VS_READER_LOG);
	struct vs_custody_reader *scan;
	struct vs_custody_record rec;
	uint64_t logged = write_step(c, 1);
	read_all(log, 1);
	vs_custody_done(log);
	uint64_t next = write_step(c, logged);
	assert_int_equal(vs_custody_scan(vs_custody_reader(c, VS_READER_PUBLISHER), &scan), 0);
	assert_int_equal(read_all(scan, logged), next);
	vs_custody_done(scan); /* it has no cursor to move */
	assert_true(vs_custody_backlog(c, VS_READER_LOG) > 0);
	vs_custody_detach(scan);

	assert_int_equal(vs_custody_scan(log, &scan), 0);
	for (int i = 0; i < 2000; i++) {
		next = write_step(c, next);
		logged = read_all(log, logged);
		vs_custody_done(log);
		vs_custody_next(vs_custody_reader(c, VS_READER_PUBLISHER), &rec);
	}
	assert_int_equal(vs_custody_next(scan, &rec), -ESTALE); /* while it looked, the log went on */
	vs_custody_detach(scan);
	vs_custody_close(c);
}

static void two_daemons_do_not_share_a_ring(void **state)
{
	(void)state;
	struct vs_custody *c = open_ring(0), *second = NULL;
	assert_int_equal(vs_custody_open(path, 0, &second), -EBUSY);
	assert_null(second);
	int heir = vs_custody_dup(c); /* a publisher that outlives its daemon does not keep the lock */
	assert_true(heir >= 0);
	vs_custody_close(c);
	c = open_ring(0);
	vs_custody_close(c);
	close(heir);
}

static void the_epoch_and_the_size_outlive_the_owner(void **state)
{
	(void)state;
	struct vs_custody *c = open_ring(VS_CUSTODY_MIN);
	assert_int_equal(vs_custody_epoch(c), 0);
	vs_custody_set_epoch(c, 41);
	uint64_t next = write_step(c, 1);
	vs_custody_close(c);
	c = open_ring(4 * VS_CUSTODY_MIN); /* not drained: the old size stays */
	assert_int_equal(vs_custody_size(c), VS_CUSTODY_MIN);
	for (int which = 0; which < VS_READER_COUNT; which++) {
		assert_int_equal(read_all(vs_custody_reader(c, which), 1), next);
		vs_custody_done(vs_custody_reader(c, which));
	}
	vs_custody_close(c);
	c = open_ring(4 * VS_CUSTODY_MIN);
	assert_int_equal(vs_custody_size(c), 4 * VS_CUSTODY_MIN);
	assert_int_equal(vs_custody_epoch(c), 41);
	vs_custody_close(c);
}

/* After a reboot CLOCK_BOOTTIME begins anew: what the owner said last is told from this boot's by the kernel's id. */
static void a_boot_is_told_from_the_one_before(void **state)
{
	(void)state;
	uint64_t boot_ms;
	int64_t wall_ms;
	char id[37] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
	assert_true(f && fread(id, 1, 36, f) == 36);
	fclose(f);
	struct vs_custody *c = open_ring(VS_CUSTODY_MIN);
	assert_false(vs_custody_lived(c, &boot_ms, &wall_ms));
	assert_false(vs_custody_same_boot(c)); /* nobody ever lived */
	vs_custody_lives(c, 5000, 1700000000000);
	vs_custody_close(c);
	c = open_ring(VS_CUSTODY_MIN);
	assert_true(vs_custody_lived(c, &boot_ms, &wall_ms));
	assert_true(boot_ms == 5000 && wall_ms == 1700000000000);
	assert_true(vs_custody_same_boot(c));
	vs_custody_close(c);
	char page[4096];
	int fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, page, sizeof page, 0), sizeof page);
	char *at = memmem(page, sizeof page, id, 36);
	assert_non_null(at);
	*at = *at == '0' ? '1' : '0'; /* another boot's */
	assert_int_equal(pwrite(fd, at, 1, at - page), 1);
	close(fd);
	c = open_ring(VS_CUSTODY_MIN);
	assert_true(vs_custody_lived(c, &boot_ms, &wall_ms));
	assert_false(vs_custody_same_boot(c));
	vs_custody_close(c);
}

static void what_is_no_ring_is_set_aside(void **state)
{
	(void)state;
	char bad[80], text[16] = "";
	int fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, "somebody's notes", 16), 16);
	close(fd);
	struct vs_custody *c = open_ring(0);
	uint64_t next = write_step(c, 1);
	assert_int_equal(read_all(vs_custody_reader(c, VS_READER_LOG), 1), next);
	vs_custody_close(c);
	snprintf(bad, sizeof bad, "%s.bad", path);
	fd = open(bad, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof text), 16);
	assert_memory_equal(text, "somebody's notes", 16);
	close(fd);
}

/* ---- Death at every instant ---- */

static void *image_of_file(size_t *len)
{
	int fd = open(path, O_RDONLY);
	*len = (size_t)lseek(fd, 0, SEEK_END);
	void *p = malloc(*len);
	assert_int_equal(pread(fd, p, *len, 0), *len);
	close(fd);
	return p;
}

static void put_image(const void *image, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, image, len), len);
	close(fd);
}

/* Every prefix of the bytes that a step writes, in the order in which they are written: what a process can leave that
 * is killed there.  And, as a power cut may, the new head with each of those prefixes. */
static void a_step_cut_at_any_byte_is_not_there(void **state)
{
	(void)state;
	size_t len;
	struct vs_custody *c = open_ring(VS_CUSTODY_MIN);
	uint64_t kept = write_step(c, write_step(c, 1));
	uint8_t *before = image_of_file(&len);
	uint64_t next = write_step(c, kept);
	assert_true(next >= kept + 2);
	uint8_t *after = image_of_file(&len), *mixed = malloc(len);
	vs_custody_close(c);
	const size_t data = 11 * 65536; /* the writer's page, two readers', 8 of the side lane */
	int journal = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	dup2(null, STDERR_FILENO); /* it says every time that something was dropped */
	size_t first = data, last = len;
	while (before[first] == after[first])
		first++;
	while (before[last - 1] == after[last - 1])
		last--;
	for (int head_is_new = 0; head_is_new < 2; head_is_new++) {
		for (size_t cut = first; cut < last; cut++) {
			memcpy(mixed, head_is_new ? after : before, data);
			memcpy(mixed + data, after + data, cut - data);
			memcpy(mixed + cut, before + cut, len - cut);
			put_image(mixed, len);
			c = open_ring(VS_CUSTODY_MIN);
			struct vs_custody_reader *r = vs_custody_reader(c, VS_READER_LOG);
			if (read_all(r, 1) != kept)
				fail_msg("cut at byte %zu, head %s", cut - first, head_is_new ? "new" : "old");
			assert_int_equal(write_step(c, kept), next); /* and it goes on from there */
			assert_int_equal(read_all(r, kept), next);
			vs_custody_close(c);
		}
	}
	dup2(journal, STDERR_FILENO);
	close(journal), close(null);
	free(before), free(after), free(mixed);
}

struct told {
	_Atomic uint64_t committed; /* the number after the last step whose commit has returned */
	_Atomic uint64_t published; /* the number after the last that the publisher has given away */
};

static void writer_until_killed(struct told *told, uint64_t next)
{
	struct vs_custody *c = NULL;
	if (vs_custody_open(path, VS_CUSTODY_MIN, &c) < 0)
		_exit(2);
	struct vs_custody_reader *log = vs_custody_reader(c, VS_READER_LOG);
	struct vs_custody_reader *publisher = vs_custody_reader(c, VS_READER_PUBLISHER);
	struct vs_custody_record rec;
	for (;;) {
		if (vs_custody_backlog(c, VS_READER_LOG) > VS_CUSTODY_MIN - 4096) { /* nearly full: the log takes one half */
			for (size_t half = vs_custody_backlog(c, VS_READER_LOG) / 2;
			     vs_custody_backlog(c, VS_READER_LOG) > half; vs_custody_done(log))
				if (vs_custody_next(log, &rec) != 1)
					_exit(3);
		}
		uint64_t after = write_step(c, next);
		told->committed = next = after;
		while (vs_custody_next(publisher, &rec) == 1) {
			told->published = rec.event.seq + 1;
			vs_custody_done(publisher);
		}
	}
}

/* kill -9 at random instants, again and again on the same ring: nothing half, nothing lost, the numbers contiguous, and
 * whatever was published is in the ring or was done by the log. */
static void kill_9_loses_nothing(void **state)
{
	(void)state;
	struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(told != MAP_FAILED);
	uint64_t next = 1, oldest = 1;
	unsigned random = 12345;
	for (int i = 0; i < 60; i++) {
		told->committed = next;
		pid_t pid = fork();
		if (pid == 0)
			writer_until_killed(told, next);
		random = random * 1103515245u + 12345u;
		while (i % 2 && told->committed == next) /* each second time it has begun, however busy the machine is */
			usleep(100);
		usleep(500 + (random >> 16) % 12000);
		kill(pid, SIGKILL);
		int status;
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		struct vs_custody *c = open_ring(VS_CUSTODY_MIN);
		struct vs_custody_reader *r = vs_custody_reader(c, VS_READER_LOG);
		struct vs_custody_record rec;
		uint64_t seq = 0;
		if (vs_custody_next(r, &rec) == 1) {
			assert_in_range(rec.event.seq, oldest, told->committed + 4);
			oldest = seq = rec.event.seq;
			assert_true(is_numbered(&rec, seq));
			seq = read_all(r, seq + 1);
			assert_in_range(seq, told->committed, told->committed + 4); /* one step may be committed and untold */
			assert_true(seq >= told->published);
			next = seq;
		} else {
			assert_int_equal(told->committed, next);
		}
		vs_custody_close(c);
	}
	assert_true(next > 100);
	munmap(told, sizeof *told);
}

/* ---- Two processes ---- */

static int other_process(int fd, int wake_fd, uint64_t last)
{
	struct vs_custody_reader *r;
	struct vs_custody_record rec;
	uint64_t seq = 1;
	int vain = 0; /* it may be woken in vain now and then, but not for 5 s */
	if (vs_custody_attach(fd, wake_fd, VS_READER_PUBLISHER, &r) < 0)
		return 2;
	while (seq < last) {
		if (!vs_custody_wait(r, false, 500) && ++vain > 10)
			return 3;
		int n = vs_custody_next(r, &rec);
		if (n == 1 && !is_numbered(&rec, seq++))
			return 4;
		if (n < 0)
			return 5;
		vs_custody_done(r);
	}
	vs_custody_detach(r);
	return 0;
}

static void another_process_reads_and_is_woken(void **state)
{
	(void)state;
	const uint64_t last = 3000;
	struct vs_custody *c = open_ring(VS_CUSTODY_DEFAULT);
	int fd = vs_custody_dup(c), wake_fd = vs_custody_wake_fd(c, VS_READER_PUBLISHER);
	pid_t pid = fork();
	if (pid == 0)
		_exit(other_process(fd, wake_fd, last));
	for (uint64_t next = 1; next < last;) {
		next = write_step(c, next);
		assert_true(next > 0);
		if (next % 50 == 0)
			usleep(1000); /* let it fall asleep */
	}
	int status;
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_in_range(vs_custody_backlog(c, VS_READER_PUBLISHER), 0, 4 * 600);
	vs_custody_close(c);
	close(fd);
}

static void readings_let_a_napping_reader_sleep(void **state)
{
	(void)state;
	struct vs_reading reading;
	struct vs_event e = small_reading(&reading, 1);
	struct vs_custody *c = open_ring(0);
	struct vs_custody_reader *r = vs_custody_reader(c, VS_READER_PUBLISHER);
	assert_true(vs_custody_arm(r, true));
	vs_custody_begin(c), vs_custody_add(c, &e), vs_custody_commit(c);
	uint64_t count;
	assert_int_equal(read(vs_custody_wake_fd(c, VS_READER_PUBLISHER), &count, sizeof count), -1);
	assert_true(vs_custody_arm(r, true));   /* still nothing urgent */
	assert_false(vs_custody_arm(r, false)); /* but something */
	assert_true(vs_custody_arm(r, true));
	write_step(c, 1);
	assert_int_equal(read(vs_custody_wake_fd(c, VS_READER_PUBLISHER), &count, sizeof count), sizeof count);
	assert_false(vs_custody_arm(r, true)); /* the alarm waits */
	vs_custody_close(c);
}

static void an_attached_reader_cannot_write_the_ring(void **state)
{
	(void)state;
	struct vs_custody *c = open_ring(0);
	int fd = vs_custody_dup(c);
	write_step(c, 1);
	pid_t pid = fork();
	if (pid == 0) {
		struct vs_custody_reader *r;
		if (vs_custody_attach(fd, vs_custody_wake_fd(c, VS_READER_PUBLISHER), VS_READER_PUBLISHER, &r) < 0)
			_exit(2);
		signal(SIGSEGV, SIG_DFL);
		**(volatile uint8_t **)r = 0; /* the mapping is the reader's first member */
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	vs_custody_close(c);
	close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_is_castagnoli),
		TEST(a_reading_comes_back_whole),
		TEST(steps_are_all_or_nothing),
		TEST(cursors_move_only_when_done),
		TEST(laps_have_no_seam),
		TEST(readings_are_given_up_before_alarms),
		TEST(signs_of_life_go_beside_the_record),
		TEST(a_record_has_a_longest_size),
		TEST(a_hanging_publisher_is_overtaken),
		TEST(a_scan_shows_what_is_not_in_the_log),
		TEST(two_daemons_do_not_share_a_ring),
		TEST(the_epoch_and_the_size_outlive_the_owner),
		TEST(a_boot_is_told_from_the_one_before),
		TEST(what_is_no_ring_is_set_aside),
		TEST(a_step_cut_at_any_byte_is_not_there),
		TEST(kill_9_loses_nothing),
		TEST(another_process_reads_and_is_woken),
		TEST(readings_let_a_napping_reader_sleep),
		TEST(an_attached_reader_cannot_write_the_ring),
	};
	return cmocka_run_group_tests_name("custody", tests, NULL, NULL);
}
