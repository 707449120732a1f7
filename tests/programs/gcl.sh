#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# GNU Common Lisp, a saved image with a heap right behind its data, in which
# it runs what gcc and ld made of a function.

. "$srcdir/tests/programs/program.sh"

needs gcl gcc
number=$(size 1000 20000)

prepare() {
	cat >"$in/work.lisp" <<-EOT
	(defun mix (n) (if (< n 2) n (+ (mix (- n 1)) (mix (- n 2)))))
	(let ((*standard-output* (make-broadcast-stream))
	      (*error-output* (make-broadcast-stream)))
	  (compile 'mix))
	(print (compiled-function-p (function mix)))
	(print (mix 25))
	(print (length (format nil "~a" (expt 7 $number))))
	(let ((h (make-hash-table :test 'equal)))
	  (dotimes (i (* 20 $number))
	    (setf (gethash (format nil "~a" i) h) (list i (* i i))))
	  (print (hash-table-count h)))
	(dotimes (i 20) (make-array (* 100 $number) :initial-element i))
	(gbc t)
	(terpri)
	EOT
}

run() {
	gcl -batch -load "$in/work.lisp"
}

# Its heap stays with the kernel, and it asks for little else.
program_test 'gcl'
