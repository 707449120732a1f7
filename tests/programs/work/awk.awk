# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# Work for awk; -v keys=N is the size of its tables.
BEGIN {
	for (i = 0; i < keys; i++) {
		key = "key" (i * 7919 % 1000003)
		count[key] = count[key] + i
		list[i] = i " " key
	}
	for (key in count) {
		sum += count[key]
		n++
		if (key ~ /7$/)
			delete count[key]
	}
	print "table", n, sum
	for (i = 0; i < keys; i += 10)
		text = text list[i] ";"
	print "text", length(text), split(text, part, ";"), part[1000]
	gsub(/7+/, "seven", text)
	print "changed", length(text), index(text, "seven")
	wide = "x"
	while (length(wide) < 4000000)
		wide = wide wide
	print "wide", length(wide)
	print "this line goes to stderr" >"/dev/stderr"
	exit 0
}
