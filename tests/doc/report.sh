#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# The manual page names every field of a report.

. "$srcdir/tests/tap.sh"

perl -MJSON::PP -e 1 2>/dev/null || tap_skip_all "no perl with JSON::PP"

cat >"$tmp/keys.pl" <<'EOT'
use JSON::PP;
sub keys_of {
	my ($value) = @_;
	return map { ($_, keys_of($value->{$_})) } keys %$value if ref $value eq 'HASH';
	return map { keys_of($_) } @$value if ref $value eq 'ARRAY';
	return;
}
local $/ = undef;
my $report = decode_json(<STDIN>);
delete $report->{settings}; # named after the variables
print "$_\n" for keys_of($report);
EOT

report() {
	LD_PRELOAD=$preload LLFREE_STATS=json LLFREE_STATS_FILE="$tmp/report" \
		LLFREE_PROFILE=$1 sort -S 1M "$srcdir/README.md" >"$tmp/sorted" &&
		perl "$tmp/keys.pl" <"$tmp/report" | sort -u >"$tmp/keys" &&
		rm "$tmp/report" && grep -qx served "$tmp/keys"
}

# Words of the page's lines that name fields.
named() {
	grep -E '^\.(It |Pq )?Va ' "$srcdir/doc/llfree-preload.7" |
		tr ' ' '\n' | sort -u >"$tmp/words"
	comm -23 "$tmp/keys" "$tmp/words" >"$tmp/missing"
	cat "$tmp/missing"
	[ -s "$tmp/words" ] && [ ! -s "$tmp/missing" ]
}

tap_ok "a report is written" report 0
tap_ok "llfree-preload(7) names all its fields" named
tap_ok "a report with call sites is written" report 1
tap_ok "llfree-preload(7) names those as well" named
tap_done
