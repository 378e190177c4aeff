/* A disk that fails, kills or keeps a diary: loaded before a program (LD_PRELOAD), it stands between it and the files of
 * one folder.
 *
 *	DISK_FOLDER  only files of this folder (and the folder itself) are meant; without it nothing is done
 *	DISK_COUNT   a file of 8 bytes that holds, as a native integer, how many calls there were: writes, flushes, truncations,
 *	             reservations, renames, second names, removals and opening for writing.  Outlives the program, however it ends
 *	DISK_AT      from this call on (from 1) ...
 *	DISK_TIMES   ... so many calls (1) ...
 *	DISK_HOW     ... do not do what they should:
 *	             kill   SIGKILL instead of the call          torn   half of a write is done, then SIGKILL
 *	             eio, enospc   the call fails so             short  half of a write is done, and that is what it says
 *	DISK_TRACE   a file to which every call is appended, in the order in which they took effect, with what was written;
 *	             and what changed in the file "ring" of the folder, which is written through memory, at each flush
 *
 * One record of the trace: the struct below, the path (of a rename: both, a NUL between them), the data. */
#undef _FILE_OFFSET_BITS /* both names of each call are wanted */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct record {
	char what[4]; /* C create, W write, T truncate, S flush, N rename, L second name, U remove, R page of the ring */
	uint32_t path_len;
	int64_t wall_ns, offset, len; /* len: of the data; of T: nothing follows, offset is the new length */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder, *how;
static int64_t first, times;
static int trace = -1;
static int64_t *count, no_count;
static uint8_t *ring, *ring_seen;
static size_t ring_len;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static void begin(void)
{
	static bool begun;
	if (begun)
		return;
	begun = true;
	const char *text = getenv("DISK_AT"), *file = getenv("DISK_COUNT");
	folder = getenv("DISK_FOLDER");
	how = getenv("DISK_HOW") ? getenv("DISK_HOW") : "";
	first = text ? atoll(text) : 0;
	times = getenv("DISK_TIMES") ? atoll(getenv("DISK_TIMES")) : 1;
	count = &no_count;
	int fd = file ? REAL(open)(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd >= 0 && REAL(ftruncate)(fd, 8) == 0) {
		void *at = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		count = at == MAP_FAILED ? count : at;
	}
	if (getenv("DISK_TRACE"))
		trace = REAL(open)(getenv("DISK_TRACE"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* ---- Which file ---- */

static bool in_folder(const char *path)
{
	size_t n = folder ? strlen(folder) : 0;
	return n && strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool path_of(int fd, char path[512])
{
	char link[64];
	begin();
	if (!folder)
		return false;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, 511);
	path[n < 0 ? 0 : n] = '\0';
	return n > 0 && in_folder(path);
}

/* ---- The diary ---- */

static void note(const char *what, const char *path, size_t path_len, int64_t offset, const void *data, int64_t len)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	struct record r = { .path_len = (uint32_t)path_len, .wall_ns = t.tv_sec * 1000000000ll + t.tv_nsec, .offset = offset,
			    .len = data ? len : 0 };
	memcpy(r.what, what, 1);
	__typeof__(&write) put = REAL(write);
	if (put(trace, &r, sizeof r) != sizeof r || put(trace, path, path_len) != (ssize_t)path_len ||
	    (data && put(trace, data, (size_t)len) != len))
		abort();
}

static void open_ring(void)
{
	char path[600];
	struct stat st;
	if (ring || snprintf(path, sizeof path, "%s/ring", folder) < 0)
		return;
	int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
		void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		ring = at == MAP_FAILED ? NULL : at;
		ring_len = (size_t)st.st_size;
		ring_seen = calloc(1, ring_len);
	}
	if (fd >= 0)
		close(fd);
}

static void note_ring(void)
{
	char path[600];
	open_ring();
	int n = snprintf(path, sizeof path, "%s/ring", folder);
	for (size_t at = 0; ring && at + 4096 <= ring_len; at += 4096) {
		if (memcmp(ring + at, ring_seen + at, 4096) == 0)
			continue;
		memcpy(ring_seen + at, ring + at, 4096);
		note("R", path, (size_t)n, (int64_t)at, ring_seen + at, 4096);
	}
}

static void note_call(const char *what, const char *path, int64_t offset, const void *data, int64_t len)
{
	if (trace >= 0)
		note(what, path, strlen(path), offset, data, len);
}

/* ---- What goes wrong ---- */

enum fate { DO_IT, FAIL, HALF, HALF_AND_DIE };

/* To be called with the lock held.  FAIL: errno is set. */
static enum fate fate(bool is_write)
{
	int64_t n = ++*count;
	if (!first || n < first || n >= first + times)
		return DO_IT;
	if (!strcmp(how, "kill") || (!strcmp(how, "torn") && !is_write))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "torn"))
		return HALF_AND_DIE;
	if (!strcmp(how, "short"))
		return is_write ? HALF : DO_IT;
	if (!strcmp(how, "eio") || !strcmp(how, "enospc")) {
		errno = !strcmp(how, "eio") ? EIO : ENOSPC;
		return FAIL;
	}
	return DO_IT;
}

