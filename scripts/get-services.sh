#!/bin/sh
# Install Redis and PostgreSQL for the tests that need them, on Debian and Ubuntu; nothing is started.
# Without a network those tests are skipped.
# Usage: get-services.sh
set -eu

found() {
    command -v redis-server >/dev/null && { command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
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
else
    echo "Redis or PostgreSQL is missing. Install them with: sudo apt-get install redis-server postgresql" >&2
    exit 1
fi
