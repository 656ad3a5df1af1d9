/*
 * Writes a wrong value again and again, each time as a program of another name, and says when it
 * did and when the right one was back. Two that no look came between would be one drift, so the
 * next follows when latencyd has published that all is right again.
 *
 *	drift_writer FILE WRONG RIGHT TIMES
 *
 * One line a write: "NUMBER WRITTEN_US MENDED_US", CLOCK_REALTIME in microseconds (the journal's
 * clock), MENDED_US 0 when it was not mended within ten seconds. At the end "seen N": how many of
 * them a loop that reads the file once a second, beside it, came to see.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_US 10000000
#define PAUSE_US    50000
#define STATUS	    "/run/latencyd/status.json"
/* Long enough to be named: who cannot be is mended less and less often. */
#define LIFE_US 50000

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int says(const char *file, const char *value)
{
	char text[64] = "";
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 && strtol(text, NULL, 10) == strtol(value, NULL, 10);
}

/* The verdict stands among the first keys. */
static int is_published_right(void)
{
	char text[257] = "";
	int fd = open(STATUS, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 && strstr(text, "\"verdict\":\"verified\"");
}

/* As the stranger: writes, and tells when just before. */
static int write_once(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	uint64_t at = now_us();

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return 1;
	if (write(STDOUT_FILENO, &at, sizeof(at)) != sizeof(at))
		return 1;
	usleep(LIFE_US);
	return 0;
}

/* When it wrote; 0: it did not. It lives on for a while. */
static uint64_t stranger(const char *self, long number, char *file, char *value, pid_t *ret_pid)
{
	char name[64];
	uint64_t at = 0;
	int fds[2];

	snprintf(name, sizeof(name), "/root/stranger-%ld", number);
	if (pipe(fds) < 0 || link(self, name) < 0)
		return 0;
	*ret_pid = fork();
	if (*ret_pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execl(name, name, "once", file, value, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	if (read(fds[0], &at, sizeof(at)) != sizeof(at))
		at = 0;
	close(fds[0]);
	unlink(name);
	return at;
}

static pid_t poll_beside(const char *file, const char *wrong, int *ret_fd)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		exit(1);
	pid = fork();
	if (pid > 0) {
		close(fds[1]);
		*ret_fd = fds[0];
		return pid;
	}
	for (;;) {
		sleep(1);
		if (says(file, wrong) && write(fds[1], "!", 1) != 1)
			_exit(1);
	}
}

int main(int argc, char **argv)
{
	char seen[4096];
	ssize_t n;
	pid_t poller;
	int fd;

	if (argc == 4 && strcmp(argv[1], "once") == 0)
		return write_once(argv[2], argv[3]);
	if (argc != 5)
		return 2;
	poller = poll_beside(argv[1], argv[2], &fd);
	for (long i = 0, times = strtol(argv[4], NULL, 10); i < times; i++) {
		pid_t pid = 0;
		uint64_t at = stranger(argv[0], i, argv[1], argv[2], &pid), mended = 0;

		while (at && !mended && now_us() < at + PATIENCE_US) {
			if (says(argv[1], argv[3]))
				mended = now_us();
			else
				usleep(500);
		}
		printf("%ld %llu %llu\n", i, (unsigned long long)at, (unsigned long long)mended);
		fflush(stdout);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		while (!is_published_right() && now_us() < at + PATIENCE_US)
			usleep(5000);
		usleep(PAUSE_US);
	}
	kill(poller, SIGKILL);
	waitpid(poller, NULL, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	n = read(fd, seen, sizeof(seen));
	printf("seen %zd\n", n > 0 ? n : 0);
	return 0;
}
