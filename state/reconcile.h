#pragma once
/*
 * The memory of the reconcile loop: what was last said of each setting and to whom it was alerted,
 * who keeps changing it, how often mending it failed. Level-triggered: each step is handed a fresh
 * report and says what is new since the last. Pure; time is an argument. Its size is bounded by the
 * document, never by the number of drifts.
 *
 * Fights: a setting that one program (writer_same()) took out of its wanted state CONTEST_DRIFTS
 * times within CONTEST_WINDOW_US, of the last DRIFTS_KEPT times that anybody did, is contested:
 * alerted once, naming it; mended again only at growing intervals (RETRY_FIRST_US doubled up to
 * RETRY_MAX_US); and no longer contested when it stayed right for CONTEST_QUIET_US. While contested
 * its verdict stays so, right or not. A fight so fast that no look ever sees the setting right
 * counts too: a write that is newer than our mending.
 *
 * Failing repairs back off the same way, and so does what is undone CONTEST_DRIFTS times in a row,
 * each time soon, by nobody who could be named.
 *
 * Nobody is blamed for an old write: it must be newer than the last look that found the setting
 * right. Our own writes are nobody's.
 */
#include <stdint.h>

#include "state/touch.h"
#include "state/verdict.h"

#define CONTEST_DRIFTS	  4
#define DRIFTS_KEPT	  (4 * CONTEST_DRIFTS) /* so many programs may take turns */
#define CONTEST_WINDOW_US (60 * 1000000ULL)
#define CONTEST_QUIET_US  (120 * 1000000ULL)
#define RETRY_FIRST_US	  (10 * 1000000ULL)
#define RETRY_MAX_US	  (15 * 60 * 1000000ULL)
/* Different programs whose drifts of one setting are counted apart; the rest is "other". */
#define DRIFT_UNITS_MAX 8

/* One change of what is said of a setting. Strings are malloc()ed. */
struct alert {
	uint64_t number; /* counts up, over restarts too; 0: not given yet (daemon/alerts.c) */
	char *guest;	 /* NULL: the machine itself */
	char *setting;
	enum verdict was, now;		    /* was == VERDICT_UNMANAGED: nothing was known */
	char *want, *found, *reason, *path; /* NULL: none */
	struct writer writer;		    /* pid 0, uid -1 and no strings: nobody was seen */
	bool caused;			    /* writer is somebody */
	char *since;			    /* ISO 8601 UTC */
};
void alert_done(struct alert *a);
struct json_t *alert_to_json(const struct alert *a); /* NULL when out of memory */
int alert_from_json(const struct json_t *object, struct alert *ret);

/* How often a setting drifted by a unit ("" when not known), for the metrics. */
struct drift_count {
	char *unit; /* "other" when DRIFT_UNITS_MAX are taken */
	uint64_t n;
};

struct reconcile_entry {
	char *guest; /* NULL: the machine itself */
	const struct setting *setting;
	enum verdict said; /* what the last alert, or the first look, said */
	enum verdict seen; /* as the last look judged it */
	bool right;	   /* it was, when last known (unknown is neither) */
	struct drift_count counts[DRIFT_UNITS_MAX + 1];
	size_t n_counts;
	/* Of the last drift; while contested, of the program that it is contested with. */
	struct writer last_writer;
	bool caused; /* last_writer is somebody */
	struct past_drift {
		uint64_t at_us, program; /* writer_program() */
	} drifts[DRIFTS_KEPT];		 /* by somebody with a name, a ring */
	unsigned n_drifts;
	unsigned n_unnamed; /* drifts in a row, each soon, by nobody who could be named */
	bool contested;
	uint64_t right_since_us; /* 0: it is not right now */
	uint64_t seen_right_us;	 /* the last look that found it right */
	uint64_t mended_us;	 /* a repair ended then and it has not been right since; 0: none */
	unsigned n_retries;
	uint64_t retry_us; /* not mended before; 0: at once */
	uint64_t wake_us;  /* to be looked at again then; 0: no need */
};

struct reconcile {
	struct reconcile_entry *entries;
	size_t n_entries;
	/* Everything was looked at since it was made or read back: only then may a look at a part
	 * settle the machine's verdict. What is on disk is what was, not what is. */
	bool whole;
};

struct reconcile_step {
	/* in */
	const struct desired *d; /* the whole document, also where a part was looked at */
	uint64_t looked;	 /* bits of the settings that the report is about; guests too if
				  * ALL_SETTINGS */
	const struct touches *touches;
	uint64_t now_us; /* monotonic */
	const char *now; /* ISO 8601 UTC */
	/* out */
	struct alert *alerts; /* malloc()ed, in the order of the settings */
	size_t n_alerts;
	/* Bits of those looked at that are drifted, or failed to be mended before, and are to be
	 * mended now, as the document allows. */
	uint64_t repair;
	uint64_t wake_us; /* look at those in @wake again then, monotonic; 0: no need */
	uint64_t wake;
};
#define ALL_SETTINGS UINT64_MAX

void reconcile_done(struct reconcile *r);
void reconcile_step_done(struct reconcile_step *s); /* what is out */
/*
 * Takes in @report (the settings outside of @s->looked are not read) and overlays it: contested
 * settings become VERDICT_CONTESTED with the reason, changed_by is filled in (pointing into @r,
 * until its next step), and report->verdict is settled over all settings, those not looked at as
 * they were last said. Settings that the document does not have any more are forgotten. -ENOMEM:
 * nothing is said, the memory is as before.
 */
int reconcile_take(struct reconcile *r, struct report *report, struct reconcile_step *s);
/* A repair of @settings has ended at @now_us; those still drifted at the next step back off. */
void reconcile_repaired(struct reconcile *r, uint64_t settings, uint64_t now_us);
/* The entry of @guest (NULL: the machine) and the setting of that name, or NULL. */
const struct reconcile_entry *reconcile_find(const struct reconcile *r, const char *guest,
					     const char *setting);

/* For the disk. Monotonic times are kept as they are and hold within one boot: another boot's
 * memory (@same_boot false) keeps verdicts and counts only. */
struct json_t *reconcile_to_json(const struct reconcile *r);
int reconcile_from_json(const struct json_t *object, bool same_boot, struct reconcile *ret);
