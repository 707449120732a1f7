# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# Each test of the shim as the kernel alone would have it: passes without the
# library, and prints the same with it.

. "$srcdir/tests/tap.sh"

# same NAME: with and without the library.
same() {
	env -u LD_PRELOAD "$builddir/tests/shim/$1" >"$tmp/kernel" 2>&1 ||
		{ cat "$tmp/kernel"; return 1; }
	LD_PRELOAD=$preload "$builddir/tests/shim/$1" >"$tmp/shim" 2>&1 ||
		{ cat "$tmp/shim"; return 1; }
	diff "$tmp/kernel" "$tmp/shim"
}

for name in advise alter contents errors fork full guards limits lockall \
	mremap placed random sandbox signals spawn strict threads unmap; do
	tap_ok "$name: the same as without the library" same "$name"
done

# with SETTING: random calls, where less is served or more is to do.
with() {
	env "$1" SHIM_TEST_UNSERVED=1 RANDOM_SEED=$2 LD_PRELOAD="$preload" \
		"$builddir/tests/shim/random"
}
seed=1
for setting in LLFREE_STRICT=1 LLFREE_ARENA=16M LLFREE_HOOK=symbols \
	LLFREE_MAX_REGION=64K; do
	tap_ok "random calls with $setting" with $setting $seed
	seed=$((seed + 1))
done
tap_done
