#!/usr/bin/env python3
"""Makes vitalsctl(1) out of the table that --help prints, so that the two cannot disagree.
usage: manual.py clients/ctl/commands.def OUTPUT"""
import re
import sys

HEAD = r'''.TH VITALSCTL 1 "" "vitalsd" "vitalsd"
.SH NAME
vitalsctl \- the bedside monitor daemon vitalsd, from a shell
.SH SYNOPSIS
.B vitalsctl
.I COMMAND
.RI [ ARGUMENTS ]
.SH DESCRIPTION
What nurses, biomedical engineers and auditors do from a shell: look at the chairs, run a session, answer alarms, read and verify the record, replay recordings, look at devices.
.PP
It is not a certified medical device and never replaces watching the patient.
.SH COMMANDS
'''
TAIL = r'''.SH OPTIONS
.TP
.B \-\-json
data for programs instead of a table, wherever there is one
.TP
.BI \-\-control " PATH"
socket of the daemon; else the one that
.B \-\-config
.I FILE
names, else
.IR $VITALSD_CONTROL ,
else
.I /run/vitalsd/control.sock
.TP
.BI \-\-operator " NAME"
who does it, where a login is shared; else the login name. The user id that the kernel knows stands beside it in the record.
.TP
.BI \-\-log " FILE"
the record to read; needs only read permission and no running daemon
.TP
.BI \-\-from " T" ", \-\-until " T
of the lists of
.BR audit :
a day, a minute, RFC 3339 in UTC, or an age such as 12h, 7d
.TP
.BI \-\-reason " TEXT"
of
.BR "log hold" ,
.B release
and
.BR "retention \-\-apply" :
why; it stands in the record
.TP
.BI \-\-keep " 8y"
of
.BR "log retention" :
what would be due under another policy than the one in force
.TP
.BI \-\-reader " NAME"
who reads the record, where its policy asks for a trace and a login is shared; else the login name
.TP
.B \-\-untraced
reads such a record without a trace, and says so
.TP
.BR \-\-help ", " \-\-version
.SH EXIT STATUS
0 done, 1 it could not be done (the reason is on stderr), 2 wrong usage, 78 configuration invalid
.SH ENVIRONMENT
.TP
.B VITALSD_CONTROL
the control socket
.SH SEE ALSO
.BR vitalsd (8),
.BR vitals\-sim (1)
'''


def strings(text):
    """Adjacent C string literals, as the compiler joins them."""
    return "".join(re.findall(r'"((?:\\.|[^"\\])*)"', text)).replace('\\"', '"')


def main():
    source = re.sub(r"/\*.*?\*/", "", open(sys.argv[1]).read(), flags=re.S)
    page = HEAD
    for name, rest in re.findall(r"(?:COMMAND|PLAIN)\((\w+),(.*?)\)\s*(?=COMMAND|PLAIN|\Z)", source, flags=re.S):
        literals = re.split(r'"\s*,\s*"', rest.strip())
        arguments, summary = strings(literals[0] + '"'), strings('"' + literals[-1])
        escape = lambda s: s.replace("\\", "\\\\").replace("-", "\\-")
        page += ".TP\n.B vitalsctl %s\n.RS\n%s\n.br\n%s\n.RE\n" % (name, escape(arguments), escape(summary))
    open(sys.argv[2], "w").write(page + TAIL)


main()
