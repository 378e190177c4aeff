/* A loudspeaker that follows a level: bursts of the priority it is told, in a thread of its own, so that the loop never
 * waits for a sound card.  daemon/speaker_alsa.c is the home of libasound; without it speaker_none.c stands in. */
#pragma once
#include "alarms/rules.h"

struct vs_speaker;

/* changed: called on the speaker's thread when what vs_speaker_trouble says has changed.  0; -ENOSYS: built without
 * sound; other -errno.  The card is looked for when there is something to play. */
int vs_speaker_open(const char *device, void (*changed)(void *arg), void *arg, struct vs_speaker **ret);
/* From now on; a burst of a higher priority begins at once, silence ends one. */
void vs_speaker_level(struct vs_speaker *s, enum vs_priority p);
/* One burst of each priority, low first. */
void vs_speaker_test(struct vs_speaker *s);
/* Why nothing can be heard, in words; false: nothing is known to be wrong. */
bool vs_speaker_trouble(struct vs_speaker *s, char *buf, size_t cap);
/* Waits for the thread: at most for one period of the card. */
void vs_speaker_close(struct vs_speaker *s);
