# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Is the worker of this container alive? Its row among the workers is fresh, whatever Redis does.

Exit code 0 if a worker of this host was seen lately.
"""

import platform
import sys

from photocast.jobs.database import open_database
from photocast.jobs.presence import Presence
from photocast.settings import load_settings

database = open_database(load_settings().database_url)
seen = [one for one in Presence(database).seen() if one.facts.get("host") == platform.node()]
database.close()
sys.exit(0 if seen else 1)
