dnl SPDX-FileCopyrightText: the llfree-preload contributors
dnl SPDX-License-Identifier: MIT

dnl LLFREE_CHECK_FLAG(VARIABLE, FLAG)
dnl Adds FLAG to VARIABLE when the compiler takes it without a complaint.
dnl -Werror, because clang only warns of a flag it does not know.
AC_DEFUN([LLFREE_CHECK_FLAG], [
  AS_VAR_PUSHDEF([cache], [llfree_cv_cflag_$2])
  AC_CACHE_CHECK([whether $CC accepts $2], [cache], [
    llfree_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $2"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
      [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    CFLAGS=$llfree_saved_CFLAGS
  ])
  AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
  AS_VAR_POPDEF([cache])
])

dnl LLFREE_CHECK_FLAGS(VARIABLE, FLAG...)
AC_DEFUN([LLFREE_CHECK_FLAGS], [
  m4_foreach_w([flag], [$2], [LLFREE_CHECK_FLAG([$1], m4_defn([flag]))])
])

dnl LLFREE_CHECK_LDFLAG(VARIABLE, FLAG)
dnl The same for the linker.
AC_DEFUN([LLFREE_CHECK_LDFLAG], [
  AS_VAR_PUSHDEF([cache], [llfree_cv_ldflag_$2])
  AC_CACHE_CHECK([whether the linker accepts $2], [cache], [
    llfree_saved_LDFLAGS=$LDFLAGS
    LDFLAGS="$LDFLAGS $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
      [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    LDFLAGS=$llfree_saved_LDFLAGS
  ])
  AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
  AS_VAR_POPDEF([cache])
])

dnl LLFREE_SANITIZER
dnl --enable-sanitizer=LIST: sets sanitizer to the list or to "no", and
dnl SANITIZER_FLAGS for compiler and linker alike.
AC_DEFUN([LLFREE_SANITIZER], [
  AC_ARG_ENABLE([sanitizer],
    [AS_HELP_STRING([--enable-sanitizer=LIST],
      [instrument library and unit tests, for example address,undefined
       or thread; tests of the preload library are left out])],
    [sanitizer=$enableval], [sanitizer=no])
  SANITIZER_FLAGS=
  AS_CASE([$sanitizer],
    [no], [],
    [yes|''], [AC_MSG_ERROR([--enable-sanitizer needs a list, for example --enable-sanitizer=address,undefined])],
    [
      SANITIZER_FLAGS="-fsanitize=$sanitizer -fno-sanitize-recover=all -fno-omit-frame-pointer"
      AC_MSG_CHECKING([whether $CC links with -fsanitize=$sanitizer])
      llfree_saved_CFLAGS=$CFLAGS
      CFLAGS="$CFLAGS $SANITIZER_FLAGS"
      AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
        [AC_MSG_RESULT([yes])],
        [AC_MSG_RESULT([no])
         AC_MSG_ERROR([--enable-sanitizer=$sanitizer: the compiler cannot do it])])
      CFLAGS=$llfree_saved_CFLAGS
    ])
  AC_SUBST([SANITIZER_FLAGS])
  AM_CONDITIONAL([SANITIZER], [test "$sanitizer" != no])
])

dnl LLFREE_TREE_CHILDREN_ORDER
dnl --with-tree-children-order=N: sets tree_children_order to N or to
dnl "default", and TREE_CHILDREN_CPPFLAGS, which users of the installed
dnl library need as well (lib/llfree.pc carries it).
AC_DEFUN([LLFREE_TREE_CHILDREN_ORDER], [
  AC_ARG_WITH([tree-children-order],
    [AS_HELP_STRING([--with-tree-children-order=N],
      [a tree spans 2^N huge frames, N from 0 to 9 (default: as
       llfree_types.h says)])],
    [tree_children_order=$withval], [tree_children_order=default])
  TREE_CHILDREN_CPPFLAGS=
  AS_CASE([$tree_children_order],
    [default], [],
    [[[0-9]]], [TREE_CHILDREN_CPPFLAGS=-DLLFREE_TREE_CHILDREN_ORDER=$tree_children_order],
    [AC_MSG_ERROR([--with-tree-children-order=$tree_children_order: a number from 0 to 9 is needed])])
  AC_SUBST([TREE_CHILDREN_CPPFLAGS])
])

dnl LLFREE_LIBUNWIND
dnl Only the header: the library itself is loaded at run time, and only by
dnl those who ask for call sites. Sets libunwind to yes or no.
AC_DEFUN([LLFREE_LIBUNWIND], [
  AC_ARG_WITH([libunwind],
    [AS_HELP_STRING([--without-libunwind],
      [leave out call sites (LLFREE_PROFILE); default: in when libunwind.h
       is there])],
    [], [with_libunwind=check])
  libunwind=no
  AS_VAR_IF([with_libunwind], [no], [], [
    AC_CHECK_HEADER([libunwind.h], [libunwind=yes])
    AS_IF([test "$with_libunwind/$libunwind" = yes/no],
      [AC_MSG_ERROR([--with-libunwind: libunwind.h is missing (Debian: libunwind-dev)])])
  ])
  AS_VAR_IF([libunwind], [yes],
    [AC_DEFINE([HAVE_LIBUNWIND], [1], [Define to 1 when libunwind.h is there and wanted.])])
  AM_CONDITIONAL([HAVE_LIBUNWIND], [test "$libunwind" = yes])
])

dnl LLFREE_CMOCKA
dnl Sets cmocka to yes or no. A link attempt, because a cross compilation may
dnl find the build machine's pkg-config files.
AC_DEFUN([LLFREE_CMOCKA], [
  cmocka=no
  PKG_CHECK_MODULES([CMOCKA], [cmocka >= 1.1], [
    llfree_saved_CFLAGS=$CFLAGS
    llfree_saved_LIBS=$LIBS
    CFLAGS="$CFLAGS $CMOCKA_CFLAGS"
    LIBS="$CMOCKA_LIBS $LIBS"
    AC_MSG_CHECKING([whether cmocka links])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>]], [[print_message("\n");]])], [cmocka=yes])
    AC_MSG_RESULT([$cmocka])
    CFLAGS=$llfree_saved_CFLAGS
    LIBS=$llfree_saved_LIBS
    AS_VAR_IF([cmocka], [no], [CMOCKA_CFLAGS= CMOCKA_LIBS=])
  ], [:])
  AM_CONDITIONAL([HAVE_CMOCKA], [test "$cmocka" = yes])
])
