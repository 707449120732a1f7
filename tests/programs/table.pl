#!/usr/bin/perl
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# table.pl LOG...
#
# The table at the end of make check-programs, of the rows that report.pl wrote
# to the logs of the tests: what could be served and how much of that was, and
# why the rest was not, in MiB by reason (llfree-preload(7) has the reasons).
# Tests that were skipped, or that wrote no row, are named below it.

use strict;
use warnings;
use File::Basename;
use JSON::PP;

sub read_log {
	my ($log) = @_;
	my $entry = { name => basename($log, '.log') };
	open my $in, '<', $log or return $entry;
	while (<$in>) {
		$entry->{row} = decode_json($1) if /^# row (\{.*)/;
		$entry->{skipped} = $1 if /^1\.\.0 # SKIP (.*)/;
	}
	return $entry;
}

sub mib {
	my ($bytes) = @_;
	return sprintf '%.1f', $bytes / 2**20;
}

# Largest first; what would print as 0.0 is left out.
sub reasons {
	my ($bytes) = @_;
	my @large = grep { $bytes->{$_} >= 2**20 / 20 } keys %$bytes;
	return join ', ', map { "$_ " . mib($bytes->{$_}) }
		sort { $bytes->{$b} <=> $bytes->{$a} || $a cmp $b } @large;
}

# Rounded down, so that 100.0 means all.
sub share {
	my ($row) = @_;
	return '-' unless $row->{servable};
	return sprintf '%.1f',
		int(1000 * $row->{served} / $row->{servable}) / 10;
}

sub cells {
	my ($entry) = @_;
	my $row = $entry->{row};
	return [ $entry->{name}, $row->{processes}, mib($row->{servable}),
		share($row), reasons($row->{missed}), reasons($row->{passed}),
		$row->{kernel_heaps} || '' ];
}

# Columns as wide as what is in them, but for the last.
sub print_table {
	my (@lines) = @_;
	my @widths = (0) x @{ $lines[0] };
	for my $line (@lines) {
		for my $i (0 .. $#widths) {
			my $length = length $line->[$i];
			$widths[$i] = $length if $widths[$i] < $length;
		}
	}
	splice @lines, 1, 0, [ map { '-' x $_ } @widths ];
	for my $line (@lines) {
		print '| ', join(' | ', map {
			sprintf '%-*s', $widths[$_], $line->[$_]
		} 0 .. $#widths), " |\n";
	}
	return;
}

my @entries = map { read_log($_) } @ARGV;
print_table([ 'program', 'processes', 'servable, MiB', 'served, %',
		'could have been', 'not for the arena', 'heap not ours' ],
	map { cells($_) } grep { $_->{row} } @entries);
for my $entry (grep { !$_->{row} } @entries) {
	print "$entry->{name}: ", $entry->{skipped} // 'no figures', "\n";
}
