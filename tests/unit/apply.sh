#!/bin/sh
# latencyctl apply and revert as a whole, on a fake machine (see box.sh). Its kernel files take every
# value, which is enough for the order of things; what a kernel makes of it is shown in the lab. Run
# from the build folder.
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/unit/box.sh
. "$(dirname "$0")/box.sh"

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
check "of measure exit code 2, as 1 is FAIL" exits 2 inside /latencyctl measure
cp "$work/good.yaml" "$root/etc/latencyd/latencyd.yaml"
chmod 666 "$root/etc/latencyd/latencyd.yaml"
check "nor does one that others may write" writes_nothing inside /latencyctl apply
check "which is an error too" exits 1 inside /latencyctl apply
chmod 644 "$root/etc/latencyd/latencyd.yaml"

check "revert before any apply has nothing to do" \
	says "nothing to revert" inside /latencyctl revert
check "and writes nothing" writes_nothing inside /latencyctl revert
check "measure on a machine that is not verified is refused" \
	exits 3 inside /latencyctl measure --quiet
check "and names what is not" says "timer_migration" inside /latencyctl measure
check "--runtime and --reboot exclude each other" \
	exits 2 inside /latencyctl apply --runtime --reboot
check "apply --runtime leaves a difference for the boot files" \
	exits 3 inside /latencyctl apply --runtime --quiet
check "but not in the running machine" \
	[ "$(machine /proc/sys/kernel/watchdog)$(machine /proc/sys/kernel/timer_migration)" = 00 ]
boot_as_stock() {
	diff -r --no-dereference "$work/stock/boot" "$root/boot" &&
		diff -r --no-dereference "$work/stock/etc" "$root/etc"
}
check "and touches no boot file" boot_as_stock
check "a second one has nothing to do" \
	says "nothing to do at run time" inside /latencyctl apply --runtime
check "and writes nothing" writes_nothing inside /latencyctl apply --runtime
check "no revert waits to be finished" \
	says "no revert waits" inside /latencyctl revert --resume
check "which is no error, and writes nothing" writes_nothing inside /latencyctl revert --resume --quiet
check "revert --resume is of the whole machine" \
	exits 2 inside /latencyctl revert --resume timer_migration
inside /latencyctl revert --quiet
check "apply --runtime is reverted like any other" \
	[ "$(machine /proc/sys/kernel/timer_migration)" = 1 ]
inside /latencyctl apply --runtime --quiet
sed -i 's/"reverting": *false/"reverting": true/' "$root/var/lib/latencyd/originals.json"
check "revert --resume finishes a revert that waits" exits 0 inside /latencyctl revert --resume
check "so that all is as it was" [ "$(machine /proc/sys/kernel/timer_migration)" = 1 ]
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
held() { ! flock -n "$root/run/latencyd/lock" true; }
flock -o "$root/run/latencyd/lock" sleep 30 &
holder=$!
soon held
check "an apply beside another is refused" exits 1 inside /latencyctl apply --quiet
kill "$holder"
wait "$holder" 2>/dev/null
soon flock -n "$root/run/latencyd/lock" true
check "after it, apply converges the drift" exits 4 inside /latencyctl apply --quiet
check "and the file is right again" [ "$(machine /proc/sys/kernel/watchdog)" = 0 ]

# shellcheck disable=SC2016 # the inner shell expands
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

# Nothing is kept of a guest that was right already, and yet its latencyd may mend it from now on.
printf 'version: 1\nguest: {timer_migration: off}\n' >"$root/etc/latencyd/latencyd.yaml"
echo 0 >"$root/proc/sys/kernel/timer_migration"
check "a guest that is right already is converged" exits 0 inside /latencyctl apply --quiet
check "and known as applied to" [ -s "$root/var/lib/latencyd/applied" ]
check "a second apply writes nothing" writes_nothing inside /latencyctl apply --quiet
inside /latencyctl revert --quiet
check "until it is reverted" [ ! -e "$root/var/lib/latencyd/applied" ]
finish
