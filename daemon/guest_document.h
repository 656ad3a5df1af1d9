#pragma once
/*
 * The document that a host gives its guest. It is kept byte for byte where every document lies, so
 * that its digest is the one the host knows; a mark beside the originals says whose it is.
 */
#include "state/error.h"

/* Holds the digest of the document as it was sent. */
#define DOCUMENT_FROM_HOST "/var/lib/latencyd/document-from-host"

/*
 * Takes {"document": text, "reboot": bool}. The text must be a guest's document. -EEXIST: the
 * document that lies there is not from the host; -EINVAL, -EBADMSG, -E2BIG with *e.
 */
int guest_document_keep(const char *json, bool *ret_reboot, struct error *e);
