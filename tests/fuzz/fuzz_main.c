/*
 * A plain main for a fuzz target: runs it over every file of the corpus folders named on the
 * command line, so that the corpus is an ordinary regression test without libFuzzer. TAP.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>

#include "state/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *folder, const char *name)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *data = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	long size;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return -ENOMEM;
	f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0)
		return -errno;
	rewind(f);
	data = malloc((size_t)size + 1);
	if (!data)
		return -ENOMEM;
	if (fread(data, 1, (size_t)size, f) != (size_t)size)
		return -EIO;
	return LLVMFuzzerTestOneInput(data, (size_t)size) < 0 ? -EINVAL : 0;
}

static int compare(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int run_folder(const char *folder)
{
	struct dirent **names;
	int count = scandir(folder, &names, visible, compare);
	int failed = 0;

	if (count < 0) {
		printf("Bail out! %s: %s\n", folder, strerror(errno));
		return 1;
	}
	for (int i = 0; i < count; i++) {
		int r = run_file(folder, names[i]->d_name);

		printf("%sok %d - %s\n", r ? "not " : "", i + 1, names[i]->d_name);
		failed |= r != 0;
		free(names[i]);
	}
	free(names);
	printf("1..%d\n", count);
	return failed || !count;
}

int main(int argc, char **argv)
{
	const char *corpus = getenv("FUZZ_CORPUS");
	const char *name = strstr(argv[0], "fuzz_");
	_cleanup_free_ char *folder = NULL;

	if (argc > 1)
		return run_folder(argv[1]);
	if (!corpus || !name || asprintf(&folder, "%s/%s", corpus, name + strlen("fuzz_")) < 0) {
		folder = NULL;
		printf("Bail out! usage: fuzz_NAME FOLDER, or with FUZZ_CORPUS set\n");
		return 1;
	}
	return run_folder(folder);
}
