-- The log of vitalsd, version 4: by what alarms were judged, and both clocks of every message (schema/README.md).

-- Files that limit sets were read from, each text once.
CREATE TABLE limit_text(
	limit_text INTEGER PRIMARY KEY,
	hash TEXT NOT NULL UNIQUE,     -- SHA-256 of the text, in hexadecimal
	name TEXT NOT NULL,            -- of the file, as it was read first
	text TEXT NOT NULL             -- to the letter
) STRICT;
-- Limit sets that were in force.  Messages of kind session name a set and the first 16 digits of its hash.
CREATE TABLE limit_set(
	limit_set INTEGER PRIMARY KEY,
	at_ms INTEGER NOT NULL,        -- since when it is known here
	name TEXT NOT NULL,
	hash TEXT NOT NULL,            -- SHA-256 of the texts of `chain`, one after the other
	ground TEXT NOT NULL,          -- hash of the text that shipped: outer bounds, and what a set without `extends` takes over
	chain TEXT NOT NULL,           -- JSON array: hashes of its texts, that of what it extends first
	UNIQUE(name, hash)
) STRICT;
-- How the clocks stood to one another: from the message `event` on, wall time less CLOCK_BOOTTIME is wall_ms - boot_ms.
CREATE TABLE clock(
	clock INTEGER PRIMARY KEY,
	epoch INTEGER NOT NULL,
	event INTEGER NOT NULL,        -- number of the first message that is recorded after it
	boot_ms INTEGER NOT NULL,
	wall_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX clock_event ON clock(event);
CREATE TRIGGER keep_limit_text_u BEFORE UPDATE ON limit_text BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_limit_text_d BEFORE DELETE ON limit_text BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_limit_set_u BEFORE UPDATE ON limit_set BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_limit_set_d BEFORE DELETE ON limit_set BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_clock_u BEFORE UPDATE ON clock BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_clock_d BEFORE DELETE ON clock BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
