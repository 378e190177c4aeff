/* A build without libasound. */
#include <errno.h>

#include "daemon/speaker.h"

int vs_speaker_open(const char *device, void (*changed)(void *arg), void *arg, struct vs_speaker **ret)
{
	(void)device;
	(void)changed;
	(void)arg;
	*ret = NULL;
	return -ENOSYS;
}

void vs_speaker_level(struct vs_speaker *s, enum vs_priority p)
{
	(void)s;
	(void)p;
}

void vs_speaker_test(struct vs_speaker *s)
{
	(void)s;
}

bool vs_speaker_trouble(struct vs_speaker *s, char *buf, size_t cap)
{
	(void)s;
	(void)buf;
	(void)cap;
	return false;
}

void vs_speaker_close(struct vs_speaker *s)
{
	(void)s;
}
