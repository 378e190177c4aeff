#include "daemon/custody.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/record.h"
#include "daemon/say.h"

/* ---- The file: the writer's page, a page for each reader, the side lane, the ring ----
 *
 * The side lane is a small ring of its own for what the log does not want (`alive`): it belongs to the publisher alone and
 * is overwritten without asking.  A record in it says after how much of the ring it comes.
 *
 * Pages of 64 KiB, so that the layout is the same wherever the kernel's pages are up to that size. */

#define PAGE (64u << 10)
#define SIDE_BYTES (8 * PAGE)
#define SIDE_AT (PAGE * (1 + VS_READER_COUNT))
#define DATA_AT (SIDE_AT + SIDE_BYTES)
#define VERSION 4
static const char magic[8] = "vscustod";

enum lane { RING, SIDE };

struct lane_words {
	_Atomic uint64_t head;  /* all before it is visible */
	_Atomic uint64_t floor; /* all from it to head is intact */
};

struct head {
	char magic[8]; /* written last: a file without it was never finished */
	uint32_t version, spare;
	uint64_t bytes; /* of the ring */
	uint64_t epoch;
	uint64_t given_up;
	struct vs_vocabulary vocabulary;
	uint64_t lost;
	_Alignas(64) struct lane_words lane[2];
	_Atomic uint64_t steps, urgent_steps; /* committed, and the last of those that do not let a napping reader sleep */
	uint64_t lived_boot_ms;               /* when the owner was last known to live; 0: never said */
	int64_t lived_wall_ms;
	char lived_boot_id[40]; /* of the kernel, in which lived_boot_ms counts; "": unknown */
};

enum sleep_mode { AWAKE, ASLEEP, ASLEEP_URGENT };

struct desk {
	_Atomic uint64_t cursor;
	_Atomic uint64_t side_cursor;
	_Atomic uint32_t asleep;
	_Atomic uint32_t note;
};
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "processes share these words");

/* The mapping: each lane is followed by its own beginning, for as long as a record may be, so that none has a seam. */
struct map {
	uint8_t *base;
	size_t bytes; /* of the ring */
};
#define DATA_MAPPED_AT (DATA_AT + PAGE)

struct vs_custody_reader {
	struct map map;
	struct desk *desk; /* NULL: a scan */
	bool takes_side;
	int wake_fd;
	int lock_fd; /* of attach, else -1 */
	uint64_t position, side_position;
	uint64_t steps; /* seen before the last look that found nothing more */
	uint64_t dropped; /* pages before it are out of this process's memory */
	_Alignas(8) uint8_t copy[VS_CUSTODY_RECORD_MAX];
};

struct vs_custody {
	int fd;
	char *path;
	struct map map;
	uint64_t tail, side_tail; /* head and the step that is being written */
	uint64_t last;            /* where its last record in the ring begins */
	bool urgent;              /* that step */
	uint64_t boot_ms;
	int64_t wall_ms;
	char boot_id[sizeof((struct head *)0)->lived_boot_id];
	int wake_fd[VS_READER_COUNT];
	struct vs_custody_reader *readers[VS_READER_COUNT];
	_Alignas(8) uint8_t scratch[VS_CUSTODY_RECORD_MAX];
};

static struct head *head_of(const struct map *m)
{
	return (struct head *)m->base;
}

static struct desk *desk_of(const struct map *m, enum vs_reader which)
{
	return (struct desk *)(m->base + PAGE * (1 + (size_t)which));
}

static size_t lane_bytes(const struct map *m, enum lane lane)
{
	return lane == SIDE ? SIDE_BYTES : m->bytes;
}

static uint8_t *at(const struct map *m, enum lane lane, uint64_t position)
{
	return m->base + (lane == SIDE ? SIDE_AT : DATA_MAPPED_AT) + position % lane_bytes(m, lane);
}

