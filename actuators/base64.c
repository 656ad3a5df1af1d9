/* Four characters for every three bytes, padded; decoding takes nothing else, no blanks either. */
#include "actuators/base64.h"

#include <errno.h>
#include <stdint.h>

#include "state/base.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t size)
{
	const unsigned char *in = data;
	char *out = malloc((size + 2) / 3 * 4 + 1), *p = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t v = (uint32_t)in[i] << 16;

		v |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
		v |= left > 2 ? in[i + 2] : 0;
		*p++ = digits[v >> 18];
		*p++ = digits[v >> 12 & 63];
		*p++ = left > 1 ? digits[v >> 6 & 63] : '=';
		*p++ = left > 2 ? digits[v & 63] : '=';
	}
	*p = '\0';
	return out;
}

static int digit(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -EINVAL;
}

int base64_decode(const char *text, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *out = NULL;
	size_t n = text ? strlen(text) : 1, padding = 0, size = 0;

	if (n % 4)
		return -EINVAL;
	if (n)
		padding = text[n - 1] == '=' ? text[n - 2] == '=' ? 2 : 1 : 0;
	out = malloc(n / 4 * 3 + 1);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i += 4) {
		size_t skip = i + 4 == n ? padding : 0;
		uint32_t v = 0;

		for (size_t j = 0; j < 4; j++) {
			int d = j < 4 - skip ? digit(text[i + j]) : 0;

			if (d < 0)
				return -EINVAL;
			v = v << 6 | (uint32_t)d;
		}
		for (size_t j = 0; j < 3 - skip; j++)
			out[size++] = (char)(v >> (16 - 8 * j));
	}
	out[size] = '\0';
	*ret = take_ptr(out);
	*ret_size = size;
	return 0;
}
