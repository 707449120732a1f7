#!/usr/bin/perl
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# report.pl NAME PERCENT FOLDER
#
# What the JSON reports of a run say: FOLDER has a file for each process, with
# a line for each program that the process was. The exit status has
#
#   1   when the counters of some report do not agree
#   2   when there is no report of a program with NAME in its name, or when of
#       the bytes that some program could have been served, over all of its
#       processes, less than PERCENT were
#
# and more when the reports cannot be read. Prints what is wrong, a line for
# each program, and the row of all of them that table.pl reads.

use strict;
use warnings;
use JSON::PP;

sub read_reports {
	my ($folder) = @_;
	my @reports;
	for my $file (sort glob "$folder/*") {
		open my $in, '<', $file or die "$file: $!\n";
		my @lines = <$in> or die
			"$file is empty: a signal ended that process\n";
		for my $line (@lines) {
			push @reports, eval { decode_json($line) }
				// die "$file is not JSON: $@\n$line\n";
		}
	}
	@reports or die "no report in $folder\n";
	return @reports;
}

sub wrong {
	my ($report) = @_;
	my ($b, @wrong) = ($report->{balance});
	$b->{inherited} + $b->{served} == $b->{live} + $b->{given_back}
		or push @wrong, 'pages inherited + served != live + given back';
	$b->{free_counted} + $b->{claimed} == $b->{free_scanned}
		or push @wrong, 'free pages by counters != by scan';
	$b->{frames} == $b->{free_scanned} + $b->{live} + $b->{lost}
		or push @wrong, 'pages != free + live + lost';
	$b->{live} * 4096 == $report->{memory}{live}
		or push @wrong, 'live pages != live memory';
	return @wrong;
}

sub balanced {
	my $bad = 0;
	for my $report (@_) {
		my @wrong = wrong($report) or next;
		my $b = $report->{balance};
		print "$report->{program} ($report->{pid}): ", join('; ', @wrong),
			': ', join(', ', map { "$_ $b->{$_}" } sort keys %$b), "\n";
		$bad++;
	}
	return $bad == 0;
}

sub mapped {
	my ($report) = @_;
	my $sum = 0;
	$sum += $report->{calls}{$_}{served_bytes} for qw(mmap mremap brk);
	return $sum;
}

# Bytes that were not served: for reasons that are none of ours, and those
# that could have been; both by reason.
sub passed {
	my ($passed, $missed) = ({}, {});
	for my $reasons (map { $_->{passed_because} } @_) {
		for my $why (grep { $reasons->{$_}{bytes} } keys %$reasons) {
			my $kind = $reasons->{$why}{servable} ? $missed : $passed;
			$kind->{$why} += $reasons->{$why}{bytes};
		}
	}
	return $passed, $missed;
}

# Sums over reports. How large a heap became that the kernel kept is unknown.
sub total {
	my ($passed, $missed) = passed(@_);
	my $total = { processes => scalar @_, passed => $passed,
		missed => $missed, served => 0, servable => 0 };
	$total->{served} += mapped($_) for @_;
	$total->{servable} += $_ for $total->{served}, values %$missed;
	$total->{kernel_heaps} = grep { !$_->{hooks}{brk} } @_;
	return $total;
}

sub share {
	my ($total) = @_;
	my $servable = $total->{servable};
	return $servable ? 100 * $total->{served} / $servable : 100;
}

# A line for each program; true when enough was served to each.
sub each_served {
	my ($percent, @reports) = @_;
	my (%programs, $bad);
	push @{ $programs{ $_->{program} } }, $_ for @reports;
	for my $name (sort keys %programs) {
		my $total = total(@{ $programs{$name} });
		printf "%-16s %5d processes, served %.1f MiB of %.1f that could be (%.1f %%)\n",
			$name, $total->{processes}, $total->{served} / 2**20,
			$total->{servable} / 2**20, share($total);
		next if share($total) >= $percent;
		print "too little served to $name, because: ",
			join(', ', sort keys %{ $total->{missed} }), "\n";
		$bad = 1;
	}
	return !$bad;
}

sub served {
	my ($name, $percent, @reports) = @_;
	my $total = total(@reports);
	printf "%.1f MiB served of %.1f MiB that could be: %.1f %%\n",
		$total->{served} / 2**20, $total->{servable} / 2**20,
		share($total);
	my $found = grep { index($_->{program}, $name) >= 0 } @reports;
	print "no report of a program called $name\n" unless $found;
	print "nothing served\n" unless $total->{served} || !$percent;
	my $enough = each_served($percent, @reports);
	print 'row ', JSON::PP->new->canonical->encode($total), "\n";
	return $found && ($total->{served} || !$percent) && $enough;
}

@ARGV == 3 or die "report.pl NAME PERCENT FOLDER\n";
my ($name, $percent, $folder) = @ARGV;
my @reports = read_reports($folder);
my $status = (served($name, $percent, @reports) ? 0 : 2)
	| (balanced(@reports) ? 0 : 1);
exit $status;
