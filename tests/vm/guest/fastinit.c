/*
 * The lab's /init: the smallest initramfs program that boots a Debian root file system on a
 * virtio disk. Debian's own initramfs takes half a minute of a boot under TCG and minutes to build.
 *
 * It loads the modules named in /modules.list in that order, finds root= (UUID=... or a device),
 * mounts it as ext4, and executes init= or /sbin/init there. As Debian's does, a failure reboots
 * after panic= seconds if that is on the command line, and otherwise waits for a person.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char command_line[8192];

/* The value of the last KEY=VALUE on the command line, in storage owned by the caller. */
static const char *argument(const char *key, char *value, size_t size)
{
	size_t key_length = strlen(key);
	const char *found = NULL;

	for (const char *p = command_line; *p;) {
		size_t length = strcspn(p, " \n");

		if (length > key_length && strncmp(p, key, key_length) == 0 &&
		    p[key_length] == '=') {
			snprintf(value, size, "%.*s", (int)(length - key_length - 1),
				 p + key_length + 1);
			found = value;
		}
		p += length;
		p += strspn(p, " \n");
	}
	return found;
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
	char value[32];
	const char *panic = argument("panic", value, sizeof(value));
	int seconds = panic ? (int)strtol(panic, NULL, 10) : 0;
	va_list args;

	va_start(args, format);
	vdprintf(2, format, args);
	va_end(args);
	dprintf(2, "\n");
	if (seconds != 0) {
		dprintf(2, "fastinit: rebooting because of panic=\n");
		if (seconds > 0)
			sleep((unsigned int)seconds);
		reboot(RB_AUTOBOOT);
	}
	for (;;)
		pause();
}

static void mount_or_fail(const char *type, const char *target, unsigned long flags,
			  const char *options)
{
	mkdir(target, 0755);
	if (mount(type, target, type, flags, options) < 0)
		fail("fastinit: cannot mount %s on %s: %m", type, target);
}

static void load_modules(void)
{
	FILE *list = fopen("/modules.list", "re");
	char name[256], path[512];

	while (list && fgets(name, sizeof(name), list)) {
		int fd;

		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			dprintf(2, "fastinit: %s: %m\n", path);
		if (fd >= 0)
			close(fd);
		unlink(path);
	}
	if (list)
		fclose(list);
}

/* Reads the ext4 superblock at 1024: the magic number is at 56, the UUID at 104. */
static bool device_has_uuid(const char *device, const char *wanted)
{
	unsigned char block[128];
	char uuid[40], *p = uuid;
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	bool is_ext = fd >= 0 && pread(fd, block, sizeof(block), 1024) == sizeof(block) &&
		      block[56] == 0x53 && block[57] == 0xef;

	if (fd >= 0)
		close(fd);
	if (!is_ext)
		return false;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", block[104 + i]);
	}
	return strcasecmp(uuid, wanted) == 0;
}

static bool find_by_uuid(const char *uuid, char *device, size_t size)
{
	DIR *dir = opendir("/sys/class/block");
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(device, size, "/dev/%s", entry->d_name);
		found = device_has_uuid(device, uuid);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void mount_root(void)
{
	char value[512], device[512];
	const char *root = argument("root", value, sizeof(value));
	bool found = false;

	if (!root)
		fail("fastinit: no root= on the command line");
	for (int i = 0; i < 100 && !found; i++) {
		if (strncmp(root, "UUID=", 5) == 0) {
			found = find_by_uuid(root + 5, device, sizeof(device));
		} else {
			snprintf(device, sizeof(device), "%s", root);
			found = access(device, F_OK) == 0;
		}
		if (!found)
			usleep(100 * 1000);
	}
	if (!found)
		fail("fastinit: ALERT! %s does not exist", root);
	mkdir("/root", 0755);
	if (mount(device, "/root", "ext4", MS_RDONLY, NULL) < 0)
		fail("fastinit: cannot mount %s: %m", device);
}

static void switch_root(void)
{
	static const char *const moved[] = { "dev", "proc", "sys", "run" };
	char from[16], to[32];

	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		snprintf(from, sizeof(from), "/%s", moved[i]);
		snprintf(to, sizeof(to), "/root/%s", moved[i]);
		if (mount(from, to, NULL, MS_MOVE, NULL) < 0)
			fail("fastinit: cannot move %s: %m", from);
	}
	unlink("/init");
	if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		fail("fastinit: cannot enter the root file system: %m");
}

int main(void)
{
	char value[512];
	const char *init;
	int console, fd;
	ssize_t n;

	mount_or_fail("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_or_fail("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_or_fail("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
	mount_or_fail("tmpfs", "/run", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=10%");
	console = open("/dev/console", O_RDWR);
	for (int i = 0; console >= 0 && i < 3; i++)
		dup2(console, i);
	if (console > 2)
		close(console);
	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	n = read(fd, command_line, sizeof(command_line) - 1);
	command_line[n > 0 ? n : 0] = '\0';
	close(fd);
	load_modules();
	mount_root();
	switch_root();
	init = argument("init", value, sizeof(value));
	if (!init)
		init = "/sbin/init";
	execl(init, init, (char *)NULL);
	fail("fastinit: cannot execute %s: %m", init);
}
