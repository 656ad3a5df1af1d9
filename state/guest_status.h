#pragma once
/*
 * What a guest says of itself, read as what it is: text from a hostile machine. Every count, length
 * and type is bounded; what breaks a bound makes the whole status unusable (-EBADMSG), never a part
 * of it. Pure.
 */
#include "state/guest.h"
#include "state/verdict.h"

#define GUEST_STATUS_SIZE_MAX (512 * 1024)

struct guest_status {
	enum machine_verdict verdict;	      /* as the guest claims */
	const char *digest;		      /* of the document it goes by, or NULL */
	const char *boot_id, *kernel_release; /* or NULL */
	/* Every row of settings[], in its order; verdicts that the guest did not name are
	 * VERDICT_UNKNOWN. Texts are clipped and free of control characters. */
	struct setting_verdict *settings;
	size_t n_settings;
};

/* Into @a. -EBADMSG with *e (may be NULL) saying what is wrong; -ENOMEM. */
int guest_status_parse(const char *text, size_t size, struct arena *a, struct guest_status *ret,
		       struct error *e);
