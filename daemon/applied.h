#pragma once
/*
 * Was this machine ever applied to? The kept originals say so when something of the machine itself
 * was changed; a machine that was right already, and a document of guests alone, have none, so a
 * mark in /var/lib/latencyd says it too. latencyd takes up by itself only what a person has begun.
 */
#include "state/error.h"

/* After a successful apply of the document @digest. Writes nothing when it says so already. */
int applied_mark(const char *digest, struct error *e);
/* After a revert of everything. */
int applied_forget(struct error *e);
/* 1: it was, and no revert is under way; 0; negative errno. */
int applied_to_machine(void);