/* ---- The calls ---- */

static ssize_t write_at(int fd, const void *data, size_t n, off64_t offset, bool at)
{
	char path[512];
	if (!path_of(fd, path))
		return at ? REAL(pwrite64)(fd, data, n, offset) : REAL(write)(fd, data, n);
	pthread_mutex_lock(&lock);
	off64_t where = at ? offset : lseek64(fd, 0, SEEK_CUR);
	enum fate f = fate(true);
	size_t so_much = f >= HALF ? n / 2 : n;
	ssize_t r = -1;
	if (f != FAIL)
		r = at ? REAL(pwrite64)(fd, data, so_much, offset) : REAL(write)(fd, data, so_much);
	if (f == HALF_AND_DIE)
		kill(getpid(), SIGKILL);
	if (r > 0)
		note_call("W", path, where, data, r);
	int why = errno;
	pthread_mutex_unlock(&lock);
	errno = why;
	return r;
}

ssize_t write(int fd, const void *data, size_t n)
{
	return write_at(fd, data, n, 0, false);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset)
{
	return write_at(fd, data, n, offset, true);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset)
{
	return write_at(fd, data, n, offset, true);
}

static int flush(const char *name, int fd)
{
	char path[512];
	int (*next)(int) = real(name);
	if (!path_of(fd, path))
		return next(fd);
	pthread_mutex_lock(&lock);
	int r = fate(false) == FAIL ? -1 : next(fd), why = errno;
	if (trace >= 0)
		note_ring();
	if (r == 0)
		note_call("S", path, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	errno = why;
	return r;
}

int fsync(int fd)
{
	return flush("fsync", fd);
}

int fdatasync(int fd)
{
	return flush("fdatasync", fd);
}

static int resize(int fd, off64_t len, bool reserve, off64_t offset)
{
	char path[512];
	if (!path_of(fd, path))
		return reserve ? REAL(posix_fallocate64)(fd, offset, len) : REAL(ftruncate64)(fd, len);
	pthread_mutex_lock(&lock);
	int r = reserve ? EIO : -1;
	if (fate(false) == FAIL)
		r = reserve ? errno : -1;
	else
		r = reserve ? REAL(posix_fallocate64)(fd, offset, len) : REAL(ftruncate64)(fd, len);
	int why = errno;
	struct stat st;
	if (r == 0 && fstat(fd, &st) == 0)
		note_call("T", path, st.st_size, NULL, 0);
	pthread_mutex_unlock(&lock);
	errno = why;
	return r;
}

int ftruncate(int fd, off_t len)
{
	return resize(fd, len, false, 0);
}

int ftruncate64(int fd, off64_t len)
{
	return resize(fd, len, false, 0);
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
	return resize(fd, len, true, offset);
}

int posix_fallocate64(int fd, off64_t offset, off64_t len)
{
	return resize(fd, len, true, offset);
}

int unlink(const char *path)
{
	begin();
	if (!in_folder(path))
		return REAL(unlink)(path);
	pthread_mutex_lock(&lock);
	int r = fate(false) == FAIL ? -1 : REAL(unlink)(path), why = errno;
	if (r == 0)
		note_call("U", path, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	errno = why;
	return r;
}

static int name_anew(const char *what, int (*call)(const char *from, const char *to), const char *from, const char *to)
{
	char both[1024];
	pthread_mutex_lock(&lock);
	int r = fate(false) == FAIL ? -1 : call(from, to), why = errno;
	int n = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
	if (r == 0 && trace >= 0)
		note(what, both, (size_t)n, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	errno = why;
	return r;
}

int link(const char *from, const char *to)
{
	begin();
	return in_folder(from) ? name_anew("L", REAL(link), from, to) : REAL(link)(from, to);
}

int rename(const char *from, const char *to)
{
	begin();
	return in_folder(from) ? name_anew("N", REAL(rename), from, to) : REAL(rename)(from, to);
}

static int open_it(const char *path, int flags, mode_t mode)
{
	begin();
	if (!in_folder(path) || (flags & O_ACCMODE) == O_RDONLY)
		return REAL(open64)(path, flags, mode);
	pthread_mutex_lock(&lock);
	bool is_new = access(path, F_OK) != 0;
	int fd = fate(false) == FAIL ? -1 : REAL(open64)(path, flags, mode), why = errno;
	if (fd >= 0 && is_new)
		note_call("C", path, 0, NULL, 0);
	else if (fd >= 0 && flags & O_TRUNC)
		note_call("T", path, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	errno = why;
	return fd;
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return open_it(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return open_it(path, flags, mode);
}
