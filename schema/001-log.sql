-- The log of vitalsd, version 1.  schema/README.md explains it; times are Unix milliseconds, UTC.
-- Everything here is history and only ever inserted, but for the two tables at the end.

-- One start of the daemon.
CREATE TABLE epoch(
	epoch INTEGER PRIMARY KEY,
	started_ms INTEGER NOT NULL,
	site TEXT NOT NULL,
	config_hash TEXT NOT NULL,     -- SHA-256 of the configuration and its limit files
	version TEXT NOT NULL,         -- of vitalsd
	restarted_after TEXT,          -- how the start before this one ended; NULL: the log begins here
	public_key BLOB                -- Ed25519: what signs the seals of this epoch; NULL: nothing does
) STRICT;

-- The orderly end of an epoch; one without a row here was killed, or still runs.
CREATE TABLE epoch_end(
	epoch INTEGER PRIMARY KEY,
	ended_ms INTEGER NOT NULL
) STRICT;

-- Where messages come from: what all messages of a chair have in common.
CREATE TABLE origin(
	origin INTEGER PRIMARY KEY,
	epoch INTEGER NOT NULL,
	site TEXT NOT NULL,
	chair TEXT NOT NULL,
	UNIQUE(epoch, chair, site)
) STRICT;

-- Messages of every kind but vitals.
CREATE TABLE event(
	event INTEGER PRIMARY KEY,     -- in the order in which they were recorded
	origin INTEGER NOT NULL REFERENCES origin,
	kind TEXT NOT NULL,
	seq INTEGER NOT NULL,
	at_ms INTEGER NOT NULL,
	session TEXT,
	operator TEXT,                 -- who did it; from the body
	alarm TEXT,                    -- of kind alarm: its id; from the body
	body TEXT NOT NULL             -- the members of the JSON object after the envelope, without braces
) STRICT;
CREATE UNIQUE INDEX event_number ON event(origin, kind, seq);
CREATE INDEX event_time ON event(at_ms);
CREATE INDEX event_session ON event(session, kind) WHERE session IS NOT NULL;
CREATE INDEX event_alarm ON event(alarm) WHERE alarm IS NOT NULL;

