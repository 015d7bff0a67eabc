#!/bin/sh
# A first installation starts nothing: its configuration is not written yet. An upgrade of a
# running edge hands over without a refused request.
set -e
if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	if systemctl is-active --quiet edge.service; then
		systemctl kill --signal=USR2 --kill-whom=main edge.service || true
	fi
fi
