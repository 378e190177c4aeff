-- The log of vitalsd, version 2: one log of several files, and what may be removed of it (schema/README.md).
-- These tables stand whole in each file: what is still true is written again where a new file begins.

-- The files before this one, oldest first.  None: the log begins here.
CREATE TABLE link(
	link INTEGER PRIMARY KEY,
	name TEXT NOT NULL,            -- of the file, in the folder of this one
	from_ms INTEGER NOT NULL,      -- what it spans
	until_ms INTEGER NOT NULL,
	first_epoch INTEGER NOT NULL,
	last_epoch INTEGER NOT NULL,
	seal INTEGER NOT NULL,         -- its last seal,
	rows INTEGER NOT NULL,         -- what that counts,
	hash BLOB NOT NULL,            -- and its hash: the first seal behind it goes on from there
	public_key BLOB                -- what signed it
) STRICT;
-- Where numbers go on that were given in the files before.
CREATE TABLE carried(
	carried INTEGER PRIMARY KEY,
	what TEXT NOT NULL,            -- a table: its last number; `alarm id`; `day DAY`: of its sessions; `KIND EPOCH CHAIR`: last seq
	number INTEGER NOT NULL
) STRICT;
CREATE INDEX carried_what ON carried(what);
-- The last row of a file that is complete: the log goes on in another.
CREATE TABLE closed(
	closed INTEGER PRIMARY KEY,
	at_ms INTEGER NOT NULL,
	name TEXT NOT NULL,            -- under which this file is kept
	reason TEXT NOT NULL
) STRICT;
-- Legal holds: what must not be removed.  A later row of the same name ends the hold or replaces it.
CREATE TABLE hold(
	hold INTEGER PRIMARY KEY,
	at_ms INTEGER NOT NULL,
	name TEXT NOT NULL,
	stands INTEGER NOT NULL,       -- 1: from here on; 0: it was released
	operator TEXT,
	reason TEXT,
	patient TEXT, session TEXT,    -- of whom or what; NULL: of all
	from_ms INTEGER, until_ms INTEGER -- of which time; NULL: of all
) STRICT;
-- Files that were removed because they were older than `log: keep:` says.
CREATE TABLE removal(
	removal INTEGER PRIMARY KEY,
	at_ms INTEGER NOT NULL,
	name TEXT NOT NULL,
	operator TEXT,                 -- who asked for it
	reason TEXT,
	from_ms INTEGER NOT NULL,      -- what it spanned
	until_ms INTEGER NOT NULL,
	seal INTEGER NOT NULL,         -- as in `link`
	rows INTEGER NOT NULL,
	hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER keep_link_u BEFORE UPDATE ON link BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_link_d BEFORE DELETE ON link BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_carried_u BEFORE UPDATE ON carried BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_carried_d BEFORE DELETE ON carried BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_closed_u BEFORE UPDATE ON closed BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_closed_d BEFORE DELETE ON closed BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_hold_u BEFORE UPDATE ON hold BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_hold_d BEFORE DELETE ON hold BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_removal_u BEFORE UPDATE ON removal BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_removal_d BEFORE DELETE ON removal BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
