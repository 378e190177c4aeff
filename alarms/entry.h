/* Inside of the session: reading what was entered. */
#pragma once
#include "alarms/session.h"

/* Reads the words of a value into *e (operator and note are already there).  False: refused, `out` says why. */
bool vs_entry_read(enum vs_entry_kind kind, const char *value, struct vs_entry *e, struct vs_gate_findings *out);
/* The value by which it is judged: a number, a severity 0..3, or yes = 1 and no = 0. */
double vs_entry_value(const struct vs_entry *e);
/* An event that ends the infusion. */
bool vs_entry_is_urgent(const struct vs_entry *e);
/* A decimal number at the start of text, and how many characters it takes.  False: there is none. */
bool vs_entry_number(const char *text, size_t *ret_used, double *ret);
