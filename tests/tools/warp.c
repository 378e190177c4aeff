/* A machine with a clock of its own, for tests: preloaded into the unmodified programs, it makes their time run as fast
 * as they can work, and lets a test set the clock on the wall.
 *
 *	LD_PRELOAD=libwarp.so WARP=/path/to/clock vitalsd ...
 *
 * All programs with the same file share one clock (tests/system/warp.py makes the file and holds the clock).  It runs
 * `speed` times as fast as the machine's, but never past the moment a waiting thread wants to be woken at before that
 * thread ran, nor further than a tick while a thread works: a slow machine makes the clock slow, never a program late.
 * Waits end on ticks, as those of a coarse timer do, so that many fall together; and who waits for a descriptor looks at
 * it on every tick, so that no message is older than a tick when it is read.  It never runs past `hold`.
 *
 * Here and nowhere else: BOOTTIME and MONOTONIC are one clock, REALTIME is that clock and `wall_step`; fsync takes no
 * time, since the disk does not run faster than it does. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL
#define MS 1000000LL
#define NEVER INT64_MAX
#define SLOTS 128
#define LOOK_AFTER (100 * MS) /* who holds the clock up for so long is looked at: perhaps he waits for what is not known here */

enum state { FREE, WORKS, WAITS };

struct slot {
	int32_t pid, tid;
	int32_t state;
	int32_t unused;
	int64_t until;      /* the clock goes no further on account of this thread */
	int64_t since_real; /* it has been in this state */
};

struct shared {
	/* written by the test; warp.py knows the offsets */
	int64_t hold;      /*  0: the clock stops here */
	int64_t wall_step; /*  8: of the clock on the wall, ns */
	int64_t tick;      /* 16: ns */
	double speed;      /* 24 */
	int64_t boot_ns;   /* 32: BOOTTIME and MONOTONIC at the start */
	int64_t wall_ns;   /* 40: REALTIME at the start */
	/* written here */
	int64_t now;       /* 48: since the start */
	int64_t last_real; /* 56 */
	int32_t ready;     /* 64 */
	int32_t used;      /* 68: slots up to this one were used */
	pthread_mutex_t lock;
	struct slot slot[SLOTS];
};

static struct shared *shared;
static __thread struct slot *mine;
static pthread_key_t at_exit_of_thread;

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *);
static int (*real_ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
static int (*real_pselect)(int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *);
static int (*real_cond_wait)(pthread_cond_t *, pthread_mutex_t *);
static int (*real_cond_clockwait)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);

