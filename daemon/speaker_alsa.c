/* The home of libasound. */
#include <alsa/asoundlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/burst.h"
#include "daemon/speaker.h"

#define CHUNK (VS_BURST_RATE / 20) /* samples written at once: 50 ms, so long a level waits */
#define LATENCY_US 100000
#define RETRY_S 10 /* until a card that was not there is looked for again */

_Static_assert(VS_BURST_SAMPLES_MAX >= VS_BURST_RATE, "a second of silence has room");

struct vs_speaker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t told;
	char device[256];
	void (*changed)(void *arg);
	void *arg;
	/* under the lock */
	enum vs_priority level;
	bool ending, testing;
	char trouble[320];
	/* the thread's */
	snd_pcm_t *pcm;
	int16_t samples[VS_BURST_SAMPLES_MAX];
};

static void set_trouble(struct vs_speaker *s, int error)
{
	char text[sizeof s->trouble] = "";
	if (error < 0)
		snprintf(text, sizeof text, "%s: %s", s->device, snd_strerror(error));
	pthread_mutex_lock(&s->lock);
	bool other = strcmp(text, s->trouble) != 0;
	memcpy(s->trouble, text, sizeof text);
	pthread_mutex_unlock(&s->lock);
	if (other)
		s->changed(s->arg);
}

static void close_card(struct vs_speaker *s)
{
	if (s->pcm)
		snd_pcm_close(s->pcm);
	s->pcm = NULL;
}

static int open_card(struct vs_speaker *s)
{
	if (s->pcm)
		return 0;
	int r = snd_pcm_open(&s->pcm, s->device, SND_PCM_STREAM_PLAYBACK, 0);
	if (r < 0) {
		s->pcm = NULL;
	} else {
		r = snd_pcm_set_params(s->pcm, SND_PCM_FORMAT_S16, SND_PCM_ACCESS_RW_INTERLEAVED, 1, VS_BURST_RATE, 1, LATENCY_US);
		if (r < 0)
			close_card(s);
	}
	set_trouble(s, r);
	return r;
}

/* What is wanted differs from what sounds in a way that cannot wait for the end of the burst. */
static bool interrupted(struct vs_speaker *s, enum vs_priority playing, bool test)
{
	pthread_mutex_lock(&s->lock);
	bool yes = s->ending || s->level > playing || (!test && s->level == VS_PRIORITY_NONE);
	pthread_mutex_unlock(&s->lock);
	return yes;
}

/* n samples; the burst of p sounds, or its silence. */
static void play_samples(struct vs_speaker *s, size_t n, enum vs_priority p, bool test)
{
	size_t at = 0;
	if (open_card(s) < 0)
		return;
	snd_pcm_prepare(s->pcm);
	while (at < n && !interrupted(s, p, test)) {
		snd_pcm_sframes_t r = snd_pcm_writei(s->pcm, s->samples + at, n - at < CHUNK ? n - at : CHUNK);
		if (r < 0)
			r = snd_pcm_recover(s->pcm, (int)r, 1);
		if (r < 0) {
			set_trouble(s, (int)r);
			close_card(s);
			return;
		}
		at += (size_t)r;
	}
	if (at < n)
		snd_pcm_drop(s->pcm);
	else
		snd_pcm_drain(s->pcm);
}

static void play(struct vs_speaker *s, enum vs_priority p, bool test)
{
	play_samples(s, vs_burst(p, s->samples), p, test);
}

/* A second of silence tells one from the next. */
static void play_test(struct vs_speaker *s)
{
	for (unsigned p = VS_PRIORITY_LOW; p <= VS_PRIORITY_HIGH && !interrupted(s, p, true); p++) {
		play(s, p, true);
		memset(s->samples, 0, sizeof s->samples);
		if (p < VS_PRIORITY_HIGH)
			play_samples(s, VS_BURST_RATE, p, true);
	}
}

/* Until there is something else to do, or ms have passed; with the lock. */
static void wait_told(struct vs_speaker *s, enum vs_priority playing, unsigned ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (!s->ending && !s->testing && s->level == playing)
		if (pthread_cond_timedwait(&s->told, &s->lock, &until) == ETIMEDOUT)
			break;
}

/* The pause until the next burst; a card that fails is not asked without end. */
static unsigned pause_ms(const struct vs_speaker *s, enum vs_priority p, const struct timespec *began)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t gone = (now.tv_sec - began->tv_sec) * 1000LL + (now.tv_nsec - began->tv_nsec) / 1000000;
	int64_t every = s->pcm ? vs_burst_every_ms(p) : RETRY_S * 1000;
	return gone < every ? (unsigned)(every - gone) : 1;
}

static void *follow(void *arg)
{
	struct vs_speaker *s = arg;
	pthread_mutex_lock(&s->lock);
	while (!s->ending) {
		enum vs_priority p = s->level;
		struct timespec began;
		if (s->testing) {
			s->testing = false;
			pthread_mutex_unlock(&s->lock);
			play_test(s);
			pthread_mutex_lock(&s->lock);
		} else if (p == VS_PRIORITY_NONE) {
			pthread_mutex_unlock(&s->lock);
			close_card(s);
			pthread_mutex_lock(&s->lock);
			while (!s->ending && !s->testing && s->level == VS_PRIORITY_NONE)
				pthread_cond_wait(&s->told, &s->lock);
		} else {
			clock_gettime(CLOCK_MONOTONIC, &began);
			pthread_mutex_unlock(&s->lock);
			play(s, p, false);
			pthread_mutex_lock(&s->lock);
			wait_told(s, p, pause_ms(s, p, &began));
		}
	}
	pthread_mutex_unlock(&s->lock);
	close_card(s);
	return NULL;
}

/* The library's own remarks on stderr: what matters is said once, by whoever asks vs_speaker_trouble. */
static void hush(const char *file, int line, const char *function, int error, const char *format, ...)
{
	(void)file, (void)line, (void)function, (void)error, (void)format;
}

/* Signals are the loop's. */
static int start_thread(struct vs_speaker *s)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&s->thread, NULL, follow, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int vs_speaker_open(const char *device, void (*changed)(void *arg), void *arg, struct vs_speaker **ret)
{
	struct vs_speaker *s = calloc(1, sizeof *s);
	pthread_condattr_t monotonic;
	if (!s)
		return -ENOMEM;
	snprintf(s->device, sizeof s->device, "%s", device);
	s->changed = changed;
	s->arg = arg;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->told, &monotonic);
	pthread_condattr_destroy(&monotonic);
	snd_lib_error_set_handler(hush);
	int r = start_thread(s);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void vs_speaker_level(struct vs_speaker *s, enum vs_priority p)
{
	pthread_mutex_lock(&s->lock);
	s->level = p;
	pthread_cond_signal(&s->told);
	pthread_mutex_unlock(&s->lock);
}

void vs_speaker_test(struct vs_speaker *s)
{
	pthread_mutex_lock(&s->lock);
	s->testing = true;
	pthread_cond_signal(&s->told);
	pthread_mutex_unlock(&s->lock);
}

bool vs_speaker_trouble(struct vs_speaker *s, char *buf, size_t cap)
{
	pthread_mutex_lock(&s->lock);
	bool there = s->trouble[0] != '\0';
	snprintf(buf, cap, "%s", s->trouble);
	pthread_mutex_unlock(&s->lock);
	return there;
}

void vs_speaker_close(struct vs_speaker *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	pthread_cond_signal(&s->told);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->told);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
