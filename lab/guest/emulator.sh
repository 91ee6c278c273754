#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Used by libvirt in place of QEMU without KVM. With TCG, COLO needs two workarounds that neither Nova nor
# libvirt can configure: the library of guest/tcg_shim.c, without which the primary deadlocks, and a memory
# size that is not a multiple of 256 KiB, since the secondary's memory is corrupted otherwise.
MORE_KIB=8
SHIM=@shim@

left=$#
before=
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    case $before$argument in
    -m[0-9]*)
        argument="size=$((argument * 1024 + MORE_KIB))k"
        ;;
    '{"qom-type":"memory-backend-ram","id":"pc.ram","size":'*)
        rest=${argument#*'"size":'}
        bytes=${rest%%[!0-9]*}
        argument="${argument%%'"size":'*}\"size\":$((bytes + MORE_KIB * 1024))${rest#"$bytes"}"
        ;;
    esac
    before=
    [ "$argument" != -m ] || before=-m
    set -- "$@" "$argument"
    left=$((left - 1))
done
LD_PRELOAD=$SHIM exec /usr/bin/qemu-system-x86_64 "$@"
