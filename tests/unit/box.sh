# shellcheck shell=sh
# A machine in a box, for the shell tests: a generated tree that is "/" inside namespaces of its own
# (mounts, processes, network), so that whatever a program does as root stays there. Source it after
# tap.sh; it skips the whole test where namespaces cannot be made. Sets $work and $root.
ctl=${LATENCYCTL:-./latencyctl}
daemon=${LATENCYD:-./latencyd}
mktree=${MKTREE:-./tests/trees/mktree}
export LC_ALL=C.UTF-8

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}
[ "$(id -u)" -eq 0 ] || skip_all "only root can make the namespaces"

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
root=$work/root
"$mktree" vm "$root" || exit 99

# Programs and libraries are this machine's, mounted read-only; update-grub is ours.
mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/usr/sbin" "$root/dev" "$root/run"
ln -s usr/lib usr/lib64 usr/bin usr/sbin "$root"
cp "$ctl" "$root/latencyctl"
cp "$daemon" "$root/latencyd"
: >"$root/dev/null"
# What programs look up about themselves; a sanitizer takes its options from there, and the leak
# checker cannot work without the real /proc.
mkdir -p "$root/proc/self"
ln -s /latencyd "$root/proc/self/exe"
printf 'ASAN_OPTIONS=detect_leaks=0\0' >"$root/proc/self/environ"
cat >"$root/usr/sbin/update-grub" <<'SCRIPT'
#!/bin/sh
set -- /boot/grub/grub.cfg
for f in /etc/default/grub /etc/default/grub.d/*.cfg; do
	[ ! -e "$f" ] || . "$f"
done
sed -i "/ single /!s|^\(\s*linux\s.*root=\S* ro\).*|\1 $GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT|" "$1"
sed -i 's/ *$//' "$1"
SCRIPT
chmod 755 "$root/usr/sbin/update-grub"
cat >"$root/etc/latencyd/latencyd.yaml" <<'YAML'
version: 1
host:
  cpus: {isolated: 2-3}
  tick_offload: isolated
  watchdogs: off
  timer_migration: off
YAML

inside() {
	# shellcheck disable=SC2016 # the inner shell expands
	unshare -m -p -n -u -i --fork sh -c '
		root=$1
		shift
		mount --make-rprivate / || exit 98
		for folder in lib lib64 bin; do
			[ ! -d "/usr/$folder" ] ||
				mount --bind -o ro "/usr/$folder" "$root/usr/$folder" || exit 98
		done
		exec chroot "$root" "$@"' sh "$root" "$@"
}
inside /latencyctl --version >"$work/out" 2>&1 ||
	skip_all "latencyctl does not run in a namespace here: $(tail -n 1 "$work/out")"
inside /usr/sbin/update-grub || exit 99
cp -a "$root" "$work/stock"

machine() { cat "$root$1"; }