static int64_t real_ns(void)
{
	struct timespec t;
	real_clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

static void lock(void)
{
	if (pthread_mutex_lock(&shared->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&shared->lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&shared->lock);
}

/* As the kernel sees it: R runs or would, D waits for a disk, S sleeps, Z is dead; X: it is gone. */
static char state_of(const struct slot *s)
{
	char path[64], line[512], *end;
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", s->pid, s->tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 'X' : 'R';
	ssize_t n = read(fd, line, sizeof line - 1);
	close(fd);
	line[n > 0 ? n : 0] = '\0';
	end = strrchr(line, ')');
	return end && end[1] ? end[2] : 'X';
}

static int64_t limit_of(struct slot *s, int64_t real)
{
	if (s->state == FREE)
		return NEVER;
	if (s->until > shared->now || real - s->since_real < LOOK_AFTER)
		return s->until;
	char state = state_of(s);
	if (state == 'Z' || state == 'X')
		s->state = FREE; /* killed: it holds nobody up */
	return s->state == FREE || (s->state == WORKS && state == 'S') ? NEVER : s->until;
}

/* With the lock: the clock goes on as far as it may. */
static int64_t advance(void)
{
	int64_t real = real_ns(), limit = shared->hold;
	int64_t to = shared->now + (int64_t)((double)(real - shared->last_real) * shared->speed);
	if (real <= shared->last_real)
		return shared->now;
	shared->last_real = real;
	for (int i = 0; i < shared->used; i++) {
		int64_t l = limit_of(&shared->slot[i], real);
		limit = l < limit ? l : limit;
	}
	to = to < limit ? to : limit;
	if (to > shared->now)
		shared->now = to;
	return shared->now;
}

static int64_t now(void)
{
	lock();
	int64_t t = advance();
	unlock();
	return t;
}

/* ---- this thread ---- */

static void give_back(void *slot)
{
	((struct slot *)slot)->state = FREE;
}

static void take_slot(void)
{
	for (int i = 0; i < SLOTS && !mine; i++)
		if (shared->slot[i].state == FREE)
			mine = &shared->slot[i];
	if (!mine)
		return;
	*mine = (struct slot){ .pid = getpid(), .tid = (int32_t)syscall(SYS_gettid) };
	if (mine - shared->slot >= shared->used)
		shared->used = (int32_t)(mine - shared->slot) + 1;
	pthread_setspecific(at_exit_of_thread, mine);
	prctl(PR_SET_TIMERSLACK, 1);
}

/* It will wait: until a moment (NEVER: for others).  Returns now. */
static int64_t waits(int64_t until)
{
	lock();
	if (!mine)
		take_slot();
	int64_t t = advance();
	if (mine) {
		mine->until = until;
		mine->since_real = real_ns();
		mine->state = WAITS;
	}
	unlock();
	return t;
}

static void works(void)
{
	lock();
	int64_t t = advance();
	if (mine) {
		mine->until = t + shared->tick;
		mine->since_real = real_ns();
		mine->state = WORKS;
	}
	unlock();
}

/* A little after the tick: who counts in whole milliseconds finds that his moment has passed, and does not ask again
 * at once. */
static int64_t on_tick(int64_t at)
{
	return (at + shared->tick - MS - 1) / shared->tick * shared->tick + MS;
}

static int64_t after(int64_t ns)
{
	return on_tick(now() + ns);
}

/* How long to look the other way: what is missing, but not less than a thread needs to do its work, and ever longer
 * while the clock stands. */
struct nap {
	int64_t seen, idle;
};

static struct timespec nap(struct nap *n, int64_t until, int64_t t)
{
	int64_t ns = (int64_t)((double)(until - t) / shared->speed);
	n->idle = t > n->seen ? 20000 : n->idle < 2 * MS ? n->idle * 2 : n->idle;
	n->seen = t;
	ns = ns > n->idle ? ns : n->idle;
	ns = ns < 20 * MS ? ns : 20 * MS;
	return (struct timespec){ ns / NS, ns % NS };
}

#define START_NAP (struct nap){ -1, 20000 }

/* ---- clocks ---- */

int clock_gettime(clockid_t id, struct timespec *t)
{
	if (!shared || (id != CLOCK_REALTIME && id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME && id != CLOCK_MONOTONIC_RAW &&
			id != CLOCK_REALTIME_COARSE && id != CLOCK_MONOTONIC_COARSE))
		return real_clock_gettime ? real_clock_gettime(id, t) : (int)syscall(SYS_clock_gettime, id, t);
	int64_t ns = now();
	ns += id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ? shared->wall_ns + shared->wall_step : shared->boot_ns;
	*t = (struct timespec){ ns / NS, ns % NS };
	return 0;
}

int gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec t;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	*tv = (struct timeval){ t.tv_sec, t.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}

/* ---- waits ---- */

static const struct timespec at_once = { 0, 0 };

/* Waits for descriptors: `look` looks for so long.  Returns what it returned. */
typedef int look_fn(void *ctx, const struct timespec *slice);

static int wait_for(look_fn *look, void *ctx, int64_t ns)
{
	int64_t until = ns < 0 ? NEVER : after(ns), t = now();
	struct nap n = START_NAP;
	int r = 0;
	do {
		int64_t tick = on_tick(t + 1), stop = tick < until ? tick : until;
		for (t = waits(stop); r == 0 && t < stop; t = now()) {
			struct timespec slice = nap(&n, stop, t);
			r = look(ctx, &slice);
		}
	} while (r == 0 && t < until);
	int saved = errno;
	works();
	errno = saved;
	return r;
}

/* Who asks again and again, until time has passed, leaves the processor to others meanwhile. */
static int look_at_once(look_fn *look, void *ctx)
{
	static __thread int64_t before = -1;
	int r = look(ctx, &at_once);
	int saved = errno;
	int64_t t = shared->now;
	if (r == 0 && t == before)
		real_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ 0, 50000 }, NULL);
	before = t;
	errno = saved;
	return r;
}

