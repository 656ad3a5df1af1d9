/*
 * The lab's command channel, inside the VM: runs commands and moves files for the host, over a
 * virtio-serial port. It needs no network, survives snapshots, and answers before systemd is done.
 *
 * A frame is: type (u8), id (u32), length (u32), payload; all little-endian.
 *
 *   host to guest                               guest to host
 *   'X' run "bash -c PAYLOAD"                   'O' standard output   'E' standard error
 *   'T' the same on a new terminal              'R' the end: i32 exit status, 128 + signal
 *   'I' input for the terminal                  'D' a piece of the file asked for
 *   'S' terminal size: u16 rows, u16 columns
 *   'K' SIGKILL to the command's session
 *   'P' create a file: path, NUL, u32 mode      'p' append to it      'C' close it: 'R' is errno
 *   'G' send a file: 'D'..., then 'R' is errno
 *   'N' ping: 'R' 0
 *
 * Invariants: nothing here waits for ever. A host that went away is noticed by POLLHUP, and what
 * was meant for it is dropped. A command ends when its process ends, even if something it left
 * behind still holds its output open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT_NAME   "lab.0\n"
#define MAX_JOBS    32
#define HEADER_SIZE 9
#define CHUNK_SIZE  (32u * 1024)
#define MAX_PAYLOAD (128u * 1024)

struct job {
	uint32_t id;
	pid_t pid;
	int fds[2]; /* standard output, standard error; a terminal has the first only */
	bool exited;
	int status;
};

static struct job jobs[MAX_JOBS];
static size_t n_jobs;
static int port = -1;
static int file_being_put = -1;
static int put_errno;

static int open_port(void)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *entry;
	int fd = -1;

	while (dir && fd < 0 && (entry = readdir(dir))) {
		char path[300], name[32] = "";
		int name_fd;

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
		name_fd = open(path, O_RDONLY | O_CLOEXEC);
		if (name_fd < 0)
			continue;
		if (read(name_fd, name, sizeof(name) - 1) > 0 && strcmp(name, PORT_NAME) == 0) {
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
			fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		}
		close(name_fd);
	}
	if (dir)
		closedir(dir);
	return fd;
}

static void write_port(const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		struct pollfd ready = { .fd = port, .events = POLLOUT };
		ssize_t n = write(port, p, size);

		if (n > 0) {
			p += n;
			size -= (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return;
		if (poll(&ready, 1, 5000) <= 0 || (ready.revents & POLLHUP))
			return;
	}
}

static void send_frame(char type, uint32_t id, const void *data, uint32_t size)
{
	static char frame[HEADER_SIZE + CHUNK_SIZE];

	frame[0] = type;
	memcpy(frame + 1, &id, sizeof(id));
	memcpy(frame + 5, &size, sizeof(size));
	memcpy(frame + HEADER_SIZE, data, size);
	write_port(frame, HEADER_SIZE + size);
}

static void send_result(uint32_t id, int32_t value)
{
	send_frame('R', id, &value, sizeof(value));
}

static struct job *find_job(uint32_t id)
{
	for (size_t i = 0; i < n_jobs; i++)
		if (jobs[i].id == id)
			return &jobs[i];
	return NULL;
}

static void __attribute__((noreturn)) run_child(const char *command)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("DEBIAN_FRONTEND", "noninteractive", 1);
	/* The unit's own environment would tell a command that it is a service. */
	unsetenv("INVOCATION_ID");
	unsetenv("JOURNAL_STREAM");
	if (chdir("/root") < 0)
		_exit(126);
	execl("/bin/bash", "bash", "-c", command, (char *)NULL);
	_exit(127);
}

static void start_command(uint32_t id, const char *command)
{
	int out[2], err[2];
	pid_t pid;

	if (n_jobs == MAX_JOBS || pipe2(out, O_CLOEXEC) < 0) {
		send_result(id, -1);
		return;
	}
	if (pipe2(err, O_CLOEXEC) < 0) {
		close(out[0]);
		close(out[1]);
		send_result(id, -1);
		return;
	}
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		setsid();
		if (null < 0 || dup2(null, 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
			_exit(126);
		run_child(command);
	}
	close(out[1]);
	close(err[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	jobs[n_jobs++] = (struct job){ .id = id, .pid = pid, .fds = { out[0], err[0] } };
	if (pid < 0) {
		jobs[n_jobs - 1].exited = true;
		jobs[n_jobs - 1].status = 126 << 8;
	}
}

static void start_terminal(uint32_t id, const char *command)
{
	int master;
	pid_t pid;

	if (n_jobs == MAX_JOBS) {
		send_result(id, -1);
		return;
	}
	pid = forkpty(&master, NULL, NULL, NULL);
	if (pid < 0) {
		send_result(id, -1);
		return;
	}
	if (pid == 0)
		run_child(command);
	fcntl(master, F_SETFL, O_NONBLOCK);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	jobs[n_jobs++] = (struct job){ .id = id, .pid = pid, .fds = { master, -1 } };
}

static void resize_terminal(struct job *job, const char *data, uint32_t size)
{
	struct winsize window = {};

	if (!job || size < 4)
		return;
	memcpy(&window.ws_row, data, 2);
	memcpy(&window.ws_col, data + 2, 2);
	ioctl(job->fds[0], TIOCSWINSZ, &window);
}

static void write_all(int fd, const char *data, uint32_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			put_errno = n < 0 ? errno : EIO;
			return;
		}
		data += n;
		size -= (uint32_t)n;
	}
}

static void begin_put(const char *path, uint32_t size)
{
	size_t path_size = strlen(path) + 1;
	uint32_t mode;

	put_errno = EINVAL;
	if (file_being_put >= 0)
		close(file_being_put);
	file_being_put = -1;
	if (path_size + sizeof(mode) > size)
		return;
	memcpy(&mode, path + path_size, sizeof(mode));
	unlink(path);
	file_being_put = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	put_errno = file_being_put < 0 || fchmod(file_being_put, mode) < 0 ? errno : 0;
}

static void end_put(uint32_t id)
{
	if (file_being_put >= 0 && close(file_being_put) < 0 && put_errno == 0)
		put_errno = errno;
	file_being_put = -1;
	send_result(id, put_errno);
}

static void send_file(uint32_t id, const char *path)
{
	static char chunk[CHUNK_SIZE];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0) {
		send_result(id, errno);
		return;
	}
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		send_frame('D', id, chunk, (uint32_t)n);
	send_result(id, n < 0 ? errno : 0);
	close(fd);
}

