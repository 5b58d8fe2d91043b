#!/usr/bin/env bash
# rustc as `defences.sh` has cargo call it: what the wanted tests need is compiled, other units of ours are refused at once.
#
#   WANTED_PACKAGES   folders of our packages whose libraries and programs are needed, or *
#   WANTED_TESTS      first files of the test programs that are wanted, from the checkout: trust/src/lib.rs
set -uf
file='' test=''
for argument in "$@"; do
    case $argument in
        --test) test=yes ;;
        # Cargo names files of the workspace from its root; those of other packages have whole paths.
        /*) ;;
        *.rs) file=$argument ;;
    esac
done
[ -n "$file" ] || exec "$@"
wanted=$WANTED_PACKAGES unit=${file%%/*}
[ -z "$test" ] || wanted=$WANTED_TESTS unit=$file
for one in $wanted; do
    case $one in "$unit" | '*') exec "$@" ;; esac
done
echo "$file is not wanted" >&2
exit 1
