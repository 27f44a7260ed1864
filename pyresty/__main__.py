"""``python -m pyresty`` is ``pyresty``."""

import sys

from .cli import main

sys.exit(main())