-- The first message of each session and of each alarm.
CREATE TABLE session(
	event INTEGER PRIMARY KEY REFERENCES event,
	session TEXT NOT NULL UNIQUE,
	started_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX session_time ON session(started_ms);
CREATE TABLE alarm(
	event INTEGER PRIMARY KEY REFERENCES event,
	alarm TEXT NOT NULL UNIQUE,
	onset_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX alarm_time ON alarm(onset_ms);

-- What readings look like: a device, which metrics it reported, and every flag.  A few rows a device.
CREATE TABLE shape(
	shape INTEGER PRIMARY KEY,
	device TEXT NOT NULL,
	key TEXT NOT NULL UNIQUE,      -- all of the shape in one text
	reading_flags TEXT NOT NULL,   -- JSON array: flags of the whole reading
	flags TEXT NOT NULL,           -- JSON array: `flags` as published
	k1 TEXT, k2 TEXT, k3 TEXT, k4 TEXT -- JSON in front of v1 to v4: `"spo2":`, `,"pr":`
) STRICT;
-- The metrics of a shape, those without a value too.
CREATE TABLE shape_metric(
	id INTEGER PRIMARY KEY,        -- shape * 32 + position
	metric TEXT NOT NULL,
	unit TEXT NOT NULL,            -- UCUM
	place INTEGER NOT NULL,        -- 1 to 4: value is in v1 to v4; 5...: in `more`; 0: no value
	flags TEXT NOT NULL,           -- JSON array: all flags that hold for it
	own_flags TEXT NOT NULL        -- JSON array: those of this metric alone
) STRICT;

-- Readings (messages of kind vitals) of one chair in one session, at most 8192 in a run, numbered without gaps.
CREATE TABLE run(
	run INTEGER PRIMARY KEY,
	origin INTEGER NOT NULL REFERENCES origin,
	session TEXT,
	first_seq INTEGER NOT NULL,
	start_ms INTEGER NOT NULL,
	boot_ms INTEGER NOT NULL       -- CLOCK_BOOTTIME at start_ms: the clock that nobody sets.  A run ends where they part
) STRICT;
CREATE INDEX run_number ON run(origin, first_seq);
CREATE INDEX run_session ON run(session) WHERE session IS NOT NULL;
CREATE INDEX run_time ON run(start_ms);
CREATE TABLE reading(
	id INTEGER PRIMARY KEY,        -- run * 8192 + (seq - first_seq)
	shape INTEGER NOT NULL,
	t INTEGER NOT NULL,            -- ms after start_ms of the run
	v1 ANY, v2 ANY, v3 ANY, v4 ANY,
	more TEXT                      -- JSON array of the fifth and later values
) STRICT;

-- What is known to be missing.
CREATE TABLE gap(
	gap INTEGER PRIMARY KEY,
	epoch INTEGER NOT NULL,
	from_ms INTEGER NOT NULL,
	until_ms INTEGER NOT NULL,
	readings INTEGER NOT NULL,     -- how many readings were given up
	reason TEXT NOT NULL
) STRICT;

-- What the daemon itself found wrong with this log, or with the one before.
CREATE TABLE finding(
	finding INTEGER PRIMARY KEY,
	at_ms INTEGER NOT NULL,
	text TEXT NOT NULL
) STRICT;

-- Seals: a chain of hashes over everything above.
CREATE TABLE seal(
	seal INTEGER PRIMARY KEY,
	at_ms INTEGER NOT NULL,
	rows INTEGER NOT NULL,         -- sealed so far, this seal included
	hash BLOB NOT NULL,            -- SHA-256 over the hash before and this seal's parts
	signature BLOB                 -- Ed25519 over the hash in hexadecimal; NULL: not signed
) STRICT;
-- Rows that a seal added: of a table, or of one run of `reading`, from behind the part before up to `last`.
CREATE TABLE seal_part(
	part TEXT NOT NULL,
	last INTEGER NOT NULL,
	seal INTEGER NOT NULL,
	rows INTEGER NOT NULL,
	digest BLOB NOT NULL,          -- SHA-256 over the rows
	PRIMARY KEY(part, last)
) STRICT, WITHOUT ROWID;

-- NOT history: replaced as the daemon runs.
-- Each chair's state, to go on with after a restart.
CREATE TABLE chair_state(
	chair TEXT PRIMARY KEY,
	at_ms INTEGER NOT NULL,
	state BLOB NOT NULL
) STRICT;
-- The end of the chain: rows that are not sealed yet.
CREATE TABLE head(
	one INTEGER PRIMARY KEY CHECK(one = 1),
	seal INTEGER NOT NULL,         -- the last one
	rows INTEGER NOT NULL,         -- recorded since
	tail BLOB NOT NULL,            -- SHA-256 of each of them, combined by exclusive or
	first_run INTEGER NOT NULL,    -- no run before it has rows that are not sealed
	given_up INTEGER NOT NULL      -- readings that custody gave up and a row of `gap` tells of
) STRICT;
INSERT INTO head VALUES(1, 0, 0, zeroblob(32), 0, 0);

CREATE TRIGGER keep_epoch_u BEFORE UPDATE ON epoch BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_epoch_d BEFORE DELETE ON epoch BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_epoch_end_u BEFORE UPDATE ON epoch_end BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_epoch_end_d BEFORE DELETE ON epoch_end BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_origin_u BEFORE UPDATE ON origin BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_origin_d BEFORE DELETE ON origin BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_event_u BEFORE UPDATE ON event BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_event_d BEFORE DELETE ON event BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_session_u BEFORE UPDATE ON session BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_session_d BEFORE DELETE ON session BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_alarm_u BEFORE UPDATE ON alarm BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_alarm_d BEFORE DELETE ON alarm BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_shape_u BEFORE UPDATE ON shape BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_shape_d BEFORE DELETE ON shape BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_shape_metric_u BEFORE UPDATE ON shape_metric BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_shape_metric_d BEFORE DELETE ON shape_metric BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_run_u BEFORE UPDATE ON run BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_run_d BEFORE DELETE ON run BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_reading_u BEFORE UPDATE ON reading BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_reading_d BEFORE DELETE ON reading BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_gap_u BEFORE UPDATE ON gap BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_gap_d BEFORE DELETE ON gap BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_finding_u BEFORE UPDATE ON finding BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_finding_d BEFORE DELETE ON finding BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_seal_u BEFORE UPDATE ON seal BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_seal_d BEFORE DELETE ON seal BEGIN SELECT raise(ABORT, 'history is never deleted'); END;
CREATE TRIGGER keep_seal_part_u BEFORE UPDATE ON seal_part BEGIN SELECT raise(ABORT, 'history is never changed'); END;
CREATE TRIGGER keep_seal_part_d BEFORE DELETE ON seal_part BEGIN SELECT raise(ABORT, 'history is never deleted'); END;

-- Readings as the messages that were published.
CREATE VIEW reading_message(run, id, epoch, chair, seq, session, at, at_ms, body) AS
SELECT u.run, r.id, o.epoch, o.chair, u.first_seq + (r.id & 8191), u.session,
	strftime('%Y-%m-%dT%H:%M:%fZ', (u.start_ms + r.t) / 1000.0, 'unixepoch'), u.start_ms + r.t,
	'{"v":1,"site":' || json_quote(o.site) || ',"chair":' || json_quote(o.chair)
	|| ',"kind":"vitals","epoch":' || o.epoch || ',"seq":' || (u.first_seq + (r.id & 8191))
	|| ',"time":"' || strftime('%Y-%m-%dT%H:%M:%fZ', (u.start_ms + r.t) / 1000.0, 'unixepoch')
	|| '","session":' || json_quote(u.session) || ',"device":' || json_quote(s.device) || ',"values":{'
	|| coalesce(s.k1 || json_quote(r.v1), '') || coalesce(s.k2 || json_quote(r.v2), '')
	|| coalesce(s.k3 || json_quote(r.v3), '') || coalesce(s.k4 || json_quote(r.v4), '')
	|| CASE WHEN r.more IS NULL THEN '' ELSE
		(SELECT group_concat(',"' || m.metric || '":' || json_quote(json_extract(r.more, '$[' || (m.place - 5) || ']')), '')
		FROM shape_metric m WHERE m.id BETWEEN r.shape * 32 AND r.shape * 32 + 31 AND m.place >= 5) END
	|| '},"flags":' || s.flags || '}'
FROM run u CROSS JOIN origin o ON o.origin = u.origin
	CROSS JOIN reading r ON r.id BETWEEN u.run * 8192 AND u.run * 8192 + 8191
	CROSS JOIN shape s ON s.shape = r.shape;

-- The views that auditors rely on.

CREATE VIEW audit_event(epoch, chair, kind, seq, session, operator, recorded_at, recorded_ms, body) AS
SELECT o.epoch, o.chair, e.kind, e.seq, e.session, e.operator,
	strftime('%Y-%m-%dT%H:%M:%fZ', e.at_ms / 1000.0, 'unixepoch'), e.at_ms,
	'{"v":1,"site":' || json_quote(o.site) || ',"chair":' || json_quote(o.chair) || ',"kind":"' || e.kind
	|| '","epoch":' || o.epoch || ',"seq":' || e.seq
	|| ',"time":"' || strftime('%Y-%m-%dT%H:%M:%fZ', e.at_ms / 1000.0, 'unixepoch')
	|| '","session":' || json_quote(e.session) || CASE e.body WHEN '' THEN '' ELSE ',' || e.body END || '}'
FROM event e JOIN origin o ON o.origin = e.origin
UNION ALL
SELECT epoch, chair, 'vitals', seq, session, NULL, at, at_ms, body FROM reading_message;

CREATE VIEW audit_observation(session, chair, device, metric, unit, value, flags, observed_at, observed_ms) AS
SELECT u.session, o.chair, s.device, m.metric, m.unit,
	CASE m.place WHEN 0 THEN NULL WHEN 1 THEN r.v1 WHEN 2 THEN r.v2 WHEN 3 THEN r.v3 WHEN 4 THEN r.v4
		ELSE json_extract(r.more, '$[' || (m.place - 5) || ']') END,
	m.flags, strftime('%Y-%m-%dT%H:%M:%fZ', (u.start_ms + r.t) / 1000.0, 'unixepoch'), u.start_ms + r.t
FROM run u CROSS JOIN origin o ON o.origin = u.origin
	CROSS JOIN reading r ON r.id BETWEEN u.run * 8192 AND u.run * 8192 + 8191
	CROSS JOIN shape s ON s.shape = r.shape
	CROSS JOIN shape_metric m ON m.id BETWEEN r.shape * 32 AND r.shape * 32 + 31;

-- An alarm as it was first raised, with the highest priority it reached.  A re-raised alarm (its condition was
-- superseded and came back) is cleared when it was cleared for the last time.
CREATE VIEW audit_alarm(alarm, session, chair, rule, class, metric, device, priority, value, limit_value, onset_at,
	acknowledged_at, acknowledged_by, cleared_at, onset_ms, acknowledged_ms, cleared_ms, text) AS
WITH life AS NOT MATERIALIZED (
	SELECT a.alarm, e.session, o.chair, a.onset_ms, '{' || e.body || '}' AS b,
		(SELECT c.event FROM event c WHERE c.alarm = a.alarm AND json_extract('{' || c.body || '}', '$.change') = 'acknowledged'
			ORDER BY c.event LIMIT 1) AS ack,
		(SELECT c.event FROM event c WHERE c.alarm = a.alarm AND json_extract('{' || c.body || '}', '$.change') IN ('cleared', 'raised')
			ORDER BY c.event DESC LIMIT 1) AS fin,
		(SELECT max(CASE json_extract('{' || c.body || '}', '$.priority') WHEN 'high' THEN 3 WHEN 'medium' THEN 2 WHEN 'low' THEN 1 END)
			FROM event c WHERE c.alarm = a.alarm) AS grade
	FROM alarm a JOIN event e ON e.event = a.event JOIN origin o ON o.origin = e.origin)
SELECT l.alarm, l.session, l.chair, json_extract(l.b, '$.rule'), json_extract(l.b, '$.class'), json_extract(l.b, '$.metric'),
	json_extract(l.b, '$.device'), CASE l.grade WHEN 3 THEN 'high' WHEN 2 THEN 'medium' WHEN 1 THEN 'low' END,
	json_extract(l.b, '$.value'), json_extract(l.b, '$.limit'),
	strftime('%Y-%m-%dT%H:%M:%fZ', l.onset_ms / 1000.0, 'unixepoch'),
	strftime('%Y-%m-%dT%H:%M:%fZ', k.at_ms / 1000.0, 'unixepoch'), k.operator,
	strftime('%Y-%m-%dT%H:%M:%fZ', f.at_ms / 1000.0, 'unixepoch'),
	l.onset_ms, k.at_ms, f.at_ms, json_extract(l.b, '$.text')
FROM life l LEFT JOIN event k ON k.event = l.ack
	LEFT JOIN event f ON f.event = l.fin AND json_extract('{' || f.body || '}', '$.change') = 'cleared';

-- A session: who and what as last said, and when its phases were reached.
CREATE VIEW audit_session(session, chair, patient, operator, protocol, weight_kg, phase, started_at, infusion_started_at,
	infusion_ended_at, ended_at, outcome, started_ms, infusion_started_ms, infusion_ended_ms, ended_ms) AS
WITH step AS NOT MATERIALIZED (
	SELECT e.session, e.event, e.at_ms, e.operator, '{' || e.body || '}' AS b
	FROM event e WHERE e.kind = 'session' AND e.session IS NOT NULL),
course AS NOT MATERIALIZED (
	SELECT s.session, o.chair, s.started_ms, e.operator, '{' || e.body || '}' AS b,
		(SELECT min(p.at_ms) FROM step p WHERE p.session = s.session AND json_extract(p.b, '$.phase') = 'infusion') AS infusion_ms,
		(SELECT min(p.at_ms) FROM step p WHERE p.session = s.session AND json_extract(p.b, '$.phase') = 'discharged') AS ended_ms
	FROM session s JOIN event e ON e.event = s.event JOIN origin o ON o.origin = e.origin),
times AS NOT MATERIALIZED (
	SELECT c.*,
		(SELECT min(p.at_ms) FROM step p WHERE p.session = c.session AND p.at_ms >= c.infusion_ms
			AND json_extract(p.b, '$.phase') IN ('recovery', 'aborted', 'discharged')) AS infusion_end_ms
	FROM course c)
SELECT c.session, c.chair,
	coalesce((SELECT json_extract(p.b, '$.patient') FROM step p WHERE p.session = c.session
		AND json_extract(p.b, '$.patient') IS NOT NULL ORDER BY p.event DESC LIMIT 1), json_extract(c.b, '$.patient')),
	c.operator,
	(SELECT json_extract(p.b, '$.protocol') FROM step p WHERE p.session = c.session
		AND json_extract(p.b, '$.protocol') IS NOT NULL ORDER BY p.event DESC LIMIT 1),
	(SELECT coalesce(json_extract(p.b, '$.weight_kg'), json_extract(p.b, '$.weight')) FROM step p WHERE p.session = c.session
		AND coalesce(json_extract(p.b, '$.weight_kg'), json_extract(p.b, '$.weight')) IS NOT NULL ORDER BY p.event DESC LIMIT 1),
	(SELECT json_extract(p.b, '$.phase') FROM step p WHERE p.session = c.session
		AND json_extract(p.b, '$.phase') IS NOT NULL ORDER BY p.event DESC LIMIT 1),
	strftime('%Y-%m-%dT%H:%M:%fZ', c.started_ms / 1000.0, 'unixepoch'),
	strftime('%Y-%m-%dT%H:%M:%fZ', c.infusion_ms / 1000.0, 'unixepoch'),
	strftime('%Y-%m-%dT%H:%M:%fZ', c.infusion_end_ms / 1000.0, 'unixepoch'),
	strftime('%Y-%m-%dT%H:%M:%fZ', c.ended_ms / 1000.0, 'unixepoch'),
	coalesce((SELECT json_extract(p.b, '$.outcome') FROM step p WHERE p.session = c.session
			AND json_extract(p.b, '$.outcome') IS NOT NULL ORDER BY p.event DESC LIMIT 1),
		CASE WHEN c.ended_ms IS NULL THEN NULL
		WHEN EXISTS (SELECT 1 FROM step p WHERE p.session = c.session AND json_extract(p.b, '$.phase') = 'aborted') THEN 'aborted'
		WHEN c.infusion_ms IS NULL THEN 'not_started' ELSE 'completed' END),
	c.started_ms, c.infusion_ms, c.infusion_end_ms, c.ended_ms
FROM times c;