static uint64_t cursor_of(const struct map *m, enum vs_reader which)
{
	return atomic_load_explicit(&desk_of(m, which)->cursor, memory_order_acquire);
}

static uint64_t head_now(const struct map *m, enum lane lane)
{
	return atomic_load_explicit(&head_of(m)->lane[lane].head, memory_order_acquire);
}

static uint64_t floor_now(const struct map *m, enum lane lane)
{
	return atomic_load_explicit(&head_of(m)->lane[lane].floor, memory_order_acquire);
}

static size_t map_length(size_t bytes)
{
	return DATA_MAPPED_AT + bytes + PAGE;
}

static void unmap(struct map *m)
{
	if (m->base)
		munmap(m->base, map_length(m->bytes));
	m->base = NULL;
}

static bool map_part(uint8_t *to, size_t len, int prot, int fd, size_t from)
{
	return mmap(to, len, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)from) != MAP_FAILED;
}

/* writable: all of it; else only the page of `which`. */
static int map_ring(struct map *m, int fd, size_t bytes, bool writable, enum vs_reader which)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	uint8_t *base = mmap(NULL, map_length(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	*m = (struct map){ base, bytes };
	size_t desk = PAGE * (1 + (size_t)which);
	if (!map_part(base, DATA_AT, prot, fd, 0) || !map_part(base + DATA_AT, PAGE, prot, fd, SIDE_AT) ||
	    !map_part(base + DATA_MAPPED_AT, bytes, prot, fd, DATA_AT) ||
	    !map_part(base + DATA_MAPPED_AT + bytes, PAGE, prot, fd, DATA_AT) ||
	    !map_part(base + desk, PAGE, PROT_READ | PROT_WRITE, fd, desk)) {
		int r = -errno;
		unmap(m);
		return r;
	}
	return 0;
}

/* ---- Taking over ---- */

enum found { FOUND_RING, FOUND_NOTHING, FOUND_FOREIGN };

static bool drained(int fd, const struct head *h)
{
	struct desk d;
	for (int which = 0; which < VS_READER_COUNT; which++)
		if (pread(fd, &d, sizeof d, (off_t)PAGE * (1 + which)) != sizeof d || d.cursor < h->lane[RING].head)
			return false;
	return true;
}

/* What the file is.  *bytes: wanted in (0: any), the ring's out.  A ring that nobody needs any more counts as nothing where it
 * does not fit. */
static enum found look(int fd, size_t *bytes, struct head *h)
{
	static const char never_finished[sizeof magic];
	struct stat st = { .st_size = 0 };
	memset(h, 0, sizeof *h);
	fstat(fd, &st);
	ssize_t n = pread(fd, h, sizeof *h, 0);
	if (memcmp(h->magic, never_finished, sizeof magic) == 0) {
		memset(h, 0, sizeof *h);
		return FOUND_NOTHING;
	}
	if (n != sizeof *h || memcmp(h->magic, magic, sizeof magic) != 0 || h->version != VERSION || h->bytes < VS_CUSTODY_MIN ||
	    h->bytes % PAGE || h->bytes > SIZE_MAX / 4 || st.st_size != (off_t)(DATA_AT + h->bytes))
		return FOUND_FOREIGN;
	bool empty = drained(fd, h);
	if (!vs_record_fits(&h->vocabulary))
		return empty ? FOUND_NOTHING : FOUND_FOREIGN;
	if (empty && *bytes && h->bytes != *bytes)
		return FOUND_NOTHING;
	*bytes = h->bytes;
	return FOUND_RING;
}

/* All blocks are taken now: a full disk must be an error here, not a SIGBUS at the first write to a hole. */
static int make(int fd, size_t bytes, const struct head *old)
{
	if (ftruncate(fd, 0) < 0)
		return -errno;
	int r = posix_fallocate(fd, 0, (off_t)(DATA_AT + bytes));
	if (r)
		return -r;
	struct head h = { .version = VERSION, .bytes = bytes, .epoch = old->epoch, .given_up = old->given_up,
			  .lost = old->lost, .vocabulary = vs_record_vocabulary(), .lived_boot_ms = old->lived_boot_ms,
			  .lived_wall_ms = old->lived_wall_ms };
	memcpy(h.lived_boot_id, old->lived_boot_id, sizeof h.lived_boot_id);
	if (pwrite(fd, &h, sizeof h, 0) != sizeof h || pwrite(fd, magic, sizeof magic, 0) != sizeof magic)
		return errno ? -errno : -EIO;
	return 0;
}

/* A ring of the usual size leaves the disk to the log: an eighth of what is free at most. */
static size_t usual(int fd)
{
	struct statvfs disk;
	uint64_t bytes = VS_CUSTODY_DEFAULT;
	if (fstatvfs(fd, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize / 8 < bytes)
		bytes = (uint64_t)disk.f_bavail * disk.f_frsize / 8;
	if (bytes < VS_CUSTODY_LEAST)
		bytes = VS_CUSTODY_LEAST;
	return bytes - bytes % PAGE;
}

/* Words that cannot be true of a ring that only a process's death has touched (a power cut wrote some pages of the file
 * and not others) are brought back to the nearest that can. */
static void reconcile(struct map *m)
{
	struct lane_words *ring = &head_of(m)->lane[RING];
	uint64_t head = ring->head, log = cursor_of(m, VS_READER_LOG), publisher = cursor_of(m, VS_READER_PUBLISHER);
	if (log > head)
		head = log;
	if (publisher > head)
		head = publisher;
	if (head - log > m->bytes)
		log = head;
	if (ring->floor > log || head - ring->floor > m->bytes)
		ring->floor = log;
	if (publisher < ring->floor)
		publisher = ring->floor;
	ring->head = head;
	desk_of(m, VS_READER_LOG)->cursor = log;
	desk_of(m, VS_READER_PUBLISHER)->cursor = publisher;
}

/* Walks the records from `from` to head.  Returns where the last complete step ends. */
static uint64_t walk(const struct map *m, uint64_t from, uint64_t head)
{
	uint64_t good = from;
	for (uint64_t p = from; p < head;) {
		size_t avail = head - p < VS_CUSTODY_RECORD_MAX ? head - p : VS_CUSTODY_RECORD_MAX;
		size_t len = vs_record_check(at(m, RING, p), avail, p);
		if (len == 0)
			break;
		bool last = ((struct vs_record_head *)at(m, RING, p))->flags & VS_RECORD_LAST;
		p += len;
		if (last)
			good = p;
	}
	return good;
}

static void recover(struct vs_custody *c)
{
	struct map *m = &c->map;
	reconcile(m);
	uint64_t head = head_now(m, RING), log = cursor_of(m, VS_READER_LOG), publisher = cursor_of(m, VS_READER_PUBLISHER);
	if (publisher < log && walk(m, publisher, log) != log)
		publisher = log; /* the log has them: subscribers can ask */
	uint64_t good = walk(m, log, head);
	if (good != head)
		vs_say(VS_SAY_WARNING, "custody '%s': the newest %llu bytes were not completely written (power cut?): dropped",
		       c->path, (unsigned long long)(head - good));
	if (publisher > good)
		publisher = good;
	desk_of(m, VS_READER_PUBLISHER)->cursor = publisher;
	for (int which = 0; which < VS_READER_COUNT; which++)
		desk_of(m, which)->asleep = AWAKE;
	head_of(m)->lane[RING].head = c->tail = good;
	/* Signs of life of the dead are of no use to anybody. */
	struct lane_words *side = &head_of(m)->lane[SIDE];
	desk_of(m, VS_READER_PUBLISHER)->side_cursor = side->floor = c->side_tail = side->head;
	head_of(m)->vocabulary = vs_record_vocabulary();
}

static int set_aside(const char *path)
{
	char bad[4096];
	if ((size_t)snprintf(bad, sizeof bad, "%s.bad", path) >= sizeof bad)
		return -ENAMETOOLONG;
	if (rename(path, bad) < 0)
		return -errno;
	vs_say(VS_SAY_ERROR, "custody '%s' is not a ring of this version: kept as '%s', beginning a new one. What it holds "
	       "is not in the log; the version that wrote it can put it there", path, bad);
	return 0;
}

static int open_locked(const char *path, int *ret)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = errno == EWOULDBLOCK ? -EBUSY : -errno;
		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

static int open_file(struct vs_custody *c, size_t *bytes)
{
	struct head old;
	int r = open_locked(c->path, &c->fd);
	if (r < 0)
		return r;
	enum found found = look(c->fd, bytes, &old);
	if (found == FOUND_FOREIGN) {
		r = set_aside(c->path);
		close(c->fd);
		c->fd = -1;
		if (r == 0)
			r = open_locked(c->path, &c->fd);
		if (r < 0)
			return r;
		memset(&old, 0, sizeof old);
	}
	if (found == FOUND_RING)
		return 0;
	if (*bytes == 0)
		*bytes = usual(c->fd);
	return make(c->fd, *bytes, &old);
}

static void say_why(const char *path, size_t bytes, int r)
{
	if (r == -EBUSY)
		vs_say(VS_SAY_ERROR, "custody '%s' is in use: another vitalsd runs with this log. Stop it first", path);
	else if (r == -ENOSPC)
		vs_say(VS_SAY_ERROR, "custody '%s': no room on the disk for its %zu KiB", path, (bytes + DATA_AT) >> 10);
	else
		vs_say(VS_SAY_ERROR, "custody '%s' cannot be opened: %s%s", path, strerror(-r),
		       r == -ENOENT ? "; make the folder of log: path:, or give another path in the configuration"
		       : r == -EACCES || r == -EROFS ? "; the folder of log: path: must be writable for the user of vitalsd" : "");
}

static int open_readers(struct vs_custody *c)
{
	for (int which = 0; which < VS_READER_COUNT; which++) {
		c->wake_fd[which] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (c->wake_fd[which] < 0)
			return -errno;
		struct vs_custody_reader *r = calloc(1, sizeof *r);
		if (!r)
			return -ENOMEM;
		r->map = c->map;
		r->desk = desk_of(&c->map, which);
		r->takes_side = which == VS_READER_PUBLISHER;
		r->wake_fd = c->wake_fd[which];
		r->lock_fd = -1;
		vs_custody_rewind(r);
		r->dropped = r->position;
		c->readers[which] = r;
	}
	return 0;
}

static void read_boot_id(char *ret, size_t cap)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, cap - 1);
	if (n <= 0)
		ret[0] = '\0';
	if (fd >= 0)
		close(fd);
}

