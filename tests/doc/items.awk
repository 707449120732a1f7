# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# What llfree-preload(7) names, a line for each: of the list of reasons
# "reason KEY", of the section on the report "GROUP" and "GROUP KEY"; and behind
# it ": WORDS" for the words of the text report. An item of the page is
# ".It Va KEY , KEY Pq WORDS".

/^\.S[hs] / {
	reasons = $0 ~ /^\.Ss What is passed/
	report = $0 == ".Sh THE REPORT"
}
/^\.Bl / { depth++ }
/^\.El/ { depth-- }
/^\.It Va / && (reasons || report) {
	words = sub(/ Pq /, ": ") ? substr($0, index($0, ": ")) : ""
	sub(/^\.It Va /, "")
	sub(/: .*/, "")
	count = split($0, keys, " , ")
	if (reasons)
		group = "reason "
	else if (depth == 1)
		group = ""
	for (i = 1; i <= count; i++)
		print group keys[i] words
	if (report && depth == 1)
		group = keys[1] " "
}