struct epoll_look {
	int ep, max;
	struct epoll_event *events;
	const sigset_t *mask;
};

static int look_epoll(void *ctx, const struct timespec *slice)
{
	struct epoll_look *l = ctx;
	struct pollfd p = { .fd = l->ep, .events = POLLIN };
	int r = real_ppoll(&p, 1, slice, l->mask);
	return r > 0 ? real_epoll_pwait(l->ep, l->events, l->max, 0, l->mask) : r;
}

int epoll_pwait(int ep, struct epoll_event *events, int max, int ms, const sigset_t *mask)
{
	struct epoll_look l = { ep, max, events, mask };
	if (!shared || ms == 0)
		return real_epoll_pwait(ep, events, max, ms, mask);
	return wait_for(look_epoll, &l, ms < 0 ? -1 : ms * MS);
}

int epoll_wait(int ep, struct epoll_event *events, int max, int ms)
{
	return epoll_pwait(ep, events, max, ms, NULL);
}

struct poll_look {
	struct pollfd *fds;
	nfds_t len;
	const sigset_t *mask;
};

static int look_poll(void *ctx, const struct timespec *slice)
{
	struct poll_look *l = ctx;
	return real_ppoll(l->fds, l->len, slice, l->mask);
}

int ppoll(struct pollfd *fds, nfds_t len, const struct timespec *timeout, const sigset_t *mask)
{
	struct poll_look l = { fds, len, mask };
	int64_t ns = timeout ? timeout->tv_sec * NS + timeout->tv_nsec : -1;
	if (shared && ns == 0)
		return look_at_once(look_poll, &l);
	if (!shared)
		return real_ppoll(fds, len, timeout, mask);
	return wait_for(look_poll, &l, ns);
}

int poll(struct pollfd *fds, nfds_t len, int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * MS };
	return ppoll(fds, len, ms < 0 ? NULL : &t, NULL);
}

/* What fortified libraries call. */
int __poll_chk(struct pollfd *fds, nfds_t len, int ms, size_t size);
int __poll_chk(struct pollfd *fds, nfds_t len, int ms, size_t size)
{
	(void)size;
	return poll(fds, len, ms);
}

struct select_look {
	int n;
	fd_set *set[3], asked[3];
	const sigset_t *mask;
};

static int look_select(void *ctx, const struct timespec *slice)
{
	struct select_look *l = ctx;
	for (int i = 0; i < 3; i++)
		if (l->set[i])
			*l->set[i] = l->asked[i];
	return real_pselect(l->n, l->set[0], l->set[1], l->set[2], slice, l->mask);
}

int pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *timeout, const sigset_t *mask)
{
	struct select_look l = { .n = n, .set = { r, w, e }, .mask = mask };
	int64_t ns = timeout ? timeout->tv_sec * NS + timeout->tv_nsec : -1;
	if (!shared || ns == 0)
		return real_pselect(n, r, w, e, timeout, mask);
	for (int i = 0; i < 3; i++)
		if (l.set[i])
			l.asked[i] = *l.set[i];
	return wait_for(look_select, &l, ns);
}

int select(int n_fds, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout)
{
	struct timespec t = { 0, 0 };
	if (timeout)
		t = (struct timespec){ timeout->tv_sec, timeout->tv_usec * 1000 };
	return pselect(n_fds, r, w, e, timeout ? &t : NULL, NULL);
}

static void sleeps(int64_t until)
{
	struct nap n = START_NAP;
	for (int64_t t = waits(until); t < until; t = now()) {
		struct timespec slice = nap(&n, until, t);
		real_nanosleep(CLOCK_MONOTONIC, 0, &slice, NULL);
	}
	works();
}

