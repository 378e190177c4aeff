#include "record/key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/seal.h"

#define SEED crypto_sign_SEEDBYTES

static int read_seed(const char *path, uint8_t seed[SEED])
{
	char text[2 * SEED + 2];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	ssize_t n = fstat(fd, &st) < 0 ? -1 : read(fd, text, sizeof text - 1);
	int r = n < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	if (st.st_mode & 077)
		return -EPERM;
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	r = vs_unhex(text, seed, SEED) ? 0 : -EINVAL;
	sodium_memzero(text, sizeof text);
	return r;
}

/* The folder's own entry for a file that was just renamed: a power cut must not take the key away again, as the log names it. */
static int flush_folder(const char *path)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	int len = slash && slash != path ? (int)(slash - path) : 1;
	snprintf(folder, sizeof folder, "%.*s", len, slash ? path : ".");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES ? 0 : -errno; /* a folder that may be written and not read */
	int r = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
	close(fd);
	return r;
}

/* Gives the file its name, unless there is one of that name by now.  Where a file system knows no second names, it is renamed. */
static int put_in_place(const char *temp, const char *path)
{
	if (link(temp, path) == 0 || errno == EEXIST) {
		unlink(temp);
		return 0;
	}
	return rename(temp, path) < 0 ? -errno : 0;
}

/* A whole key or none, and never over one that somebody else put there meanwhile: written under a name of its own. */
static int write_seed(const char *path, const uint8_t seed[SEED])
{
	char text[2 * SEED + 2], temp[4096];
	if ((size_t)snprintf(temp, sizeof temp, "%s.new-%d", path, (int)getpid()) >= sizeof temp)
		return -ENAMETOOLONG;
	vs_hex(seed, SEED, text);
	strcat(text, "\n");
	int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int r = 0;
	errno = ENOSPC; /* what a short write means */
	if (write(fd, text, 2 * SEED + 1) != 2 * SEED + 1 || fsync(fd) < 0)
		r = -errno;
	close(fd);
	if (r == 0)
		r = put_in_place(temp, path);
	if (r < 0)
		unlink(temp);
	else
		r = flush_folder(path);
	sodium_memzero(text, sizeof text);
	return r;
}

int vs_key_load(const char *log_path, bool create, struct vs_key *ret)
{
	char path[4096];
	uint8_t seed[SEED];
	if (sodium_init() < 0)
		return -ENOSYS;
	if ((size_t)snprintf(path, sizeof path, "%s.key", log_path) >= sizeof path)
		return -ENAMETOOLONG;
	int r = read_seed(path, seed);
	if (r == -ENOENT && create) {
		randombytes_buf(seed, sizeof seed);
		r = write_seed(path, seed);
		if (r == 0)
			r = read_seed(path, seed); /* of whoever came first */
	}
	if (r < 0)
		return r;
	crypto_sign_seed_keypair(ret->public_key, ret->secret, seed);
	sodium_memzero(seed, sizeof seed);
	return 0;
}

void vs_key_sign(const struct vs_key *k, const char *text, uint8_t signature[VS_KEY_SIGNATURE])
{
	crypto_sign_detached(signature, NULL, (const uint8_t *)text, strlen(text), k->secret);
}

bool vs_key_verify(const uint8_t public_key[VS_KEY_PUBLIC], const char *text, const uint8_t signature[VS_KEY_SIGNATURE])
{
	return crypto_sign_verify_detached(signature, (const uint8_t *)text, strlen(text), public_key) == 0;
}
