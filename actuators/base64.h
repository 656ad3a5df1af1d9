#pragma once
/* RFC 4648 base64, for bytes inside JSON that are not UTF-8. */
#include <stddef.h>

/* malloc()ed; NULL: out of memory. */
char *base64_encode(const void *data, size_t size);
/* malloc()ed and NUL-terminated. -EINVAL (also for NULL @text), -ENOMEM. */
int base64_decode(const char *text, char **ret, size_t *ret_size);
