#!/bin/sh
# Install Redis, PostgreSQL and Chromium for the tests that need them, on Debian and Ubuntu; nothing
# is started.
# Without a network those tests are skipped.
# Usage: get-services.sh
set -eu

found() {
    command -v chromium >/dev/null && command -v redis-server >/dev/null && { command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
}

if found; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # The packages start their servers after the installation; ours are private ones.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get update -q
    apt-get install -q -y --no-install-recommends redis-server postgresql
    apt-get install -q -y --no-install-recommends chromium ||
        echo "No Chromium: what it would show is not looked at." >&2
else
    echo "Redis, PostgreSQL or Chromium is missing. Install them with: sudo apt-get install redis-server postgresql chromium" >&2
    exit 1
fi