/* data is followed by a writable byte, which is set to NUL for the kinds that carry text. */
static void handle_frame(char type, uint32_t id, char *data, uint32_t size)
{
	struct job *job = find_job(id);
	char saved = data[size];

	data[size] = '\0';
	switch (type) {
	case 'X':
		start_command(id, data);
		break;
	case 'T':
		start_terminal(id, data);
		break;
	case 'I':
		if (job)
			write_all(job->fds[0], data, size);
		break;
	case 'S':
		resize_terminal(job, data, size);
		break;
	case 'K':
		if (job)
			kill(-job->pid, SIGKILL);
		break;
	case 'P':
		begin_put(data, size);
		break;
	case 'p':
		if (file_being_put >= 0 && put_errno == 0)
			write_all(file_being_put, data, size);
		break;
	case 'C':
		end_put(id);
		break;
	case 'G':
		send_file(id, data);
		break;
	case 'N':
		send_result(id, 0);
		break;
	}
	data[size] = saved;
}

static void read_port(bool hung_up)
{
	static char buffer[HEADER_SIZE + MAX_PAYLOAD + 1];
	static size_t have;
	size_t done = 0;
	ssize_t n = read(port, buffer + have, HEADER_SIZE + MAX_PAYLOAD - have);

	if (n > 0)
		have += (size_t)n;
	else if (hung_up)
		have = 0; /* half a frame from a host that is gone */
	while (have - done >= HEADER_SIZE) {
		uint32_t id, size;

		memcpy(&id, buffer + done + 1, sizeof(id));
		memcpy(&size, buffer + done + 5, sizeof(size));
		if (size > MAX_PAYLOAD) {
			done = have;
			break;
		}
		if (have - done < HEADER_SIZE + size)
			break;
		handle_frame(buffer[done], id, buffer + done + HEADER_SIZE, size);
		done += HEADER_SIZE + size;
	}
	memmove(buffer, buffer + done, have - done);
	have -= done;
}

/* Returns true if anything was read: a job is only over once its pipes are drained. */
static bool forward_output(struct job *job)
{
	static char chunk[CHUNK_SIZE];
	bool moved = false;

	for (int i = 0; i < 2; i++) {
		ssize_t n;

		if (job->fds[i] < 0)
			continue;
		n = read(job->fds[i], chunk, sizeof(chunk));
		if (n > 0) {
			send_frame(i == 0 ? 'O' : 'E', job->id, chunk, (uint32_t)n);
			moved = true;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			close(job->fds[i]);
			job->fds[i] = -1;
		}
	}
	return moved;
}

static bool serve_jobs(void)
{
	bool moved = false;

	for (size_t i = 0; i < n_jobs;) {
		struct job *job = &jobs[i];
		bool job_moved = forward_output(job);

		moved |= job_moved;
		if (!job->exited && waitpid(job->pid, &job->status, WNOHANG) == job->pid) {
			job->exited = true;
			job_moved = true;
			moved = true;
		}
		if (!job->exited || job_moved) {
			i++;
			continue;
		}
		for (int k = 0; k < 2; k++)
			if (job->fds[k] >= 0)
				close(job->fds[k]);
		send_result(job->id, WIFEXITED(job->status) ? WEXITSTATUS(job->status)
							    : 128 + WTERMSIG(job->status));
		*job = jobs[--n_jobs];
	}
	return moved;
}

static void serve(int signal_fd)
{
	for (;;) {
		struct pollfd fds[2 + 2 * MAX_JOBS] = {
			{ .fd = port, .events = POLLIN },
			{ .fd = signal_fd, .events = POLLIN },
		};
		struct signalfd_siginfo info;
		nfds_t n = 2;

		for (size_t i = 0; i < n_jobs; i++)
			for (int k = 0; k < 2; k++)
				if (jobs[i].fds[k] >= 0)
					fds[n++] = (struct pollfd){ .fd = jobs[i].fds[k],
								    .events = POLLIN };
		if (poll(fds, n, -1) < 0 && errno != EINTR)
			exit(1);
		while (read(signal_fd, &info, sizeof(info)) > 0)
			;
		if (fds[0].revents)
			read_port(fds[0].revents & POLLHUP);
		while (serve_jobs())
			;
		/* Without a host the port is always ready; look again in a moment. */
		if (fds[0].revents & POLLHUP)
			usleep(50 * 1000);
	}
}

int main(void)
{
	sigset_t child;
	int signal_fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		return 1;
	for (int i = 0; i < 600 && port < 0; i++) {
		port = open_port();
		if (port < 0)
			usleep(100 * 1000);
	}
	if (port < 0) {
		fprintf(stderr, "lab-agent: no virtio-serial port named lab.0 after 60 s\n");
		return 1;
	}
	serve(signal_fd);
}
