/* Records of the ring: bytes that pass the checksum by accident or by another version must not lead a reader astray. */
#include <stdlib.h>
#include <string.h>

#include "daemon/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is decoded is plain data: as JSON it fits, or it does not; every string ends. */
static void use(const struct vs_custody_record *r)
{
	static char text[4 * VS_CUSTODY_RECORD_MAX];
	if (!r->is_state)
		vs_event_message(&r->event, text, sizeof text);
	for (size_t i = 0; i < r->state_len; i++)
		text[i] = ((const char *)r->state)[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_custody_record record;
	struct vs_record_head head;
	if (size <= sizeof head || size > VS_CUSTODY_RECORD_MAX)
		return 0;
	size &= ~(size_t)7;
	uint8_t *bytes = malloc(size);
	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	if (vs_record_check(bytes, size, 0)) /* true bytes, or a checksum that was found */
		vs_record_decode(bytes, &record);
	memcpy(&head, bytes, sizeof head);
	head.len = (uint32_t)size;
	memcpy(bytes, &head, sizeof head);
	vs_record_seal(bytes, 0, 0, true);
	if (vs_record_check(bytes, size, 0) == size && vs_record_decode(bytes, &record))
		use(&record);
	free(bytes);
	return 0;
}
