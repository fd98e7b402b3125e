#!/bin/sh
# After installation and upgrade. Nothing is started that did not run: it would remove data that nobody has looked at yet.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
case "$1:$2" in
# deb says "configure" with the version before; rpm says how many are installed.
configure:?* | 2:*) systemctl try-restart streamkeeper.service ;;
esac