int vs_custody_open(const char *path, size_t bytes, struct vs_custody **ret)
{
	struct vs_custody *c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->fd = c->wake_fd[0] = c->wake_fd[1] = -1;
	if (bytes)
		bytes = (bytes < VS_CUSTODY_MIN ? VS_CUSTODY_MIN : bytes) + PAGE - 1;
	bytes -= bytes % PAGE;
	read_boot_id(c->boot_id, sizeof c->boot_id);
	c->path = strdup(path);
	int r = c->path ? open_file(c, &bytes) : -ENOMEM;
	if (r == 0)
		r = map_ring(&c->map, c->fd, bytes, true, 0);
	if (r == 0) {
		recover(c);
		r = open_readers(c);
	}
	if (r < 0) {
		say_why(path, bytes, r);
		vs_custody_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

void vs_custody_close(struct vs_custody *c)
{
	if (!c)
		return;
	for (int which = 0; which < VS_READER_COUNT; which++) {
		free(c->readers[which]);
		if (c->wake_fd[which] >= 0)
			close(c->wake_fd[which]);
	}
	unmap(&c->map);
	if (c->fd >= 0)
		close(c->fd);
	free(c->path);
	free(c);
}

uint64_t vs_custody_epoch(const struct vs_custody *c)
{
	return head_of(&c->map)->epoch;
}

void vs_custody_set_epoch(struct vs_custody *c, uint64_t epoch)
{
	head_of(&c->map)->epoch = epoch;
}

void vs_custody_lives(struct vs_custody *c, uint64_t boot_ms, int64_t wall_ms)
{
	struct head *h = head_of(&c->map);
	h->lived_boot_ms = boot_ms;
	h->lived_wall_ms = wall_ms;
	if (memcmp(h->lived_boot_id, c->boot_id, sizeof h->lived_boot_id) != 0)
		memcpy(h->lived_boot_id, c->boot_id, sizeof h->lived_boot_id);
}

bool vs_custody_lived(const struct vs_custody *c, uint64_t *ret_boot_ms, int64_t *ret_wall_ms)
{
	*ret_boot_ms = head_of(&c->map)->lived_boot_ms;
	*ret_wall_ms = head_of(&c->map)->lived_wall_ms;
	return *ret_boot_ms != 0;
}

bool vs_custody_same_boot(const struct vs_custody *c)
{
	return c->boot_id[0] && memcmp(head_of(&c->map)->lived_boot_id, c->boot_id, sizeof c->boot_id) == 0;
}

/* ---- Writing ---- */

void vs_custody_begin(struct vs_custody *c)
{
	c->boot_ms = vs_boottime_ms();
	c->tail = head_now(&c->map, RING);
	c->side_tail = head_now(&c->map, SIDE);
	c->urgent = false;
}

static void raise_floor(struct vs_custody *c, enum lane lane, uint64_t floor)
{
	atomic_store_explicit(&head_of(&c->map)->lane[lane].floor, floor, memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* readers that copy what comes next see the floor above them */
}

void vs_custody_since(struct vs_custody *c, uint64_t boot_ms)
{
	c->boot_ms = boot_ms;
}

/* Raises the floor where the next len bytes would overwrite what is intact.  The log's place is holy; a publisher that
 * hangs is overtaken, its subscribers ask the log. */
static bool make_room(struct vs_custody *c, size_t len, size_t limit)
{
	struct map *m = &c->map;
	uint64_t end = c->tail + len, log = cursor_of(m, VS_READER_LOG);
	if (end - log > limit)
		return false;
	if (end - floor_now(m, RING) > m->bytes) {
		uint64_t publisher = cursor_of(m, VS_READER_PUBLISHER);
		raise_floor(c, RING, publisher < log && end - publisher <= m->bytes ? publisher : log);
	}
	return true;
}

static int append(struct vs_custody *c, size_t len, size_t limit)
{
	if (len == 0)
		return -E2BIG;
	if (!make_room(c, len, limit))
		return -ENOSPC;
	vs_record_seal(c->scratch, c->tail, 0, false);
	memcpy(at(&c->map, RING, c->tail), c->scratch, len);
	c->last = c->tail;
	c->tail += len;
	return 0;
}

static int append_aside(struct vs_custody *c, size_t len)
{
	if (len == 0)
		return -E2BIG;
	uint64_t end = c->side_tail + len;
	if (end - floor_now(&c->map, SIDE) > SIDE_BYTES)
		raise_floor(c, SIDE, end - SIDE_BYTES); /* not the beginning of a record: who is there has to skip */
	vs_record_seal(c->scratch, c->side_tail, c->tail, true);
	memcpy(at(&c->map, SIDE, c->side_tail), c->scratch, len);
	c->side_tail = end;
	if (end - atomic_load_explicit(&desk_of(&c->map, VS_READER_PUBLISHER)->side_cursor, memory_order_relaxed) >
	    SIDE_BYTES / 2)
		c->urgent = true;
	return 0;
}

int vs_custody_add(struct vs_custody *c, const struct vs_event *e)
{
	bool vitals = e->kind == VS_KIND_VITALS;
	size_t len = vs_record_event(c->scratch, e, e->boot_ms ? e->boot_ms : c->boot_ms);
	if (e->kind == VS_KIND_ALIVE)
		return append_aside(c, len);
	int r = append(c, len, vitals ? c->map.bytes / 2 : c->map.bytes);
	if (r == -ENOSPC && vitals)
		head_of(&c->map)->given_up++;
	if (r == 0 && !vitals)
		c->urgent = true;
	return r;
}

int vs_custody_state(struct vs_custody *c, const char *chair, const void *bytes, size_t len)
{
	size_t all = vs_record_state(c->scratch, chair, bytes, len, vs_wall_ms(), c->boot_ms);
	return append(c, all, c->map.bytes);
}

static void wake(int wake_fd)
{
	uint64_t one = 1;
	if (write(wake_fd, &one, sizeof one) < 0)
		return; /* the counter is full: the reader has not looked for a long time, and will find it set */
}

/* The side first: what stands there waits for what it comes after. */
void vs_custody_commit(struct vs_custody *c)
{
	struct head *h = head_of(&c->map);
	if (c->tail == h->lane[RING].head && c->side_tail == h->lane[SIDE].head)
		return;
	if (c->tail != h->lane[RING].head)
		vs_record_seal(at(&c->map, RING, c->last), c->last, 0, true);
	atomic_store_explicit(&h->lane[SIDE].head, c->side_tail, memory_order_release);
	atomic_store_explicit(&h->lane[RING].head, c->tail, memory_order_release);
	uint64_t steps = atomic_load_explicit(&h->steps, memory_order_relaxed) + 1;
	if (c->urgent)
		atomic_store_explicit(&h->urgent_steps, steps, memory_order_release);
	atomic_store_explicit(&h->steps, steps, memory_order_release);
	/* A reader says "asleep", then looks at the steps; we write them, then look whether it sleeps: one of us sees. */
	atomic_thread_fence(memory_order_seq_cst);
	for (int which = 0; which < VS_READER_COUNT; which++) {
		struct desk *d = desk_of(&c->map, which);
		uint32_t mode = atomic_load_explicit(&d->asleep, memory_order_relaxed);
		if (mode == ASLEEP || (mode == ASLEEP_URGENT && c->urgent))
			if (atomic_exchange(&d->asleep, AWAKE) != AWAKE)
				wake(c->wake_fd[which]);
	}
}

uint64_t vs_custody_given_up(const struct vs_custody *c)
{
	return head_of(&c->map)->given_up;
}

uint64_t vs_custody_lost(const struct vs_custody *c)
{
	return head_of(&c->map)->lost;
}

void vs_custody_count_lost(struct vs_custody *c, uint64_t n)
{
	head_of(&c->map)->lost += n;
}

size_t vs_custody_room(const struct vs_custody *c)
{
	return c->map.bytes - (c->tail - cursor_of(&c->map, VS_READER_LOG));
}

size_t vs_custody_backlog(const struct vs_custody *c, enum vs_reader which)
{
	return head_now(&c->map, RING) - cursor_of(&c->map, which);
}

size_t vs_custody_size(const struct vs_custody *c)
{
	return c->map.bytes;
}

/* ---- Reading ---- */

struct vs_custody_reader *vs_custody_reader(struct vs_custody *c, enum vs_reader which)
{
	return c->readers[which];
}

int vs_custody_dup(const struct vs_custody *c)
{
	/* Opened anew: a descriptor that is only duplicated would keep the daemon's lock alive in its heir. */
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", c->fd);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int vs_custody_wake_fd(const struct vs_custody *c, enum vs_reader which)
{
	return c->wake_fd[which];
}

/* Locks of fcntl(2) belong to the process: they end with it, however it ends. */
static int lock_desk(int fd, enum vs_reader which)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
			      .l_start = (off_t)PAGE * (1 + (off_t)which), .l_len = PAGE };
	for (int tries = 0; fcntl(fd, F_SETLK, &lock) < 0; tries++) {
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		if (tries == 200)
			return -EBUSY;
		poll(NULL, 0, 5);
	}
	return 0;
}

int vs_custody_attach(int fd, int wake_fd, enum vs_reader which, struct vs_custody_reader **ret)
{
	struct head h;
	int r = lock_desk(fd, which);
	if (r < 0)
		return r;
	if (pread(fd, &h, sizeof h, 0) != sizeof h || memcmp(h.magic, magic, sizeof magic) != 0 || h.version != VERSION)
		return -EBADMSG;
	struct vs_custody_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return -ENOMEM;
	r = map_ring(&reader->map, fd, h.bytes, false, which);
	if (r < 0) {
		free(reader);
		return r;
	}
	reader->desk = desk_of(&reader->map, which);
	reader->takes_side = which == VS_READER_PUBLISHER;
	reader->wake_fd = wake_fd;
	reader->lock_fd = fd;
	vs_custody_rewind(reader);
	reader->dropped = reader->position;
	*ret = reader;
	return 0;
}

void vs_custody_detach(struct vs_custody_reader *r)
{
	if (!r)
		return;
	if (r->lock_fd >= 0) {
		unmap(&r->map);
		close(r->lock_fd);
	}
	free(r);
}

/* Copies the record at *position.  1, or -ESTALE, -EBADMSG as vs_custody_next. */
static int copy(struct vs_custody_reader *r, enum lane lane, uint64_t *position, uint64_t head)
{
	const uint8_t *from = at(&r->map, lane, *position);
	size_t avail = head - *position < VS_CUSTODY_RECORD_MAX ? head - *position : VS_CUSTODY_RECORD_MAX;
	uint32_t len = ((const struct vs_record_head *)from)->len;
	if (len <= avail)
		memcpy(r->copy, from, len);
	atomic_thread_fence(memory_order_acquire);
	uint64_t floor = floor_now(&r->map, lane);
	if (*position < floor) {
		*position = lane == SIDE ? head : floor;
		return -ESTALE;
	}
	return len <= avail && vs_record_check(r->copy, len, *position) ? 1 : -EBADMSG;
}

static int give(struct vs_custody_reader *r, enum lane lane, uint64_t *position, uint64_t head,
		struct vs_custody_record *ret)
{
	int done = copy(r, lane, position, head);
	if (done == 1 && !vs_record_decode(r->copy, ret))
		done = -EBADMSG;
	if (done == 1)
		*position += ((struct vs_record_head *)r->copy)->len;
	else if (done == -EBADMSG)
		*position = head;
	return done;
}

/* Whether the next record aside comes before the next of the ring; also when it was overwritten, which copy tells. */
static bool side_is_next(const struct vs_custody_reader *r, uint64_t side_head)
{
	if (r->side_position == side_head)
		return false;
	uint64_t after = ((const struct vs_record_head *)at(&r->map, SIDE, r->side_position))->after;
	atomic_thread_fence(memory_order_acquire);
	return after <= r->position || r->side_position < floor_now(&r->map, SIDE);
}

int vs_custody_next(struct vs_custody_reader *r, struct vs_custody_record *ret)
{
	uint64_t steps = atomic_load_explicit(&head_of(&r->map)->steps, memory_order_acquire);
	if (r->takes_side) {
		uint64_t side_head = head_now(&r->map, SIDE);
		if (side_is_next(r, side_head)) {
			int done = give(r, SIDE, &r->side_position, side_head, ret);
			atomic_store_explicit(&r->desk->side_cursor, r->side_position, memory_order_relaxed);
			return done;
		}
	}
	uint64_t head = head_now(&r->map, RING);
	if (r->position == head) {
		r->steps = steps;
		return 0;
	}
	return give(r, RING, &r->position, head, ret);
}

/* What a reader has behind it need not count as this process's memory; the file keeps it. */
static void drop_behind(struct vs_custody_reader *r, uint64_t cursor)
{
	const uint64_t chunk = 2 * (uint64_t)PAGE;
	for (; r->map.bytes > chunk && cursor - r->dropped >= chunk; r->dropped += chunk) {
		size_t from = r->dropped % r->map.bytes / PAGE * PAGE;
		size_t len = from + chunk > r->map.bytes ? r->map.bytes - from : chunk;
		madvise(r->map.base + DATA_MAPPED_AT + from, len, MADV_DONTNEED);
	}
}

void vs_custody_done_until(struct vs_custody_reader *r, uint64_t position)
{
	if (!r->desk || position <= atomic_load_explicit(&r->desk->cursor, memory_order_relaxed))
		return;
	atomic_store_explicit(&r->desk->cursor, position, memory_order_release);
	drop_behind(r, position);
}

void vs_custody_done(struct vs_custody_reader *r)
{
	vs_custody_done_until(r, r->position);
}

uint64_t vs_custody_position(const struct vs_custody_reader *r)
{
	return r->position;
}

void vs_custody_leave_note(struct vs_custody_reader *r, uint32_t note)
{
	atomic_store_explicit(&r->desk->note, note, memory_order_relaxed);
}

uint32_t vs_custody_note(const struct vs_custody_reader *r)
{
	return atomic_load_explicit(&r->desk->note, memory_order_relaxed);
}

void vs_custody_rewind(struct vs_custody_reader *r)
{
	if (!r->desk)
		return;
	uint64_t cursor = atomic_load_explicit(&r->desk->cursor, memory_order_relaxed), floor = floor_now(&r->map, RING);
	r->position = cursor > floor ? cursor : floor;
	r->side_position = atomic_load_explicit(&r->desk->side_cursor, memory_order_relaxed);
	r->steps = 0;
}

int vs_custody_scan(const struct vs_custody_reader *of, struct vs_custody_reader **ret)
{
	struct vs_custody_reader *r = calloc(1, sizeof *r);
	if (!r)
		return -ENOMEM;
	r->map = of->map;
	r->wake_fd = r->lock_fd = -1;
	r->position = cursor_of(&r->map, VS_READER_LOG);
	*ret = r;
	return 0;
}

bool vs_custody_arm(struct vs_custody_reader *r, bool urgent_only)
{
	const struct head *h = head_of(&r->map);
	atomic_store_explicit(&r->desk->asleep, urgent_only ? ASLEEP_URGENT : ASLEEP, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	uint64_t newest = atomic_load_explicit(urgent_only ? &h->urgent_steps : &h->steps, memory_order_acquire);
	if (newest <= r->steps)
		return true;
	atomic_store_explicit(&r->desk->asleep, AWAKE, memory_order_relaxed);
	return false;
}

void vs_custody_disarm(struct vs_custody_reader *r)
{
	uint64_t count;
	atomic_store_explicit(&r->desk->asleep, AWAKE, memory_order_relaxed);
	if (read(r->wake_fd, &count, sizeof count) < 0)
		return; /* nobody has woken it: the time is over */
}

bool vs_custody_wait(struct vs_custody_reader *r, bool urgent_only, int timeout_ms)
{
	if (vs_custody_arm(r, urgent_only)) {
		struct pollfd p = { .fd = r->wake_fd, .events = POLLIN };
		poll(&p, 1, timeout_ms);
		vs_custody_disarm(r);
	}
	return atomic_load_explicit(&head_of(&r->map)->steps, memory_order_acquire) > r->steps;
}

void vs_custody_wake(struct vs_custody_reader *r)
{
	wake(r->wake_fd);
}
