#pragma once
/*
 * A daemon's alerting in a mount namespace of its own with empty /run, /var/lib and /var/log, where
 * the test itself is the journal. One test at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/manager.h"

/* cmocka's setup of the group, and of each test. */
int alerts_namespace(void **state);
int alerts_setup(void **state);
int alerts_teardown(void **state);
#define ALERTS_TEST(fn) cmocka_unit_test_setup_teardown(fn, alerts_setup, alerts_teardown)

/* Why there is no namespace; NULL: there is one. */
extern const char *alerts_cannot;
#define NEED_NAMESPACE()                                      \
	do {                                                  \
		if (alerts_cannot) {                          \
			print_message("%s\n", alerts_cannot); \
			skip();                               \
		}                                             \
	} while (0)

extern struct manager m;
/* It tells the journal only, unless the test says otherwise. */
void start_daemon(void);
/* As a kill would: nothing is written at the end. */
void end_daemon(void);
/* The test is no longer the journal. */
void leave_the_journal(void);

/* A program may call itself anything. As it must come out: */
#define HOSTILE_COMM	   "e\"v`$(i)\\l\nMESSAGE=forged"
#define HOSTILE_COMM_TAMED "e\"v`$(i)\\l?MESSAGE=forged"
/* @setting was right and is @now, by a process of that name. Owned by the caller. */
struct alert alert_of(const char *setting, enum verdict now);
void send_one(const char *setting, enum verdict now);

/* The next entry that the journal got, as "\nNAME=value\n..." (malloc()ed); NULL: none. */
char *next_entry(void);
void expect_field(const char *entry, const char *field);
void expect_entry(const char *message_id);
void expect_silence(void);
