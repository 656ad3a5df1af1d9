#!/bin/sh
# latencyctl apply and revert as a whole, on a fake machine: a generated tree that is "/" inside
# namespaces of its own (mounts, processes, network), so that whatever the program does stays there.
# The tree's kernel files are plain files: they take every value, which is enough for the order of
# things; what a kernel makes of it is shown in the lab. Run from the build folder.
ctl=${LATENCYCTL:-./latencyctl}
mktree=${MKTREE:-./tests/trees/mktree}
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"
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
mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/usr/sbin" "$root/dev"
ln -s usr/lib usr/lib64 usr/bin usr/sbin "$root"
cp "$ctl" "$root/latencyctl"
: >"$root/dev/null"
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
says() {
	text=$1
	shift
	said=$("$@" 2>&1)
	case $said in
	*"$text"*) ;;
	*) echo "\"$text\" is missing in: $said" && return 1 ;;
	esac
}
# writes_nothing COMMAND...: no file or folder of the machine is changed by it.
writes_nothing() {
	sleep 0.02
	touch "$work/stamp"
	sleep 0.02
	"$@" >"$work/out" 2>&1
	changed=$(find "$root" -newer "$work/stamp" ! -path "$root/dev*")
	[ -z "$changed" ] || { echo "$changed" && return 1; }
}

printf 'version: 1\nhost: {cpus: {isolated: 2-3}, watchdog: off}\n' >"$work/wrong.yaml"
cp "$root/etc/latencyd/latencyd.yaml" "$work/good.yaml"
cp "$work/wrong.yaml" "$root/etc/latencyd/latencyd.yaml"
check "a document with an error changes nothing" writes_nothing inside /latencyctl apply
check "and is an error" exits 1 inside /latencyctl apply
cp "$work/good.yaml" "$root/etc/latencyd/latencyd.yaml"
chmod 666 "$root/etc/latencyd/latencyd.yaml"
check "nor does one that others may write" writes_nothing inside /latencyctl apply
chmod 644 "$root/etc/latencyd/latencyd.yaml"

check "revert before any apply has nothing to do" \
	says "nothing to revert" inside /latencyctl revert
check "and writes nothing" writes_nothing inside /latencyctl revert
check "apply on a stock machine ends in pending-reboot" exits 4 inside /latencyctl apply
check "the kernel files are written" \
	[ "$(machine /proc/sys/kernel/watchdog)$(machine /proc/sys/kernel/timer_migration)" = 00 ]
check "the boot entry has the argument once" \
	[ "$(grep -c 'ro .*nohz_full=2-3' "$root/boot/grub/grub.cfg")" -ge 1 ]
check "no argument is doubled" \
	[ "$(grep -cE 'nohz_full=.*nohz_full=' "$root/boot/grub/grub.cfg")" -eq 0 ]
check "a second apply writes nothing" writes_nothing inside /latencyctl apply
check "and says so" says "nothing to do but a reboot" inside /latencyctl apply
check "it still exits 4" exits 4 inside /latencyctl apply --quiet
check "a reboot that cannot be asked for is an error" exits 1 inside /latencyctl apply --reboot

echo 1 >"$root/proc/sys/kernel/watchdog"
check "a drifted machine is status 3" exits 3 inside /latencyctl status --quiet
flock "$root/run/latencyd/lock" sleep 30 &
holder=$!
until ! flock -n "$root/run/latencyd/lock" true; do sleep 0.05; done
check "an apply beside another is refused" exits 1 inside /latencyctl apply --quiet
kill "$holder"
wait "$holder" 2>/dev/null
while ! flock -n "$root/run/latencyd/lock" true; do sleep 0.05; done
check "after it, apply converges the drift" exits 4 inside /latencyctl apply --quiet
check "and the file is right again" [ "$(machine /proc/sys/kernel/watchdog)" = 0 ]

check "revert of one setting undoes only that" \
	sh -c '[ "$1$2" = 01 ]' sh \
	"$(inside /latencyctl revert timer_migration >/dev/null 2>&1; machine /proc/sys/kernel/watchdog)" \
	"$(machine /proc/sys/kernel/timer_migration)"
check "revert exits 0" exits 0 inside /latencyctl revert
as_stock() {
	for folder in boot etc proc sys; do
		diff -r --no-dereference "$work/stock/$folder" "$root/$folder" || return 1
	done
}
check "and leaves every file as it was" as_stock
check "and nothing to revert" says "nothing to revert" inside /latencyctl revert
finish
