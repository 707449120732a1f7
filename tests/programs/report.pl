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
#       the bytes that could be served, over all processes, less than PERCENT
#       were
#
# and more when the reports cannot be read. Prints what is wrong, the share
# that was served, and a line for each program.

use strict;
use warnings;
use JSON::PP;

# Requests that are not for what the arena is: private memory to read and
# write, anywhere; and what the heap lacks, for which malloc asks elsewhere.
# Every other reason is memory that could have been served.
my %never = map { $_ => 1 } qw(invalid file shared prot_none executable
	not_writable fixed hint hugetlb growsdown low locked flags lock_all outside
	heap_full);

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
	$b->{free_counted} == $b->{free_scanned}
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
	my ($report, $what) = @_;
	my $sum = 0;
	$sum += $report->{calls}{$_}{$what} for qw(mmap mremap brk);
	return $sum;
}

sub missed {
	my ($report) = @_;
	my $reasons = $report->{passed_because};
	my $bytes = 0;
	$bytes += $reasons->{$_}{bytes} for grep { !$never{$_} } keys %$reasons;
	return $bytes;
}

# Sums of (processes, bytes served, bytes missed) over reports.
sub total {
	my ($served, $missed) = (0, 0);
	$served += mapped($_, 'served_bytes') for @_;
	$missed += missed($_) for @_;
	return scalar @_, $served, $missed;
}

sub share {
	my ($served, $missed) = @_;
	return $served + $missed ? 100 * $served / ($served + $missed) : 100;
}

sub served {
	my ($name, $percent, @reports) = @_;
	my ($n, $served, $missed) = total(@reports);
	my $share = share($served, $missed);
	printf "%.1f MiB served of %.1f MiB that could be: %.1f %%\n",
		$served / 2**20, ($served + $missed) / 2**20, $share;
	my $found = grep { index($_->{program}, $name) >= 0 } @reports;
	print "no report of a program called $name\n" unless $found;
	print "nothing served\n" unless $served || !$percent;
	return $found && ($served || !$percent) && $share >= $percent;
}

sub summary {
	my %programs;
	push @{ $programs{ $_->{program} } }, $_ for @_;
	for my $name (sort keys %programs) {
		my ($n, $served, $missed) = total(@{ $programs{$name} });
		printf "%-16s %5d processes, served %.1f MiB of %.1f that could be (%.1f %%)\n",
			$name, $n, $served / 2**20, ($served + $missed) / 2**20,
			share($served, $missed);
	}
	return;
}

@ARGV == 3 or die "report.pl NAME PERCENT FOLDER\n";
my ($name, $percent, $folder) = @ARGV;
my @reports = read_reports($folder);
my $status = (served($name, $percent, @reports) ? 0 : 2)
	| (balanced(@reports) ? 0 : 1);
summary(@reports);
exit $status;