int clock_nanosleep(clockid_t id, int flags, const struct timespec *ask, struct timespec *left)
{
	if (!shared)
		return real_nanosleep(id, flags, ask, left);
	int64_t ns = ask->tv_sec * NS + ask->tv_nsec;
	if (flags & TIMER_ABSTIME)
		ns -= now() + (id == CLOCK_REALTIME ? shared->wall_ns + shared->wall_step : shared->boot_ns);
	if (ns > 0)
		sleeps(after(ns));
	if (left)
		*left = at_once;
	return 0;
}

int nanosleep(const struct timespec *ask, struct timespec *left)
{
	return clock_nanosleep(CLOCK_MONOTONIC, 0, ask, left);
}

int usleep(useconds_t us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };
	return nanosleep(&t, NULL);
}

unsigned sleep(unsigned s)
{
	struct timespec t = { s, 0 };
	nanosleep(&t, NULL);
	return 0;
}

int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	if (!shared)
		return real_cond_wait(c, m);
	waits(NEVER);
	int r = real_cond_wait(c, m);
	works();
	return r;
}

/* Which clock the moment is of is the condition's secret; one lies decades after the other. */
int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *at)
{
	int64_t ns = at->tv_sec * NS + at->tv_nsec, t;
	bool of_wall = at->tv_sec > 1000000000;
	if (!shared)
		return real_cond_clockwait(c, m, of_wall ? CLOCK_REALTIME : CLOCK_MONOTONIC, at);
	ns -= of_wall ? shared->wall_ns + shared->wall_step : shared->boot_ns;
	int64_t until = on_tick(ns);
	struct nap n = START_NAP;
	int r = ETIMEDOUT;
	for (t = waits(until); r == ETIMEDOUT && t < until; t = now()) {
		struct timespec slice = nap(&n, until, t), end;
		int64_t real = real_ns() + slice.tv_sec * NS + slice.tv_nsec;
		end = (struct timespec){ real / NS, real % NS };
		r = real_cond_clockwait(c, m, CLOCK_MONOTONIC, &end);
	}
	works();
	return r;
}

/* What goes into a pseudo terminal comes out when a thread of the kernel gets round to it, which knows nothing of this
 * clock.  Whoever polls the other end waits for that thread.  The other end stays open: the last but one to close it
 * would end the line. */
static void wait_for_line(int fd)
{
	static int peer[64];
	unsigned number;
	if (ioctl(fd, TIOCGPTN, &number) < 0 || number >= sizeof peer / sizeof *peer)
		return;
	if (peer[number] == 0)
		peer[number] = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct pollfd p = { .fd = peer[number], .events = POLLIN };
	real_ppoll(&p, 1, &at_once, NULL);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	ssize_t n = real_write(fd, bytes, len);
	int saved = errno;
	struct stat st;
	if (shared && n > 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2))
		wait_for_line(fd);
	errno = saved;
	return n;
}

int fsync(int fd)
{
	(void)fd;
	return 0;
}

int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

/* ---- the beginning ---- */

static void forget(void)
{
	mine = NULL;
}

static void *find(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);
	if (!f) {
		fprintf(stderr, "warp: there is no %s here\n", name);
		abort();
	}
	return f;
}

static void first(struct shared *s)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&s->lock, &a);
	s->last_real = real_ns();
	s->ready = 1;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("WARP");
	*(void **)&real_clock_gettime = find("clock_gettime");
	*(void **)&real_epoll_pwait = find("epoll_pwait");
	*(void **)&real_ppoll = find("ppoll");
	*(void **)&real_pselect = find("pselect");
	*(void **)&real_write = find("write");
	*(void **)&real_nanosleep = find("clock_nanosleep");
	*(void **)&real_cond_clockwait = find("pthread_cond_clockwait");
	*(void **)&real_cond_wait = dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.3.2"); /* x86: an older one comes first */
	if (!real_cond_wait)
		*(void **)&real_cond_wait = find("pthread_cond_wait");
	if (!path)
		return;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct shared *s = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED) {
		fprintf(stderr, "warp: %s: %s\n", path, strerror(errno));
		abort();
	}
	flock(fd, LOCK_EX);
	if (!s->ready)
		first(s);
	flock(fd, LOCK_UN);
	close(fd);
	pthread_key_create(&at_exit_of_thread, give_back);
	pthread_atfork(NULL, NULL, forget);
	shared = s;
}
