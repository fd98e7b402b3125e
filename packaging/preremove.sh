#!/bin/sh
# Before removal, which an upgrade is not.
set -e
[ -d /run/systemd/system ] || exit 0
case "$1" in
remove | 0) systemctl --no-reload disable --now streamkeeper.service ;;
esac
