-- The log of vitalsd, version 2: one log of several files (schema/README.md).

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
CREATE TRIGGER keep_link_u BEFORE UPDATE ON link BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_link_d BEFORE DELETE ON link BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_carried_u BEFORE UPDATE ON carried BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_carried_d BEFORE DELETE ON carried BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_closed_u BEFORE UPDATE ON closed BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_closed_d BEFORE DELETE ON closed BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
