#!/bin/sh
# "remove" and "purge" are dpkg's words, 0 is rpm's; an upgrade leaves the service alone.
set -e
case "$1" in
remove | purge | 0)
	if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
		systemctl disable --now edge.service edge-http.socket edge-https.socket || true
	fi
	;;
esac
