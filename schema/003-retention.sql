-- The log of vitalsd, version 3: legal holds, files that were removed by policy, files that were lost (schema/README.md).
-- Like `link`, all of it stands whole in each file: what a file of long ago says would go with that file.

-- A legal hold: no file with something that it covers is removed, whatever the policy says, until the hold is released.
-- It covers one session, or all sessions of a patient, or whatever happened in a span of time.
CREATE TABLE hold(
	hold INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,       -- h-EPOCH-NUMBER
	at_ms INTEGER NOT NULL,        -- since when
	session TEXT,
	patient TEXT,
	from_ms INTEGER,
	until_ms INTEGER,
	reason TEXT NOT NULL,
	operator TEXT NOT NULL,        -- who placed it, and from which login
	uid INTEGER NOT NULL
) STRICT;
-- Its end; one without a row here is in force.
CREATE TABLE hold_end(
	hold INTEGER PRIMARY KEY REFERENCES hold,
	at_ms INTEGER NOT NULL,
	reason TEXT NOT NULL,
	operator TEXT NOT NULL,
	uid INTEGER NOT NULL
) STRICT;

-- A file of the log (a row of `link`) that is to be removed by policy: written, sealed and signed before the file is touched.
CREATE TABLE removal(
	removal INTEGER PRIMARY KEY,
	at_ms INTEGER NOT NULL,
	name TEXT NOT NULL,            -- of the file,
	from_ms INTEGER NOT NULL,      -- what it spans,
	until_ms INTEGER NOT NULL,
	first_seal INTEGER NOT NULL,   -- its seals,
	seal INTEGER NOT NULL,
	rows INTEGER NOT NULL,         -- what the last one counts,
	hash BLOB NOT NULL,            -- its hash
	signature TEXT,                -- and signature, in hexadecimal; NULL: it had none
	sessions INTEGER NOT NULL,     -- how much was in the file
	alarms INTEGER NOT NULL,
	readings INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	policy TEXT NOT NULL,          -- that was in force: 6y
	reason TEXT NOT NULL,
	operator TEXT NOT NULL,
	uid INTEGER NOT NULL
) STRICT;
-- What became of it.
CREATE TABLE removal_end(
	removal INTEGER PRIMARY KEY REFERENCES removal,
	at_ms INTEGER NOT NULL,
	outcome TEXT NOT NULL          -- `removed`; or `kept: ` and why
) STRICT;

-- A file of the log (a row of `link`) that was damaged, moved or deleted while it was written: the log goes on behind its
-- last seal that is known, and the file is not read with the others.
CREATE TABLE broken(
	link INTEGER PRIMARY KEY REFERENCES link,
	at_ms INTEGER NOT NULL,
	reason TEXT NOT NULL
) STRICT;

CREATE TRIGGER keep_hold_u BEFORE UPDATE ON hold BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_hold_d BEFORE DELETE ON hold BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_hold_end_u BEFORE UPDATE ON hold_end BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_hold_end_d BEFORE DELETE ON hold_end BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_removal_u BEFORE UPDATE ON removal BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_removal_d BEFORE DELETE ON removal BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_removal_end_u BEFORE UPDATE ON removal_end BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_removal_end_d BEFORE DELETE ON removal_end BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_broken_u BEFORE UPDATE ON broken BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_broken_d BEFORE DELETE ON broken BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
